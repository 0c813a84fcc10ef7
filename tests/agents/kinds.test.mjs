// Kinds of faults that real agents bring about, with every agent that can show them: what its model is given, what its
// answers say and cost, and what becomes of what it writes to stderr. A Baton for each agent; its rows go into the results.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startRun } from "./harness.mjs";
import { AGENTS, IS_WHOLE, isTriedWhole } from "./lib/agents.mjs";
import { ofSession, streamedText, unique, wordsOf } from "./lib/assertions.mjs";
import { modelOf, textOf, toolParts } from "./lib/client.mjs";
import { HALF, IN_TOOL, KINDS, KIND_LIMITS, forgetSessions } from "./lib/kinds.mjs";
import { TOKEN_LIMITS } from "./lib/limits.mjs";
import { eventually } from "./lib/processes.mjs";
import { RESULTS_FILE, Results, writeResults } from "./lib/results.mjs";
import { Talk, selection } from "./lib/talk.mjs";
import { namesTheModelThatWasAsked } from "./lib/truth.mjs";

const START_TIMEOUT_MS = 120_000;
const CHECK = { timeout: 120_000 };
/** Agents at once. */
const CONCURRENCY = 2;
/** A prompt is stopped this long after it was sent. */
const AT_ONCE_MS = 30;
const IDLE_TIMEOUT_MS = 30_000;
const TOOL_OUTPUT_BYTES = 120_001;

const DESCRIBED_REQUESTS = 4;
const DESCRIBED_CHARS = 200;

const MOCK = { providerID: "mock", modelID: "mock" };
/** The backend that is the same agent with its model given at launch. */
const LAUNCHED = "launched";
/** What every agent writes to stderr, again and again. */
const STDERR_MARKER = unique("stderr");
/** The file in its home that has what was written. */
const TOLD = "stderr";
const LOUD = `(while kill -0 $$ 2>/dev/null; do echo "key ${STDERR_MARKER}" | tee "$HOME/${TOLD}" >&2; sleep 0.5; done) >/dev/null & exec "$@"`;

const results = new Results();

describe("kinds of faults", { concurrency: CONCURRENCY }, () => {
  const tried = Object.entries(AGENTS).filter(([id]) => isTriedWhole(id));
  for (const [id, agent] of tried) describe(agent.name, { concurrency: 1 }, () => kindsOf(id, agent));
});
after(() => {
  if (!IS_WHOLE && !process.env.BATON_RESULTS) return;
  const text = "What an agent cannot show is named, with the reason.";
  writeResults(RESULTS_FILE, [{ title: "Kinds of faults", text, table: results.table("agent") }]);
});

