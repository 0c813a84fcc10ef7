// The same checks with every agent, and with every ordered pair of agents: what the stub LLM was asked decides.
// One Baton has all of them. What they were seen to do is written to target/results/RESULTS.md if all of it was tried; else
// only to the file that BATON_RESULTS names.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startRun } from "./harness.mjs";
import { AGENTS, IS_WHOLE, isPair } from "./lib/agents.mjs";
import { count, ofSession, streamedText, unique, wordsOf } from "./lib/assertions.mjs";
import { modelOf, textOf, toolParts } from "./lib/client.mjs";
import { ERROR_LIMITS, PLAN_LIMITS, SWITCH_LIMITS, TOKEN_LIMITS } from "./lib/limits.mjs";
import { eventually } from "./lib/processes.mjs";
import { RESULTS_FILE, Results, writeResults } from "./lib/results.mjs";
import { Talk, selection } from "./lib/talk.mjs";
import { namesTheModelThatWasAsked } from "./lib/truth.mjs";

const START_TIMEOUT_MS = 120_000;
const CHECK = { timeout: 150_000 };
/** Whether the run writes its figures somewhere; what is only there for them is left out otherwise. */
const IS_MEASURED = IS_WHOLE || Boolean(process.env.BATON_RESULTS);
// The prompt follows this long after the PATCH.
const HEAD_START_MS = 5_000;
const APPLIED_TIMEOUT_MS = 60_000;
const IDLE_TIMEOUT_MS = 15_000;

const MOCK = { providerID: "mock", modelID: "mock" };

const checks = new Results();
const pairs = new Results();
const figures = new Results();

let run, client, events, stub, talk;
before(
  async () => {
    const entries = Object.entries(AGENTS).map(([id, agent]) => [id, agent.entry]);
    run = await startRun({ agents: Object.fromEntries(entries) });
    ({ client, stub } = run);
    events = await run.events();
    talk = new Talk({ client, stub, events });
    for (const id of Object.keys(AGENTS)) await client.connected(id);
  },
  { timeout: START_TIMEOUT_MS },
);
after(
  async () => {
    writeTables();
    await run?.end();
  },
  { timeout: START_TIMEOUT_MS },
);

/** A check of one agent. What the body returns is its cell in the table; nothing means yes. */
function check(id, name, body) {
  test(name, CHECK, (t) => noting(t, checks, id, name, body));
}

async function noting(t, results, row, column, body) {
  try {
    results.note(row, column, "**failed**");
    const from = client.created.length;
    const cell = (await body(t)) ?? "yes";
    for (const session of client.created.slice(from)) await namesTheModelThatWasAsked(run, AGENTS, session);
    results.note(row, column, cell);
  } catch (error) {
    t.diagnostic(run.log());
    throw error;
  }
}

