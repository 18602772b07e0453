// One whole session over stdio with an official TypeScript client:
//
//   node session.mjs sdk-v1|legacy|modern TOOL COMMAND [ARG...]
//
// Lists everything, calls TOOL (which needs no arguments) with progress, reads the first resource, completes every
// argument of every prompt and gets every prompt. Prints one JSON object a line for each check: {name, ok, detail}.
import { Client as ClientV2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as StdioV2 } from "@modelcontextprotocol/client/stdio";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as StdioV1 } from "@modelcontextprotocol/sdk/client/stdio.js";

const [kind, tool, command, ...args] = process.argv.slice(2);
const REVISION = { "sdk-v1": "2025-11-25", legacy: "2025-11-25", modern: "2026-07-28" }[kind];
const INFO = { name: "dlcoder-conformance", version: "1.0.0" };
const isV1 = kind === "sdk-v1";

const transport = new (isV1 ? StdioV1 : StdioV2)({ command, args, env: { ...process.env }, stderr: "ignore" });
const client = isV1
  ? new ClientV1(INFO)
  : new ClientV2(INFO, { versionNegotiation: { mode: kind === "modern" ? { pin: REVISION } : "legacy" } });

let failed = false;

async function check(name, body) {
  let result;
  try {
    result = { name, ok: true, detail: String((await body()) ?? "") };
  } catch (error) {
    failed = true;
    result = { name, ok: false, detail: String(error?.message ?? error).slice(0, 500) };
  }
  console.log(JSON.stringify(result));
}

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

const call = (params, options) => (isV1 ? client.callTool(params, undefined, options) : client.callTool(params, options));

await check("connect", async () => {
  // The v1 client keeps the negotiated revision to itself, and tells the transport.
  let revision;
  if (isV1) transport.setProtocolVersion = (version) => (revision = version);
  await client.connect(transport, { timeout: 30_000 });
  if (!isV1) revision = client.getNegotiatedProtocolVersion();
  expect(revision === REVISION, `negotiated ${revision}, expected ${REVISION}`);
  expect(client.getServerVersion()?.version, "the server has no version");
  return revision;
});

await check("list tools", async () => {
  const { tools } = await client.listTools();
  expect(tools.some(({ name }) => name === tool), `${tool} is not among ${tools.map(({ name }) => name)}`);
  return `${tools.length} tools`;
});

await check("call with progress", async () => {
  const seen = [];
  const onprogress = ({ progress }) => seen.push(progress);
  const result = await call({ name: tool, arguments: {} }, { onprogress, timeout: 60_000, resetTimeoutOnProgress: true });
  expect(!result.isError, `the tool failed: ${JSON.stringify(result.content).slice(0, 300)}`);
  expect(result.content.some(({ type, text }) => type === "text" && text.length > 0), "no text content");
  // How many arrive is the client's matter: 2.4.0 may drop those that are close before the result.
  expect(seen.length > 0, "no progress arrived");
  expect(seen.every((value, i) => i === 0 || value > seen[i - 1]), `progress does not rise: ${seen}`);
  return `${seen.length} notifications`;
});

await check("refuse an unknown tool", async () => {
  const result = await call({ name: "no_such_tool", arguments: {} }).catch((error) => ({ isError: true, error }));
  expect(result.isError, "an unknown tool was accepted");
});

await check("read a resource", async () => {
  const { resources } = await client.listResources();
  expect(resources.length > 0, "no resource is listed");
  const { contents } = await client.readResource({ uri: resources[0].uri });
  expect(contents.length > 0 && (contents[0].text || contents[0].blob), `${resources[0].uri} is empty`);
  return resources[0].uri;
});

await check("list resource templates", async () => `${(await client.listResourceTemplates()).resourceTemplates.length} templates`);

const examples = {};
await check("complete an argument", async () => {
  let values = 0;
  for (const { name, arguments: declared = [] } of (await client.listPrompts()).prompts) {
    examples[name] = {};
    for (const argument of declared) {
      const ref = { type: "ref/prompt", name };
      const { completion } = await client.complete({ ref, argument: { name: argument.name, value: "" } });
      values += completion.values.length;
      examples[name][argument.name] = completion.values[0] ?? "example";
    }
  }
  expect(values > 0, "no argument of any prompt has a completion");
  return `${values} values`;
});

await check("get every prompt", async () => {
  const names = Object.keys(examples);
  expect(names.length > 0, "no prompt is listed");
  for (const name of names) {
    const { messages } = await client.getPrompt({ name, arguments: examples[name] });
    expect(messages.length > 0, `${name} has no message`);
  }
  return `${names.length} prompts`;
});

await check("close", async () => {
  await client.close();
});
process.exit(failed ? 1 : 0);
