// What real agents do when their model's provider refuses, and how a chain goes on from there: whatever an agent makes of
// the refusal (an error, a text, silence), the prompt is answered by the next model, and the reason is told.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startRun } from "./harness.mjs";
import { AGENTS, IS_WHOLE, SKIPPED } from "./lib/agents.mjs";
import { unique } from "./lib/assertions.mjs";
import { textOf } from "./lib/client.mjs";
import { Talk, selection } from "./lib/talk.mjs";

const START_TIMEOUT_MS = 120_000;
const CHECK = { timeout: 120_000 };
const LONG = { timeout: 3_000_000 };
/** Agents at once. */
const CONCURRENCY = 2;
/** How long a model may say nothing. Those that try again for minutes by themselves are told by it. */
const SILENT_S = 4;
/** How long a model is left out that names no time. */
const PAUSE_S = 2;

const MOCK = { providerID: "mock", modelID: "mock" };
/** The refusals of a run that does not try everything. */
const KINDS = ["quota", "overloaded"];
const ALL_KINDS = ["rate", "quota", "credit", "overloaded", "outage", "signin"];
/** The agents that a run which tries only some tries this with. */
const FEW = ["opencode", "claude", "codex", "qwen"];
/** What each refusal may be told as. Agents word some of them as others, and those that tell nothing fall silent, or end
 * without a word. */
const CAUSES = {
  rate: ["rate_limit", "quota", "silent"],
  quota: ["quota", "rate_limit", "silent", "outage"],
  credit: ["quota", "outage"],
  overloaded: ["overloaded", "rate_limit", "outage", "silent"],
  outage: ["outage", "overloaded", "silent"],
  signin: ["signed_out", "outage"],
};

const isTried = (id) => IS_WHOLE || FEW.includes(id) || SKIPPED.length > 0;

describe("refusals", { concurrency: CONCURRENCY }, () => {
  for (const [id, agent] of Object.entries(AGENTS).filter(([id]) => isTried(id))) describe(agent.name, { concurrency: 1 }, () => refusalsOf(id, agent));
});

function refusalsOf(id, agent) {
  let run;
  before(
    async () => {
      const config = `[fallback]\nchain = [{ providerID = "mock", modelID = "mock" }]\nsilent_s = ${SILENT_S}\n`;
      run = await startRun({ agents: { [id]: agent.entry }, config });
      await run.client.connected(id);
    },
    { timeout: START_TIMEOUT_MS },
  );
  after(() => run?.end(), { timeout: START_TIMEOUT_MS });

  for (const kind of IS_WHOLE ? ALL_KINDS : KINDS) {
    test(`${kind}: the prompt goes on with the next model`, CHECK, async () => {
      // Who was left out is asked again.
      await run.killBaton();
      await run.startBaton();
      const { client, stub } = run;
      await client.connected(id);
      const session = await client.createSession();
      await client.select(session, selection(id, agent.models[0]));
      const word = unique("word");
      stub.refuses = () => kind;
      const answer = await client.prompt(session, `echo ${word}`);
      stub.refuses = null;
      assert.equal(answer.info.error, undefined, JSON.stringify(answer.info.error));
      assert.deepEqual([answer.info.providerID, textOf(answer)], ["mock", word]);
      const { switches } = await client.ok("GET", `/session/${session}/model`);
      const { source, reason } = switches.at(-1);
      assert.equal(source, "fallback");
      assert.ok(CAUSES[kind].includes(reason.cause), `${kind} is told as ${JSON.stringify(reason)}`);
      // Nothing of what the first one said is handed over as an answer.
      const known = textOf(await client.prompt(session, "history"));
      assert.equal(known.split(word).length - 1, 2, `prompt and answer, once each: ${known}`);
    });
  }
}

const LONG_AGENTS = ["opencode", "claude", "codex"];
const PROMPTS = IS_WHOLE ? 200 : 11;
/** Every so many prompts one runs a tool, and its model is refused after that. */
const TOOL_EVERY = 5;