for (const [id, agent] of Object.entries(AGENTS)) {
  const [ONE, TWO] = agent.models.map((model) => selection(id, model));
  const [one, two] = agent.models.map(({ wire }) => wire);

  /** A session in which one question was asked of the first model, and answered. */
  async function begun() {
    const session = await client.createSession();
    const word = unique("first");
    const answer = await client.prompt(session, `SAY ${word}`, { model: ONE });
    return { session, word, answer, said: [`SAY ${word}`, `[${one}] ${word}`] };
  }

  /** The next prompt is answered by the model, which was given each text exactly once. */
  async function goesOn(session, wire, said) {
    const word = unique("next");
    const answer = await client.prompt(session, `SAY ${word}`);
    assert.equal(answer.info.error, undefined);
    assert.equal(textOf(answer), `[${wire}] ${word}`);
    const asked = talk.requestWith(word);
    assert.equal(asked.model, wire);
    for (const text of said) assert.equal(count(wordsOf(asked), text), 1, `"${text}" in: ${wordsOf(asked)}`);
    return answer;
  }

  describe(agent.name, () => {
    check(id, "first prompt", async () => {
      const { word, answer } = await begun();
      assert.equal(textOf(answer), `[${one}] ${word}`);
      assert.equal(modelOf(answer), `${id} ${ONE.modelID}`);
      assert.equal(talk.requestWith(word).model, one);
    });

    check(id, "tokens", async () => {
      const { answer } = await begun();
      const limit = TOKEN_LIMITS[id];
      assert.equal(answer.info.tokens.input > 0, limit === undefined, `tokens: ${JSON.stringify(answer.info.tokens)}`);
      return limit && `no: ${limit.why}`;
    });

    check(id, "switch", async () => {
      const { session, said } = await begun();
      const { session: shown, applied } = await talk.switchTo(session, TWO);
      assert.equal(shown.runtime.applied.modelID, TWO.modelID);
      assert.equal(applied.current.modelID, TWO.modelID);
      const transfer = id in SWITCH_LIMITS ? ["transcript", 2] : ["native", 0];
      assert.deepEqual([applied.transfer.kind, applied.transfer.messages], transfer);
      const answer = await goesOn(session, two, said);
      assert.equal(modelOf(answer), `${id} ${TWO.modelID}`);
      return `${SWITCH_LIMITS[id] ? `${SWITCH_LIMITS[id].how}: ${SWITCH_LIMITS[id].why}` : "yes"}, ${applied.durationMs} ms`;
    });

    check(id, "switch during a turn", async () => {
      const { session, said } = await begun();
      const from = events.position();
      const slow = `SLOW 2 ${unique("slow")}`;
      const running = client.begin(session, slow);
      await events.until(streamedText(session, "tick-3"), undefined, { from });
      const patched = await client.ok("PATCH", `/session/${session}`, TWO);
      assert.equal(patched.runtime.pending.modelID, TWO.modelID);
      const answer = await running;
      assert.equal(modelOf(answer), `${id} ${ONE.modelID}`);
      const whole = textOf(answer);
      assert.match(whole, /tick-1 .* tick-20 done$/);
      assert.ok(whole.startsWith(`[${one}] tick-1 `), whole);
      const next = await goesOn(session, two, [...said, slow, whole]);
      assert.equal(modelOf(next), `${id} ${TWO.modelID}`);
    });

    check(id, "agent killed", async () => {
      const { session, said } = await begun();
      const killed = await run.killAgents(agent.isProcess);
      const from = events.position();
      const answer = await goesOn(session, one, said);
      assert.equal(modelOf(answer), `${id} ${ONE.modelID}`);
      const alive = run.agentProcesses(agent.isProcess).map(({ pid }) => pid);
      assert.ok(alive.length > 0 && alive.every((pid) => !killed.includes(pid)));
      // Nothing was selected, so nothing may be announced.
      assert.deepEqual(events.since(from, session).filter(({ type }) => type.startsWith("session.model_")), []);
    });

    check(id, "two sessions at once", async () => {
      const { session, said } = await begun();
      const from = events.position();
      const slow = `SLOW 2 ${unique("slow")}`;
      const running = client.begin(session, slow);
      await events.until(streamedText(session, "tick-3"), undefined, { from });
      const other = await client.createSession();
      const word = unique("other");
      const beside = await client.prompt(other, `SAY ${word}`, { model: TWO });
      assert.equal(textOf(beside), `[${two}] ${word}`);
      assert.equal(wordsOf(talk.requestWith(word)).includes(said[0]), false, "one session sees the other's words");
      const answer = await running;
      assert.equal(answer.info.error, undefined);
      assert.match(textOf(answer), /tick-20 done$/);
      await goesOn(session, one, [...said, textOf(answer)]);
      await goesOn(other, two, [`[${two}] ${word}`]);
    });

    check(id, "to mock and back", async () => {
      const { session, said } = await begun();
      await talk.switchTo(session, MOCK);
      const aside = unique("aside");
      await client.prompt(session, `echo ${aside}`);
      const { applied } = await talk.switchTo(session, TWO);
      const transfer = id in SWITCH_LIMITS ? ["transcript", 4] : ["catch_up", 2];
      assert.deepEqual([applied.transfer.kind, applied.transfer.messages], transfer);
      await goesOn(session, two, [...said, `echo ${aside}`]);
    });

    check(id, "tool call", async () => {
      const { tool } = await toolCall(id, ONE);
      return `yes, as \`${tool.tool}\``;
    });

    check(id, "plan", async () => {
      const session = await client.createSession();
      const limit = PLAN_LIMITS[id];
      const patched = await client.call("PATCH", `/session/${session}?wait=true`, { ...ONE, agent: "plan" });
      if (limit) {
        assert.deepEqual([patched.status, patched.body.name], [400, "AgentNotFoundError"]);
        return `refused: ${limit.why}`;
      }
      assert.equal(patched.status, 200, JSON.stringify(patched.body));
      assert.equal(patched.body.runtime.applied.agent, "plan");
      // Another session of the agent is in no mode for planning, and may share the process.
      await toolCall(id, ONE);
      const file = path.join(run.work, `${unique("never")}.txt`);
      await talk.prompt(session, `TOOLWRITE ${file} planned`, {}, "reject");
      assert.equal(talk.requestWith(file).model, one);
      assert.ok(!existsSync(file), "a file was written in plan mode");
    });

    check(id, "unknown model", async () => {
      const { session } = await begun();
      const before = await client.getSession(session);
      const asked = stub.turns().length;
      const wish = { providerID: id, modelID: "no-such-model" };
      const patched = await client.call("PATCH", `/session/${session}`, wish);
      assert.deepEqual([patched.status, patched.body.name], [400, "ProviderModelNotFoundError"]);
      const parts = [{ type: "text", text: "SAY never" }];
      const sent = await client.call("POST", `/session/${session}/message`, { model: wish, parts });
      assert.deepEqual([sent.status, sent.body.name], [400, "ProviderModelNotFoundError"]);
      const shown = await client.getSession(session);
      assert.deepEqual([shown.revision, shown.model], [before.revision, before.model]);
      assert.equal(stub.turns().length, asked);
      return "refused";
    });

    check(id, "model's error", async () => {
      const { session } = await begun();
      const failed = await client.prompt(session, `ERROR 400 ${unique("error")}`);
      assert.equal(modelOf(failed), `${id} ${ONE.modelID}`);
      const limit = ERROR_LIMITS[id];
      const message = `[${one}] stub error 400`;
      const told = { error: failed.info.error?.data.message ?? "", text: textOf(failed) };
      if (limit?.told === "text") {
        assert.equal(failed.info.error, undefined);
        assert.ok(told.text.includes(message), told.text);
      } else if (limit?.told === "silence") {
        assert.match(told.error, /has probably failed/);
        assert.equal(told.text, "");
      } else {
        assert.ok(told.error.includes(message), JSON.stringify(failed));
      }
      const word = unique("better");
      assert.equal(textOf(await client.prompt(session, `SAY ${word}`)), `[${one}] ${word}`);
      return limit ? `as ${limit.told}` : "shown";
    });

    check(id, "ready before the next prompt", async () => {
      const atOnce = IS_MEASURED && (await firstToken((await coldSwitch()).session));
      const warm = await coldSwitch();
      const headStart = pause(IS_MEASURED ? HEAD_START_MS : 0);
      // No prompt has asked for it: it is ready by itself. How soon, is a figure and depends on the machine.
      const isApplied = ofSession(warm.session, "session.model_applied");
      const applied = await events.until(isApplied, APPLIED_TIMEOUT_MS, { from: warm.from });
      await headStart;
      const after = await firstToken(warm.session);
      if (IS_MEASURED) {
        figures.note(id, "start and switch", applied.properties.durationMs);
        figures.note(id, "prompt at once", atOnce);
        figures.note(id, `prompt ${HEAD_START_MS / 1000} s after the switch`, after);
        figures.note(id, "the same prompt again, without a switch", await firstToken(warm.session));
      }
      return `yes, in ${applied.properties.durationMs} ms`;
    });

    /** A conversation with the mock that is switched to the agent, which has to be started for it. */
    async function coldSwitch() {
      const session = await client.createSession();
      await client.prompt(session, `echo ${unique("mock")}`, { model: MOCK });
      await run.killAgents(agent.isProcess);
      const from = events.position();
      await client.ok("PATCH", `/session/${session}`, ONE);
      return { session, from };
    }
  });
}

