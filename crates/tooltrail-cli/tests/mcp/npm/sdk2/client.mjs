// A client on the TypeScript SDK 2, in the mode of the order: `legacy` (its default), `auto` or a protocol version.

import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { drive, order } from "../drive.mjs";

const { mode, command, args, env } = order;
const negotiation = {
  legacy: {},
  auto: { versionNegotiation: { mode: "auto" } },
}[mode] ?? { versionNegotiation: { mode: { pin: mode } } };
await drive(
  new Client({ name: "sdk2-client", version: "2.0.1" }, negotiation),
  new StdioClientTransport({ command, args, env }),
);
