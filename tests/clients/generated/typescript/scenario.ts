// scenario.ts URL SCRIPT: the generated client against a running server. What it prints, the driver compares.
// The script is JSON: the backend, its models, and what is said to them.

import assert from "node:assert/strict";
import { type MessagePart, type ServerEvent, appAgents, backendSessionList, eventSubscribe } from "./client/index.ts";
import { mcpAdd, mcpConnect, mcpDisconnect, mcpStatus, sessionCreate, sessionHandoff, sessionPrompt, sessionUpdate } from "./client/index.ts";
import { client } from "./client/client.gen.ts";

const url = process.argv[2] ?? assert.fail("the server's URL is missing");
client.setConfig({ baseUrl: url });

type Word = "providerID" | "first" | "second" | "say" | "recall" | "known" | "misspelt" | "agent" | "other" | "otherModel";
type Script = Record<Word, string>;
const script: Script = JSON.parse(process.argv[3] ?? assert.fail("the script is missing"));
const { providerID } = script;

const streaming = new AbortController();
const { stream } = await eventSubscribe({ signal: streaming.signal });
const applied = firstApplied(stream);

const { data: session } = await sessionCreate({ body: { title: "Generated" }, throwOnError: true });
const path = { sessionID: session.id };

const first = await sessionPrompt({
  path,
  body: { model: { providerID, modelID: script.first }, parts: [{ type: "text", text: script.say }] },
  throwOnError: true,
});
assert.equal(first.data.info.role, "assistant");
console.log(`first answer by ${modelOf(first.data.info)}: ${textOf(first.data.parts)}`);

const updated = await sessionUpdate({
  path,
  query: { wait: true },
  body: { providerID, modelID: script.second, variant: "high" },
  throwOnError: true,
});
console.log(`selected ${updated.data.model?.id} (${updated.data.model?.variant}), ${updated.data.runtime.status}`);
console.log(`applied ${(await applied).properties.current.modelID}`);
streaming.abort();

const second = await sessionPrompt({ path, body: { parts: [{ type: "text", text: script.recall }] }, throwOnError: true });
const knows = textOf(second.data.parts).includes(script.known);
console.log(`second answer by ${modelOf(second.data.info)}, which ${knows ? "knows" : "does not know"} the first`);

const chained = await sessionUpdate({ path, body: { fallback: [{ providerID, modelID: script.first }] }, throwOnError: true });
console.log(`falls back to ${chained.data.fallback?.map(({ modelID }) => modelID).join(", ")}`);

const { error } = await sessionUpdate({ path, body: { providerID, modelID: script.misspelt } });
// The error's name tells which of the errors it is, and with that what its data has.
if (error?.name !== "ProviderModelNotFoundError") assert.fail(`not the error that was expected: ${error?.name}`);
console.log(`refused: ${error.name}, instead of ${error.data.modelID}: ${error.data.suggestions.join(", ")}`);

const { data: natives } = await backendSessionList({ path: { backendID: providerID }, throwOnError: true });
const own = natives.find(({ sessionID }) => sessionID === session.id) ?? assert.fail("its agent does not list it");
const { error: taken } = await sessionCreate({ body: { import: { providerID, nativeID: own.nativeID } } });
if (taken?.name !== "SessionExistsError") assert.fail(`not the error that was expected: ${taken?.name}`);
assert.equal(taken.data.sessionID, session.id);
console.log(`its agent lists it, and it cannot be imported: ${taken.name}`);

const { data: agents } = await appAgents({ throwOnError: true });
const profile = agents.find(({ name }) => name === script.agent) ?? assert.fail("the agent is not listed");
const profiled = await sessionUpdate({ path, body: { agent: profile.name }, throwOnError: true });
assert.equal(profiled.data.model?.id, profile.model?.modelID);
console.log(`agent ${profiled.data.agent} selects ${profiled.data.model?.id}`);

const other = { providerID: script.other, modelID: script.otherModel };
const preview = await sessionHandoff({ path, query: { ...other, handoff: "transcript" }, throwOnError: true });
assert.ok(preview.data.text?.includes("one"));
const handed = await sessionUpdate({ path, body: { ...other, handoff: "summary", note: "Be short." }, throwOnError: true });
console.log(`${script.other} would be given ${preview.data.messages} messages, and is to be given: ${handed.data.handoff?.mode}`);

const name = "generated";
const { data: added } = await mcpAdd({ body: { name, config: { type: "remote", url, enabled: false } }, throwOnError: true });
const states = [added[name]?.status];
for (const turn of [mcpConnect, mcpDisconnect]) {
  await turn({ path: { name }, throwOnError: true });
  states.push((await mcpStatus({ throwOnError: true })).data[name]?.status);
}
console.log(`MCP server: ${states.join(", ")}`);

await sessionUpdate({ path, body: { limit: { tokens: 1 } }, throwOnError: true });
const { error: spent } = await sessionPrompt({ path, body: { parts: [{ type: "text", text: script.say }] } });
if (spent?.name !== "SpendingLimitError") assert.fail(`not the error that was expected: ${spent?.name}`);
console.log(`refused: ${spent.name}, of the ${spent.data.scope}, which may use ${spent.data.allowed.tokens} token`);

function modelOf(message: (typeof first.data)["info"]): string {
  return message.role === "assistant" ? message.modelID : message.model.modelID;
}

function textOf(parts: MessagePart[]): string {
  return parts.map((part) => (part.type === "text" ? part.text : "")).join("");
}

async function firstApplied(events: AsyncIterable<ServerEvent>): Promise<Extract<ServerEvent, { type: "session.model_applied" }>> {
  for await (const event of events) {
    if (event.type === "session.model_applied" && event.properties.current.modelID === script.second) return event;
  }
  assert.fail("the event stream has ended");
}