describe("the conversation moves from each agent to each other", () => {
  for (const from of Object.keys(AGENTS)) {
    for (const to of Object.keys(AGENTS).filter((id) => isPair(from, id))) {
      test(`${from} to ${to}`, CHECK, (t) => noting(t, pairs, from, to, () => movesOver(from, to)));
    }
  }
});

test("nothing was asked that the stub does not have", () => {
  assert.deepEqual(stub.unexpected, []);
});

async function movesOver(from, to) {
  const target = AGENTS[to].models[0];
  const { session, prompt, answer, tool, result, content } = await toolCall(from, selection(from, AGENTS[from].models[0]));
  const { applied } = await talk.switchTo(session, selection(to, target));
  assert.deepEqual([applied.transfer.kind, applied.transfer.messages, applied.transfer.elided], ["transcript", 2, 0]);

  const word = unique("over");
  const next = await client.prompt(session, `SAY ${word}`);
  assert.equal(textOf(next), `[${target.wire}] ${word}`);
  assert.equal(modelOf(next), `${to} ${target.id}`);
  const asked = talk.requestWith(word);
  assert.equal(asked.model, target.wire);
  const given = asked.messages.find(({ text }) => text.includes(word)).text;
  const caption = `[tool ${tool.tool}, completed`;
  const ends = [`| ${prompt}`, caption, `| ${answer.trim().split("\n")[0]}`, `SAY ${word}`];
  const places = ends.map((text) => given.indexOf(text));
  assert.ok(!places.includes(-1), `one of ${JSON.stringify(ends)} is missing in: ${given}`);
  assert.deepEqual(places, places.toSorted((a, b) => a - b), `out of order: ${given}`);
  const call = given.slice(places[1], places[2]);
  for (const text of [content, ...result]) assert.ok(call.includes(text), `"${text}" is missing in: ${call}`);
  return `${applied.transfer.bytes} bytes`;
}

