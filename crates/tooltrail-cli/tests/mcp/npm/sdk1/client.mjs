// A client on the TypeScript SDK 1.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { drive, order } from "../drive.mjs";

const { command, args, env } = order;
await drive(new Client({ name: "sdk1-client", version: "1.0.1" }), new StdioClientTransport({ command, args, env }));
