// Baton with the real `opencode acp` behind it, and the stub LLM behind that: what a model was really asked
// decides whether a switch has kept the conversation.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe } from "node:test";
import { startRun } from "./harness.mjs";
import { count, lastTurn, ofSession, promptUnasked, streamedText, unique, wordsOf } from "./lib/assertions.mjs";
import { modelOf, textOf, toolParts } from "./lib/client.mjs";
import { scenarios } from "./lib/scenario.mjs";

const START_TIMEOUT_MS = 120_000;
const SCENARIO = { timeout: 90_000 };

const ALPHA = { providerID: "opencode", modelID: "stub/alpha" };
const BETA = { providerID: "opencode", modelID: "stub/beta" };
const GAMMA = { providerID: "opencode", modelID: "stub2/gamma" };
const MOCK = { providerID: "mock", modelID: "mock" };

/** The events of one switch, in the order that DESIGN.md promises. */
const SWITCH_EVENTS = [
  "session.model_changed",
  "session.updated",
  "session.next.model.switched",
  "session.model_applied",
];

let run, client, events, stub;
before(
  async () => {
    run = await startRun();
    ({ client, stub } = run);
    events = await run.events();
    await client.connected("opencode");
  },
  { timeout: START_TIMEOUT_MS },
);
after(() => run?.end(), { timeout: START_TIMEOUT_MS });

const scenario = scenarios(() => run, SCENARIO);

/** Changes the selection; returns the session, and the events up to the one that says it is applied. */
async function switchTo(id, selection) {
  const from = events.position();
  const session = await client.select(id, selection);
  const applied = await events.until(ofSession(id, "session.model_applied"), undefined, { from });
  const all = events.since(from, id);
  return { session, applied: applied.properties, seen: all.slice(0, all.indexOf(applied) + 1) };
}

