// Going on with what an agent already has: a conversation that its user had with it, without Baton, becomes a session,
// goes on in the same native session, and can be handed to another agent. What the user says in it elsewhere meanwhile is
// taken in.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startRun } from "./harness.mjs";
import { withAgent } from "./lib/acp.mjs";
import { AGENTS } from "./lib/agents.mjs";
import { unique, wordsOf } from "./lib/assertions.mjs";
import { textOf, toolParts } from "./lib/client.mjs";
import { eventually } from "./lib/processes.mjs";
import { Talk, selection } from "./lib/talk.mjs";

const SCENARIO = { timeout: 300_000 };
/** Agents at once: each scenario waits most of its time. */
const CONCURRENCY = 2;
/** What an agent writes within two seconds of Baton's own last use counts as that; some tell times in whole seconds. */
const ELSEWHERE_AFTER_MS = 3_500;
/** Begins what an agent is told of a conversation that it has not seen. */
const HANDED_OVER = "[earlier conversation of this session]";
const IMPORTED = ["opencode", "claude", "codex", "qwen"];
/** These let one program alone write to a session. The others let two, and neither hears of the other. */
const LOCKED = ["codex"];
/** Claude Code calls its first one by another name when it opens a session again, which then is not the same selection. */
const MODEL = { claude: 1 };

describe("what agents have already", { concurrency: CONCURRENCY }, () => {
  for (const id of IMPORTED.filter((id) => AGENTS[id])) importsFrom(id);
});

function importsFrom(id) {
  const other = IMPORTED.find((other) => other !== id && AGENTS[other]);
  describe(`what ${id} has already`, () => {
    test(`goes on in Baton, natively and with ${other ?? "another agent"}`, SCENARIO, async (t) => {
      const entries = {};
      const noting = (name) => (given) => (entries[name] = AGENTS[name].entry(given));
      const agents = Object.fromEntries([id, other].filter(Boolean).map((name) => [name, noting(name)]));
      const run = await startRun({ agents });
      try {
        await goesOn({ run, id, other, entry: entries[id] });
      } catch (error) {
        t.diagnostic(run.log());
        throw error;
      } finally {
        await run.end();
      }
    });
  });
}

async function goesOn({ run, id, other, entry }) {
  const { client, stub, work } = run;
  const [first, tool, native3, outside, last] = ["mark", "mark", "mark", "mark", "mark"].map(unique);
  const talk = new Talk({ client, stub, events: await run.events() });
  await client.connected(id);
  const elsewhere = (use) => withAgent(entry, { run: run.id, cwd: work }, use);
  const say = (call, sessionId, text) => call("session/prompt", { sessionId, prompt: [{ type: "text", text }] });
  const nativeID = await elsewhere(async (call) => {
    const { sessionId } = await call("session/new", { cwd: work, mcpServers: [] });
    await say(call, sessionId, `REASON ${first}`);
    await say(call, sessionId, `TOOLBASH echo ${tool}`);
    if (LOCKED.includes(id)) await isRefused({ client, id, nativeID: sessionId });
    return sessionId;
  });

  const listed = () => client.ok("GET", `/backend/${id}/session`);
  const one = (await listed()).find((native) => native.nativeID === nativeID);
  assert.equal(one?.sessionID, null, "it is listed, and nobody's");
  assert.equal(one.directory, work);
  assert.ok(one.updated > Date.now() - 600_000, `its time: ${one.updated}`);

  const session = await client.ok("POST", "/session", { import: { providerID: id, nativeID } });
  assert.equal(session.model.providerID, id);
  const imported = await client.messages(session.id);
  isTheConversation(imported, { first, tool, id });
  assert.equal((await client.call("POST", "/session", { import: { providerID: id, nativeID } })).status, 409);

  const model = AGENTS[id].models[MODEL[id] ?? 0];
  await talk.prompt(session.id, `SAY ${native3}`, { model: selection(id, model) });
  const natively = wordsOf(talk.requestWith(native3));
  assert.ok(natively.includes(first) && natively.includes(tool), "the model knows the conversation");
  assert.ok(!natively.includes(HANDED_OVER), "and was not handed it");
  assert.equal((await listed()).find((native) => native.nativeID === nativeID)?.sessionID, session.id);

  const used_ms = Date.now();
  await eventually(() => Date.now() > used_ms + ELSEWHERE_AFTER_MS, 2 * ELSEWHERE_AFTER_MS, () => "time stands still");
  const open = (call) => call("session/load", { sessionId: nativeID, cwd: work, mcpServers: [] });
  if (LOCKED.includes(id)) {
    await assert.rejects(elsewhere(open), /in use/, "while Baton's agent has it, nobody else may");
    await run.killAgents(AGENTS[id].isProcess);
  }
  await elsewhere(async (call) => {
    await open(call);
    await say(call, nativeID, `SAY ${outside}`);
  });
  await talk.prompt(session.id, `SAY ${last}`);
  const now = await client.messages(session.id);
  const at = (word) => now.findIndex((message) => textOf(message).includes(word));
  assert.ok(at(native3) < at(outside) && at(outside) < at(last), `what was said elsewhere is there: ${now.map(textOf)}`);
  assert.equal(now.filter(isLine).length, 2, `it is told once: ${now.filter(isLine).map(textOf)}`);
  const after = wordsOf(talk.requestWith(last));
  for (const word of [first, native3, outside]) assert.ok(after.includes(word), `${id}'s model knows ${word}`);
  assert.ok(!after.includes(HANDED_OVER), "natively");

  const handed = await handedTo({ client, talk, session, other });
  for (const word of [first, tool, native3, outside, last]) assert.ok(handed.includes(word), `${other} knows ${word}`);
  if (LOCKED.includes(id)) {
    await run.killAgents(AGENTS[id].isProcess);
    await elsewhere(async (call) => {
      await open(call);
      await isLeft({ client, talk, session, nativeID, id, first });
    });
  }
  await client.ok("DELETE", `/session/${session.id}`);
  assert.equal((await listed()).find((native) => native.nativeID === nativeID)?.sessionID, null, "it is its user's");
}