function kindsOf(id, agent) {
  const [model] = agent.models;
  const ONE = selection(id, model);
  const one = model.wire;
  const { launched, costs } = KINDS[id];

  let run, client, events, stub, talk, session, env;
  const marks = [];
  before(
    async () => {
      const entry = (run) => {
        const made = agent.entry(run);
        env = made.env;
        return loud(made);
      };
      const models = agent.models.map(({ id }) => id);
      const agents = { [id]: entry, [LAUNCHED]: (run) => ({ models, ...launched(agent.entry(run)) }) };
      run = await startRun({ agents });
      ({ client, stub } = run);
      events = await run.events();
      talk = new Talk({ client, stub, events });
      for (const backend of Object.keys(agents)) await client.connected(backend);
      session = await client.createSession();
    },
    { timeout: START_TIMEOUT_MS },
  );
  after(() => run?.end(), { timeout: START_TIMEOUT_MS });

  /** A check; what its body returns is the cell in the table, and nothing means yes. */
  function check(kind, body) {
    test(kind, CHECK, async (t) => {
      const limit = KIND_LIMITS[id]?.[kind];
      results.note(id, kind, "**failed**");
      try {
        const cell = limit?.skip ? undefined : await body(limit);
        const known = { ...AGENTS, [LAUNCHED]: agent };
        for (const each of client.created) await namesTheModelThatWasAsked(run, known, each);
        results.note(id, kind, cell ?? (limit ? `no: ${limit.why}` : "yes"));
        if (limit) t.diagnostic(`${id} cannot show this: ${limit.why}`);
      } catch (error) {
        t.diagnostic(run.log());
        t.diagnostic(stub.requests.slice(-DESCRIBED_REQUESTS).map(described).join("\n"));
        // What is still running must not fail the next check.
        await client.call("POST", `/session/${session}/abort`);
        throw error;
      }
    });
  }

  /** Something is said to another agent, which this one is to know with its next prompt; and this one is selected. */
  async function missed() {
    await talk.switchTo(session, MOCK);
    marks.push(unique("mark"));
    await client.prompt(session, `echo ${marks.at(-1)}`);
    await talk.switchTo(session, ONE);
  }

  /** The next prompt is answered, by a model that was given all of the conversation. */
  async function knowsEverything(wire = one) {
    const word = unique("next");
    const answer = await client.prompt(session, `SAY ${word}`);
    assert.equal(answer.info.error, undefined);
    assert.equal(textOf(answer), `[${wire}] ${word}`);
    const asked = talk.requestWith(word);
    for (const mark of marks) assert.ok(wordsOf(asked).includes(mark), `"${mark}" is missing in: ${wordsOf(asked)}`);
    return answer;
  }

  const runsTool = ({ type, properties }) =>
    type === "message.part.updated" &&
    properties.part.sessionID === session &&
    properties.part.type === "tool" &&
    ["pending", "running"].includes(properties.part.state.status);

  async function isIdle() {
    const idle = async () => (await client.getSession(session)).runtime.status === "idle";
    await eventually(idle, IDLE_TIMEOUT_MS, () => "the session stays busy");
  }

  /** A prompt that takes long is stopped; the next one knows what it was given with it, and what it was. */
  async function stoppedAfter(command, begun) {
    await missed();
    const word = unique("mark");
    const from = events.position();
    const parts = [{ type: "text", text: `${command} ${word}` }];
    await client.ok("POST", `/session/${session}/prompt_async`, { parts });
    await begun(from);
    await client.ok("POST", `/session/${session}/abort`);
    await isIdle();
    marks.push(word);
    await knowsEverything();
  }

  check("1: stopped at once", () => stoppedAfter("SLOW 5", () => pause(AT_ONCE_MS)));

  check("1: stopped while it answers", () =>
    stoppedAfter("SLOW 5", (from) => events.until(streamedText(session, "tick-2"), undefined, { from })));

  check(IN_TOOL, () =>
    stoppedAfter("TOOLBASH timeout 30 tail -f /dev/null; echo", async (from) => {
      const begun = (event) => ofSession(session, "permission.asked")(event) || runsTool(event);
      const { type, properties } = await events.until(begun, undefined, { from });
      if (type !== "permission.asked") return;
      await client.ok("POST", `/permission/${properties.id}/reply`, { reply: "once" });
      await events.until(runsTool, undefined, { from });
    }));

  for (const [kind, command] of [["signed out", "ERROR 401"], ["refused", "ERROR 400"], ["too long", "TOOLONG"]]) {
    check(`1: ${kind}`, async () => {
      await missed();
      const word = unique("refused");
      const answer = await client.prompt(session, `${command} ${word}`);
      await isIdle();
      await knowsEverything();
      return textOf(answer) === `[${one}] ${word}` ? "answered at once" : undefined;
    });
  }

  check(HALF, async (limit) => {
    const word = unique("half");
    const answer = await client.prompt(session, `HALF ${word}`);
    await isIdle();
    if (limit) return void (await knowsEverything());
    assert.equal(answer.info.error, undefined);
    const text = textOf(answer);
    assert.ok(text.startsWith(`[${one}] ${word} \u{1f600} cut:`) && text.endsWith(` ${word} end`), text);
  });

  check("2: a tool's output cut in an emoji", async () => {
    for (const before of ["", "a"]) {
      const word = unique("end");
      // Numbers between them: an agent may stop what repeats itself.
      const print = `printf '${before}\\303('; seq -s \u{1f600} 1 40000 | head -c ${TOOL_OUTPUT_BYTES}; echo; echo ${word}`;
      const answer = await talk.prompt(session, `TOOLBASH ${print}`);
      assert.equal(answer.info.error, undefined);
      assert.match(textOf(answer), /tool said: /);
      const [tool] = toolParts((await client.messages(session)).slice(-1)).filter(({ tool }) => tool !== "think");
      assert.equal(tool?.state.status, "completed", JSON.stringify(tool));
      await isIdle();
    }
    await knowsEverything();
  });

  check("3: what answers cost after a crash", async () => {
    const before = await knowsEverything();
    const isReported = !(id in TOKEN_LIMITS);
    assert.equal(before.info.cost > 0, Boolean(costs), `cost: ${before.info.cost}`);
    const running = client.begin(session, `SLOW 20 ${unique("killed")}`);
    await events.until(streamedText(session, "tick-3"), undefined, { from: events.position() });
    await run.killAgents(agent.isProcess);
    assert.ok((await running).info.error);
    const asked = stub.requests.length;
    const after = await knowsEverything();
    if (!isReported && !costs) return `no: ${TOKEN_LIMITS[id].why}`;
    const told = sum(stub.requests.slice(asked).map(({ tokens }) => tokens));
    const booked = tokensOf(after);
    if (isReported) assert.ok(booked > 0 && booked <= told, `${booked} tokens are booked, and the model has told ${told}`);
    if (!costs) return undefined;
    const share = (answer) => answer.info.cost / tokensOf(answer);
    assert.ok(after.info.cost > 0 && share(after) < 2 * share(before), `${after.info.cost} for ${booked}; before: ${before.info.cost} for ${tokensOf(before)}`);
    return undefined;
  });

  check("4: native session deleted", async () => {
    const { forgetLive } = KINDS[id];
    await (forgetLive ? forgetLive(env) : forgetSessions(id, run.homeOf(id)));
    await knowsEverything();
    await run.killAgents(agent.isProcess);
    await forgetSessions(id, run.homeOf(id));
    await knowsEverything();
  });

  check("5: model of the launch", async () => {
    for (const { id: modelID, wire } of agent.models) {
      await talk.switchTo(session, { providerID: LAUNCHED, modelID });
      const answer = await knowsEverything(wire);
      assert.equal(modelOf(answer), `${LAUNCHED} ${modelID}`);
    }
  });

  check("stderr", async () => {
    assert.ok(existsSync(path.join(run.homeOf(id), TOLD)), "nothing was written to stderr");
    const seen = { messages: [], events: events.events, asked: stub.requests.map(({ body }) => body) };
    for (const each of client.created) seen.messages.push(...(await client.messages(each)));
    for (const [where, what] of Object.entries(seen)) {
      assert.ok(!JSON.stringify(what).includes(STDERR_MARKER), `what the process wrote to stderr stands in its ${where}`);
    }
  });
}

/** The end of what a model was asked, for the message of a failed check. */
function described({ index, model, auxiliary, state, messages }) {
  const last = messages.slice(-2).map(({ role, text }) => `${role}: ${text.slice(-DESCRIBED_CHARS)}`);
  return `#${index} ${model} ${auxiliary ?? ""} ${state}: ${last.join(" | ")}`;
}

/** The same agent with a shell around it that writes to its stderr as long as it lives. */
function loud({ command, ...entry }) {
  return { ...entry, command: ["/bin/sh", "-c", LOUD, "sh", ...command] };
}

function tokensOf({ info: { tokens } }) {
  return sum([tokens.input, tokens.output, tokens.reasoning, tokens.cache.read, tokens.cache.write]);
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