describe("a long run", { skip: LONG_AGENTS.some((id) => !AGENTS[id]) }, () => {
  let run;
  before(
    async () => {
      const chain = LONG_AGENTS.map((id) => `{ providerID = "${id}", modelID = "${AGENTS[id].models[0].id}" }`);
      const config = `[fallback]\nchain = [${chain.join(", ")}, { providerID = "mock", modelID = "mock" }]\nreturn = "never"\nsilent_s = ${SILENT_S}\npause_s = ${PAUSE_S}\n`;
      const agents = Object.fromEntries(LONG_AGENTS.map((id) => [id, AGENTS[id].entry]));
      run = await startRun({ agents, config });
      for (const id of LONG_AGENTS) await run.client.connected(id);
    },
    { timeout: START_TIMEOUT_MS },
  );
  after(() => run?.end(), { timeout: START_TIMEOUT_MS });

  test(`${PROMPTS} prompts are answered while one provider after the other refuses`, LONG, async () => {
    const { client, stub } = run;
    const events = await run.events();
    const talk = new Talk({ client, stub, events });
    const session = await client.createSession();
    await client.select(session, selection("opencode", AGENTS.opencode.models[0]));
    let current = "opencode";
    let refused = 0;
    const tools = [];
    for (let n = 0; n < PROMPTS; n += 1) {
      const word = unique("word");
      const isTool = n % TOOL_EVERY === 0;
      const refuses = n % 2 === 0 && current !== "mock";
      if (refuses) {
        const path = `/${current}/`;
        const hasRun = ({ messages }) => messages.findLastIndex(({ role }) => role === "tool") > messages.findLastIndex(({ text }) => text.includes(word));
        const isOne = (request) => request.path.startsWith(current === "opencode" ? "/stub/" : path);
        stub.refuses = (request) => (isOne(request) && (!isTool || hasRun(request)) ? "brief" : null);
      }
      const text = isTool ? `TOOLBASH echo ${word} >> ran.txt; echo done` : `SAY ${word}`;
      if (isTool && current !== "mock") tools.push(word);
      const answer = await talk.prompt(session, text);
      stub.refuses = null;
      assert.equal(answer.info.error, undefined, `prompt ${n}: ${JSON.stringify(answer.info.error)}`);
      if (refuses) {
        refused += 1;
        assert.notEqual(answer.info.providerID, current, `prompt ${n} was answered by the one that refuses`);
      }
      current = answer.info.providerID;
      // Those that have named a time come back; whoever fell silent is left out for longer.
      const { switches } = await client.ok("GET", `/session/${session}/model`);
      const { reason } = switches.at(-1);
      if (refuses && reason?.cause !== "silent") await pause(Math.max(0, reason.until - Date.now()));
      if (current === "mock") {
        const next = LONG_AGENTS[n % LONG_AGENTS.length];
        await client.select(session, selection(next, AGENTS[next].models[0]));
        current = next;
      }
    }
    const messages = await client.messages(session);
    const wires = Object.fromEntries(LONG_AGENTS.map((id) => [id, AGENTS[id].models[0].wire]));
    for (const { info, parts } of messages.filter(({ info }) => info.role === "assistant" && wires[info.providerID])) {
      const [, said] = /\[([^\]\s]+)\]/.exec(textOf({ parts })) ?? [];
      if (said !== undefined) assert.equal(said, wires[info.providerID], `an answer names ${info.modelID}`);
      else assert.ok(info.error, `an answer of ${info.modelID} says nothing`);
    }
    const ran = readFileSync(path.join(run.work, "ran.txt"), "utf8").trim().split("\n");
    assert.deepEqual(ran, tools, "each tool ran once");
    const { switches } = await client.ok("GET", `/session/${session}/model`);
    for (const [at, { previous, current, source, reason }] of switches.entries()) {
      if (at > 0) assert.deepEqual(previous, switches[at - 1].current, "the trail has no gap");
      if (source === "fallback") assert.ok(reason?.message, `why ${current.providerID}?`);
    }
    const fell = switches.filter(({ source }) => source === "fallback").length;
    assert.ok(fell >= refused, `${refused} refusals, ${fell} changes`);
    console.log(`# ${PROMPTS} prompts, ${refused} refusals, ${fell} changes, ${ran.length} tools`);
  });
});