/** What another program writes to at the moment. */
async function isRefused({ client, id, nativeID }) {
  const { status, body } = await client.call("POST", "/session", { import: { providerID: id, nativeID } });
  assert.equal(status, 400, JSON.stringify(body));
  assert.match(body.data.message, /in use/);
}

/** While another program writes to it, a prompt goes to a new native session, and that is told. */
async function isLeft({ client, talk, session, nativeID, id, first }) {
  const prompt = `SAY ${unique("mark")}`;
  await talk.prompt(session.id, prompt, { model: selection(id, AGENTS[id].models[0]) });
  const given = wordsOf(talk.requestWith(prompt));
  assert.ok(given.includes(HANDED_OVER) && given.includes(first), "it is handed over");
  const lines = (await client.messages(session.id)).filter(isLine).map(textOf);
  assert.ok(lines.some((line) => line.includes(`${nativeID} any more`)), lines.join("\n"));
}

function isTheConversation(messages, { first, tool, id }) {
  const said = messages.filter((message) => !isLine(message));
  assert.deepEqual(said.map(({ info }) => info.role), ["user", "assistant", "user", "assistant"]);
  assert.equal(textOf(said[0]), `REASON ${first}`);
  assert.ok(textOf(said[1]).includes(first));
  assert.ok(said[1].parts.some(({ type, text }) => type === "reasoning" && text.includes(first)), "its thoughts");
  const [call, ...more] = toolParts(said);
  assert.deepEqual(more, []);
  assert.equal(call.state.status, "completed");
  assert.ok(call.state.output.includes(tool), `the tool's output: ${JSON.stringify(call.state)}`);
  assert.ok(JSON.stringify(call.state.input).includes(`echo ${tool}`), "the tool's input");
  for (const { info } of said.filter(({ info }) => info.role === "assistant")) {
    // None of these agents tells which model has given an answer that it replays.
    assert.deepEqual([info.providerID, info.modelID], [id, "unknown"]);
  }
  assert.equal(messages.filter(isLine).length, 1, "a line tells of it");
}

/** A line of Baton's, which no model is given. */
function isLine({ parts }) {
  return parts.every(({ type, ignored }) => type === "text" && ignored === true);
}

/** What another agent's model is given. */
async function handedTo({ client, talk, session, other }) {
  const prompt = `SAY ${unique("mark")}`;
  if (!other) {
    const answer = await client.prompt(session.id, "history", { model: { providerID: "mock", modelID: "mock" } });
    return textOf(answer);
  }
  await client.connected(other);
  const [model] = AGENTS[other].models;
  await talk.prompt(session.id, prompt, { model: selection(other, model) });
  return wordsOf(talk.requestWith(prompt));
}