describe("changing the model inside opencode", () => {
  scenario("another model gets the whole conversation, natively", async () => {
    const id = await client.createSession();
    const apple = unique("apple");
    const first = await client.prompt(id, `SAY ${apple}`, { model: ALPHA });
    assert.equal(textOf(first), `[alpha] ${apple}`);
    assert.equal(modelOf(first), "opencode stub/alpha");
    assert.equal(lastTurn(stub).model, "alpha");

    const { session, applied, seen } = await switchTo(id, BETA);
    assert.deepEqual([session.model.providerID, session.model.id], ["opencode", "stub/beta"]);
    assert.equal(session.runtime.applied.modelID, "stub/beta");
    assert.equal(session.runtime.pending, null);
    const order = seen.map((event) => event.type).filter((type) => SWITCH_EVENTS.includes(type));
    assert.deepEqual(order, SWITCH_EVENTS);
    const changed = seen.find((event) => event.type === "session.model_changed").properties;
    assert.equal(changed.revision, session.revision);
    assert.equal(changed.effective, "immediate");
    assert.equal(applied.revision, session.revision);
    assert.equal(applied.current.modelID, "stub/beta");
    assert.deepEqual([applied.transfer.kind, applied.transfer.messages], ["native", 0]);

    const second = await client.prompt(id, "HISTORY");
    assert.equal(textOf(second), "[beta] history: 3 messages");
    assert.equal(lastTurn(stub).model, "beta");
    const asked = lastTurn(stub).messages.map(({ role, text }) => `${role}: ${text}`);
    assert.deepEqual(asked, [`user: SAY ${apple}`, `assistant: [alpha] ${apple}`, "user: HISTORY"]);

    const models = (await client.messages(id)).map((message) => `${message.info.role} ${modelOf(message)}`);
    assert.deepEqual(models, [
      "user opencode stub/alpha",
      "assistant opencode stub/alpha",
      // The line that tells the user of the switch.
      "user opencode stub/beta",
      "user opencode stub/beta",
      "assistant opencode stub/beta",
    ]);
  });

  scenario("a change during a turn waits for the next one", async () => {
    const id = await client.createSession();
    const from = events.position();
    const running = client.begin(id, "SLOW 2", { model: ALPHA });
    await events.until(streamedText(id, "tick-3"), undefined, { from });

    const session = await client.ok("PATCH", `/session/${id}`, GAMMA);
    assert.equal(session.model.id, "stub2/gamma");
    assert.equal(session.runtime.pending.modelID, "stub2/gamma");
    const changed = await events.until(
      (event) => ofSession(id, "session.model_changed")(event) && event.properties.current.modelID === "stub2/gamma",
      undefined,
      { from },
    );
    assert.equal(changed.properties.effective, "next_turn");

    const answer = await running;
    assert.equal(modelOf(answer), "opencode stub/alpha");
    assert.match(textOf(answer), /^\[alpha\] tick-1 .* tick-20 done$/);
    const next = await client.prompt(id, "HISTORY");
    assert.equal(textOf(next), "[gamma] history: 3 messages");
    assert.equal(modelOf(next), "opencode stub2/gamma");
    assert.equal(lastTurn(stub).path, "/stub2/v1/chat/completions");
  });

  scenario("the variant reaches the model, and goes where there is none", async () => {
    const id = await client.createSession();
    const { session } = await switchTo(id, { ...BETA, variant: "high" });
    assert.equal(session.model.variant, "high");
    await client.prompt(id, "SAY one");
    assert.deepEqual([lastTurn(stub).model, lastTurn(stub).effort], ["beta", "high"]);

    await switchTo(id, { ...BETA, variant: "medium" });
    const answer = await client.prompt(id, "SAY two");
    assert.deepEqual([lastTurn(stub).model, lastTurn(stub).effort], ["beta", "medium"]);
    assert.equal(answer.info.variant, "medium");

    const { session: without, seen } = await switchTo(id, ALPHA);
    assert.equal(without.model.variant, "default");
    assert.equal(seen.find((event) => event.type === "session.model_changed").properties.variantReset, true);
    await client.prompt(id, "SAY three");
    assert.deepEqual([lastTurn(stub).model, lastTurn(stub).effort], ["alpha", undefined]);
  });

  scenario("the agent plan becomes opencode's plan mode, and build ends it", async () => {
    const id = await client.createSession();
    await client.prompt(id, "SAY one", { model: ALPHA, agent: "plan" });
    assert.match(lastTurn(stub).messages.at(-1).text, /<system-reminder>[\s\S]*plan mode/i);
    await switchTo(id, { agent: "build" });
    await client.prompt(id, "SAY two");
    assert.match(lastTurn(stub).messages.at(-1).text, /no longer in read-only mode/);
  });

  scenario("an unknown model or variant is refused with suggestions and changes nothing", async () => {
    const id = await client.createSession();
    await client.prompt(id, "SAY one", { model: ALPHA });
    const before = await client.getSession(id);
    const asked = stub.turns().length;
    const from = events.position();

    const refusal = await client.call("PATCH", `/session/${id}`, { providerID: "opencode", modelID: "stub/alpa" });
    assert.equal(refusal.status, 400);
    assert.equal(refusal.body.name, "ProviderModelNotFoundError");
    assert.deepEqual([refusal.body.data.providerID, refusal.body.data.modelID], ["opencode", "stub/alpa"]);
    assert.ok(refusal.body.data.suggestions.some((suggestion) => suggestion.includes("stub/alpha")));

    const variant = await client.call("PATCH", `/session/${id}`, { ...BETA, variant: "extreme" });
    assert.equal(variant.status, 400);
    assert.equal(variant.body.name, "ProviderModelNotFoundError");

    const model = { providerID: "opencode", modelID: "stub/nope" };
    const parts = [{ type: "text", text: "SAY two" }];
    const message = await client.call("POST", `/session/${id}/message`, { model, parts });
    assert.equal(message.status, 400);
    assert.equal(message.body.name, "ProviderModelNotFoundError");

    const session = await client.getSession(id);
    assert.deepEqual([session.revision, session.model], [before.revision, before.model]);
    assert.equal((await client.messages(id)).length, 2);
    assert.equal(stub.turns().length, asked);
    assert.deepEqual(events.since(from, id), []);
  });
});