/** A session in which the agent was asked to write a file, and did; what of that has to be handed over. */
async function toolCall(id, model) {
  const session = await client.createSession();
  const content = unique("content");
  const file = path.join(run.work, `${unique("note")}.txt`);
  const prompt = `TOOLWRITE ${file} ${content}`;
  const answered = await talk.prompt(session, prompt, { model });
  assert.equal(answered.info.error, undefined);
  assert.equal(readFileSync(file, "utf8"), content);
  const tools = toolParts(await client.messages(session)).filter(({ tool }) => tool !== "think");
  assert.equal(tools.length, 1, JSON.stringify(tools));
  const [tool] = tools;
  assert.equal(tool.state.status, "completed");
  // An agent tells what its tool has done as a text, as a difference, or both.
  const diffs = (tool.state.metadata?.diffs ?? []).map(({ newText }) => newText);
  const result = [tool.state.output.trim().split("\n")[0], ...diffs].filter(Boolean);
  assert.notEqual(result.length, 0, `the tool call has no result: ${JSON.stringify(tool)}`);
  return { session, prompt, answer: firstText(answered), tool, result, content };
}

/** Milliseconds from sending a prompt to the first piece of its answer. */
async function firstToken(session) {
  const from = events.position();
  const started_ms = performance.now();
  const answer = client.begin(session, `SAY ${unique("token")}`);
  await events.until(ofSession(session, "message.part.delta"), undefined, { from });
  const took_ms = Math.round(performance.now() - started_ms);
  assert.equal((await answer).info.error, undefined);
  const idle = async () => (await client.getSession(session)).runtime.status === "idle";
  await eventually(idle, IDLE_TIMEOUT_MS, () => "the session stays busy after its answer");
  return took_ms;
}

function writeTables() {
  const programs = Object.entries(AGENTS).map(([id, agent]) => `- \`${id}\`: ${agent.name}`);
  if (!IS_MEASURED) return;
  writeResults(RESULTS_FILE, [
    { title: "Agents", text: programs.join("\n") },
    { title: "Each agent", table: checks.table("agent") },
    {
      title: "Each agent to each other",
      text: "The size of the conversation, with a tool call and its result, that the agent of the row has held and the model of the column was given. The agents that came last move to and from two of the others, unless the run was told `--all`.",
      table: pairs.table("from \\ to", Object.keys(AGENTS), Object.keys(AGENTS)),
    },
    {
      title: "The first token after a switch",
      text: "Milliseconds from sending the prompt to the first piece of its answer. The agent's process was killed before the switch, so the switch had to start it; the first prompt of a native session is slower in some agents than the next one.",
      table: figures.table("agent"),
    },
  ]);
}

/** The first text of an answer, which may have several: each begins a line of its own in what is handed over. */
function firstText(answer) {
  return answer.parts.find(({ type }) => type === "text").text;
}
