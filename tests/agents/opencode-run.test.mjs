// What is run in a session beside prompts, with the real `opencode acp` behind Baton: a command line, slash
// commands, and a summary. What the model was really asked decides.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before } from "node:test";
import { startRun } from "./harness.mjs";
import { lastTurn, ofSession, unique } from "./lib/assertions.mjs";
import { modelOf, textOf } from "./lib/client.mjs";
import { scenarios } from "./lib/scenario.mjs";

const START_TIMEOUT_MS = 120_000;
const SCENARIO = { timeout: 90_000 };
const ALPHA = { providerID: "opencode", modelID: "stub/alpha" };
const GAMMA = { providerID: "opencode", modelID: "stub2/gamma" };
const MOCK = { providerID: "mock", modelID: "mock" };

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

/** Everything that the last request of a conversation has said to the model. */
function asked() {
  return lastTurn(stub)
    .messages.map(({ role, text }) => `${role}: ${text}`)
    .join("\n");
}

scenario("a command line is known to the model that goes on", async () => {
  const id = await client.createSession();
  const [apple, pear] = [unique("apple"), unique("pear")];
  await client.prompt(id, `SAY ${apple}`, { model: ALPHA });
  const shell = await client.ok("POST", `/session/${id}/shell`, { agent: "build", model: ALPHA, command: `echo ${pear}` });
  assert.equal(shell.parts[0].state.output, `${pear}\n`);
  assert.equal(textOf(await client.prompt(id, "SAY after")), "[alpha] after");
  // Its own native session went on, and was told of the command and its output.
  assert.match(asked(), new RegExp(`assistant: \\[alpha\\] ${apple}[^]*\\| echo ${pear}\\n[^]*\\| ${pear}\\n`));
});

scenario("a template is filled in by Baton and answered by the model that it names", async () => {
  const folder = path.join(run.work, ".opencode", "command");
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "greet.md"), "---\nmodel: stub2/gamma\n---\nSAY hello $1 from !`echo the shell`\n");
  const id = await client.createSession();
  const plum = unique("plum");
  await client.prompt(id, `SAY ${plum}`, { model: MOCK });
  const from = events.position();
  const answer = await client.ok("POST", `/session/${id}/command`, { command: "greet", arguments: "world", model: "mock/mock" });
  assert.equal(textOf(answer), "[gamma] hello world from the shell");
  assert.equal(modelOf(answer), "opencode stub2/gamma");
  assert.match(asked(), new RegExp(`\\| SAY ${plum}`));
  const executed = await events.until(ofSession(id, "command.executed"), undefined, { from });
  assert.deepEqual(executed.properties, { name: "greet", sessionID: id, arguments: "world", messageID: answer.info.id });
});

scenario("a command that opencode itself advertises is run by it, with the conversation known", async () => {
  const commands = await client.ok("GET", "/command");
  // Those that are not Baton's, nor written down by this test.
  const names = commands.map(({ name }) => name);
  const own = names.filter((name) => !["init", "review", "greet", "shout", "count"].includes(name));
  assert.ok(own.length > 0, `opencode advertises nothing: ${names.join(" ")}`);
  const id = await client.createSession();
  const fig = unique("fig");
  await client.prompt(id, `SAY ${fig}`, { model: MOCK });
  await client.ok("PATCH", `/session/${id}`, ALPHA);
  const kiwi = unique("kiwi");
  // Baton has a `review` of its own; the selected backend's goes before it.
  const answer = await client.ok("POST", `/session/${id}/command`, { command: "init", arguments: kiwi });
  assert.equal(modelOf(answer), "opencode stub/alpha");
  assert.equal(answer.info.error, undefined);
  // opencode has put its own instruction in the place of the command, and the conversation came before.
  const messages = lastTurn(stub).messages.filter(({ role }) => role === "user");
  assert.match(messages.at(-1).text, new RegExp(kiwi));
  assert.doesNotMatch(messages.at(-1).text, /^\/init/);
  assert.ok(messages.slice(0, -1).some(({ text }) => text.includes(`| SAY ${fig}`)), asked());
  const stored = await client.messages(id);
  assert.equal(stored.length, 4);
});

scenario("a summary makes the context small again, and the selected model goes on", async () => {
  const id = await client.createSession();
  const [lime, date] = [unique("lime"), unique("date")];
  await client.prompt(id, `SAY ${lime}`, { model: MOCK });
  await client.prompt(id, `SAY ${date}`, { model: ALPHA });
  const from = events.position();
  assert.equal(await client.ok("POST", `/session/${id}/summarize`, GAMMA), true);
  await events.until(ofSession(id, "session.compacted"), undefined, { from });
  assert.equal(lastTurn(stub).model, "gamma");
  for (const word of [lime, date]) assert.match(asked(), new RegExp(`\\| SAY ${word}`));
  const summary = (await client.messages(id)).at(-1);
  assert.equal(summary.info.summary, true);
  assert.equal(modelOf(summary), "opencode stub2/gamma");
  const { model } = await client.getSession(id);
  assert.deepEqual([model.providerID, model.id], ["opencode", "stub/alpha"]);

  assert.equal(textOf(await client.prompt(id, "SAY after")), "[alpha] after");
  assert.ok(asked().includes(textOf(summary).split("\n")[0]), asked());
  for (const word of [lime, date]) assert.doesNotMatch(asked(), new RegExp(`SAY ${word}`));
});