describe("handing the conversation to another backend", () => {
  scenario("what opencode and its tools said reaches the mock", async () => {
    const id = await client.createSession();
    const [file, content, fig] = [`${unique("note")}.txt`, unique("content"), unique("fig")];
    const wrote = await client.prompt(id, `TOOLWRITE ${file} ${content}`, { model: ALPHA });
    assert.equal(textOf(wrote), "[alpha] tool said: Wrote file successfully.");
    assert.equal(readFileSync(path.join(run.work, file), "utf8"), content);
    const [tool] = toolParts(await client.messages(id));
    assert.equal(tool.tool, "write");
    assert.equal(tool.state.status, "completed");
    assert.equal(tool.state.input.content, content);
    assert.match(tool.state.output, /Wrote file successfully/);
    await client.prompt(id, `SAY ${fig}`);

    const { applied } = await switchTo(id, MOCK);
    assert.deepEqual([applied.transfer.kind, applied.transfer.messages], ["transcript", 4]);
    assert.equal(applied.transfer.elided, 0);
    const answer = await client.prompt(id, "history");
    assert.equal(modelOf(answer), "mock mock");
    const told = textOf(answer);
    const user = `TOOLWRITE ${file}`;
    for (const text of [user, content, "tool write", "Wrote file successfully", `[alpha] ${fig}`, "stub/alpha"]) {
      assert.ok(told.includes(text), `${text} is missing in: ${told}`);
    }
  });

  scenario("on the way back opencode gets what it missed, and nothing twice", async () => {
    const id = await client.createSession();
    const [pear, plum, lime] = [unique("pear"), unique("plum"), unique("lime")];
    await client.prompt(id, `SAY ${pear}`, { model: ALPHA });
    await switchTo(id, MOCK);
    const aside = await client.prompt(id, `echo ${plum}`);
    assert.ok(textOf(aside).includes(plum));

    const { applied } = await switchTo(id, GAMMA);
    assert.deepEqual([applied.transfer.kind, applied.transfer.messages], ["catch_up", 2]);
    assert.ok(applied.transfer.bytes > 0);
    const answer = await client.prompt(id, `SAY ${lime}`);
    assert.equal(textOf(answer), `[gamma] ${lime}`);

    const asked = lastTurn(stub);
    assert.deepEqual([asked.model, asked.path], ["gamma", "/stub2/v1/chat/completions"]);
    const words = wordsOf(asked);
    for (const text of [`SAY ${pear}`, `[alpha] ${pear}`, `echo ${plum}`, `SAY ${lime}`]) {
      assert.equal(count(words, text), 1, `${text} in: ${words}`);
    }
    const newest = asked.messages.at(-1).text;
    assert.ok(newest.includes(`echo ${plum}`) && newest.includes("mock"), newest);
    assert.ok(!newest.includes(pear), newest);

    // It is opencode's own history now: the next prompt brings nothing but itself.
    await client.prompt(id, "HISTORY");
    assert.equal(lastTurn(stub).messages.at(-1).text, "HISTORY");
    assert.equal(count(wordsOf(lastTurn(stub)), `echo ${plum}`), 1);
  });

  scenario("a conversation that began with the mock reaches opencode whole", async () => {
    const id = await client.createSession();
    const [kiwi, date, go] = [unique("kiwi"), unique("date"), unique("go")];
    await client.prompt(id, `echo ${kiwi}`, { model: MOCK });
    await client.prompt(id, `echo ${date}`);
    const { applied } = await switchTo(id, ALPHA);
    assert.deepEqual([applied.transfer.kind, applied.transfer.messages], ["transcript", 4]);

    const answer = await client.prompt(id, `SAY ${go}`);
    assert.equal(textOf(answer), `[alpha] ${go}`);
    const { messages } = lastTurn(stub);
    assert.deepEqual(messages.map(({ role }) => role), ["user"]);
    const { text } = messages[0];
    const places = [`echo ${kiwi}`, `echo ${date}`, `SAY ${go}`].map((words) => text.indexOf(words));
    assert.ok(!places.includes(-1), text);
    assert.deepEqual(places, places.toSorted((a, b) => a - b), "the conversation is out of order");
    assert.match(text, /mock/);
    // What clients see is what the user wrote, and that the model was switched; the transcript is for the model alone.
    const shown = (await client.messages(id)).filter(({ info }) => info.role === "user").map(textOf);
    const told = "Model: Mock (Mock) → stub/Alpha (OpenCode)";
    assert.deepEqual(shown, [`echo ${kiwi}`, `echo ${date}`, told, `SAY ${go}`]);
    assert.ok(!text.includes(told), "what only the user is told was given to the model");
  });

  scenario("hidden reasoning stays behind", async () => {
    const id = await client.createSession();
    const nut = unique("nut");
    const thought = await client.prompt(id, `REASON ${nut}`, { model: ALPHA });
    const reasoning = thought.parts.filter((part) => part.type === "reasoning").map((part) => part.text);
    assert.deepEqual(reasoning, [`[alpha] thinking about: ${nut}`]);
    assert.equal(textOf(thought), `[alpha] ${nut}`);
    await switchTo(id, MOCK);
    const told = textOf(await client.prompt(id, "history"));
    assert.ok(told.includes(`[alpha] ${nut}`), told);
    assert.ok(!told.includes("thinking about"), told);
  });
});

