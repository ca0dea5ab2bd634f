// What the two TypeScript clients share: the calls to make, and what the client saw of each.

/** The order, from the first argument: `{mode, command, args, env, calls: [[tool, args], …]}`. */
export const order = JSON.parse(process.argv[2]);

/** Lists the tools, makes each call in turn, and prints `[{result} | {error}, …]`. */
export async function drive(client, transport) {
  await client.connect(transport);
  await client.listTools();
  const seen = [];
  for (const [name, args] of order.calls) {
    try {
      seen.push({ result: await client.callTool({ name, arguments: args }) });
    } catch (error) {
      seen.push({ error: { code: error.code, message: error.message } });
    }
  }
  await client.close();
  console.log(JSON.stringify(seen));
}