describe("a turn of opencode", () => {
  /** Sends a prompt that needs a permission and resolves at the request for it. */
  async function askFor(id, command, options) {
    const from = events.position();
    const answer = client.begin(id, `TOOLBASH ${command}`, options);
    const asked = await events.until(ofSession(id, "permission.asked"), undefined, { from });
    return { request: asked.properties, answer };
  }

  const reply = (request, word) => client.ok("POST", `/permission/${request.id}/reply`, { reply: word });

  scenario("asks for a permission; once is once, always is always", async () => {
    const id = await client.createSession();
    const [one, two] = [unique("one"), unique("two")];
    const from = events.position();

    const first = await askFor(id, `echo ${one}`, { model: ALPHA });
    assert.equal(first.request.permission, "bash");
    assert.ok(JSON.stringify([first.request.patterns, first.request.metadata]).includes(`echo ${one}`));
    const open = await client.ok("GET", "/permission");
    assert.deepEqual(open.map((request) => request.id), [first.request.id]);
    assert.equal(await reply(first.request, "once"), true);
    assert.equal(textOf(await first.answer), `[alpha] tool said: ${one}\n`);
    assert.deepEqual(await client.ok("GET", "/permission"), []);

    const second = await askFor(id, `echo ${two}`);
    assert.equal(await reply(second.request, "always"), true);
    assert.equal(textOf(await second.answer), `[alpha] tool said: ${two}\n`);

    const third = await promptUnasked({ client, events }, id, `TOOLBASH echo ${two}`);
    assert.equal(textOf(third), `[alpha] tool said: ${two}\n`);
    const replies = events.since(from).filter(ofSession(id, "permission.replied"));
    const answered = replies.map(({ properties }) => [properties.requestID, properties.reply]);
    assert.deepEqual(answered.slice(0, 2), [[first.request.id, "once"], [second.request.id, "always"]]);
    const asked = events.since(from).filter(ofSession(id, "permission.asked")).map(({ properties }) => properties.id);
    assert.deepEqual(asked, [first.request.id, second.request.id]);
  });

  scenario("a refused permission ends the tool call, and is no failure of the model", async () => {
    const id = await client.createSession();
    const file = `${unique("never")}.txt`;
    const { request, answer } = await askFor(id, `touch ${file}`, { model: ALPHA });
    assert.equal(await reply(request, "reject"), true);
    assert.equal((await answer).info.error, undefined);
    const [tool] = toolParts(await client.messages(id));
    assert.deepEqual([tool.tool, tool.state.status], ["bash", "error"]);
    assert.ok(!existsSync(path.join(run.work, file)));
    assert.equal(textOf(await client.prompt(id, "SAY still here")), "[alpha] still here");
  });

  scenario("is aborted: the partial answer stays, and the model is told to stop", async () => {
    const id = await client.createSession();
    const from = events.position();
    const running = client.begin(id, "SLOW 60", { model: ALPHA });
    await events.until(streamedText(id, "tick-3"), undefined, { from });
    const asked = lastTurn(stub);
    assert.equal(await client.ok("POST", `/session/${id}/abort`), true);

    const answer = await running;
    assert.equal(answer.info.error.name, "MessageAbortedError");
    assert.match(textOf(answer), /^\[alpha\] tick-1 tick-2 tick-3/);
    await stub.waitFor((request) => request.index === asked.index && request.state === "aborted");
    await events.until(ofSession(id, "session.idle"), undefined, { from });
    assert.equal((await client.getSession(id)).runtime.status, "idle");

    assert.equal(textOf(await client.prompt(id, "SAY after")), "[alpha] after");
    assert.equal(count(wordsOf(lastTurn(stub)), "SLOW 60"), 1);
  });

  scenario("shows the model's error and goes on", async () => {
    const id = await client.createSession();
    const failed = await client.prompt(id, "ERROR 400", { model: ALPHA });
    assert.match(failed.info.error.data.message, /\[alpha\] stub error 400/);
    assert.equal(modelOf(failed), "opencode stub/alpha");
    assert.equal(textOf(await client.prompt(id, "SAY better")), "[alpha] better");
    const stored = (await client.messages(id)).filter(({ info }) => info.role === "assistant");
    assert.deepEqual(stored.map(({ info }) => info.error?.data.message.includes("stub error 400")), [true, undefined]);
  });
});
