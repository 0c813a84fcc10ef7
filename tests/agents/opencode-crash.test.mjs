// What is left of a conversation with the real `opencode acp` when opencode, or Baton, is killed with
// SIGKILL: all of it. A scenario has a server of its own, which it breaks.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startRun } from "./harness.mjs";
import { count, lastTurn, ofSession, promptUnasked, streamedText, unique, wordsOf } from "./lib/assertions.mjs";
import { modelOf, textOf } from "./lib/client.mjs";
import { isOpencode } from "./lib/opencode.mjs";

const SCENARIO = { timeout: 300_000 };

const ALPHA = { providerID: "opencode", modelID: "stub/alpha" };
const BETA = { providerID: "opencode", modelID: "stub/beta" };

/** Runs the body with a server of its own; a failure shows what Baton has logged. */
function scenario(name, body) {
  test(name, SCENARIO, async (t) => {
    const run = await startRun();
    try {
      await run.client.connected("opencode");
      await body(run);
    } catch (error) {
      t.diagnostic(run.log());
      await run.discard();
      throw error;
    }
    await run.end();
  });
}

/** Two turns: one with alpha, one with beta at high effort, which stays selected. */
async function conversation({ client }) {
  const id = await client.createSession();
  const [rose, lily] = [unique("rose"), unique("lily")];
  await client.prompt(id, `SAY ${rose}`, { model: ALPHA });
  await client.select(id, { ...BETA, variant: "high" });
  await client.prompt(id, `SAY ${lily}`);
  return { id, said: [`SAY ${rose}`, `[alpha] ${rose}`, `SAY ${lily}`, `[beta] ${lily}`] };
}

/** The next prompt is answered by beta at high effort, which was given each text exactly once. */
async function goesOn({ client, stub }, { id, said }) {
  const word = unique("on");
  const answer = await client.prompt(id, `SAY ${word}`);
  assert.equal(answer.info.error, undefined);
  assert.equal(textOf(answer), `[beta] ${word}`);
  assert.equal(modelOf(answer), "opencode stub/beta");
  assert.deepEqual([lastTurn(stub).model, lastTurn(stub).effort], ["beta", "high"]);
  const words = wordsOf(lastTurn(stub));
  for (const text of said) assert.equal(count(words, text), 1, `${text} in: ${words}`);
}

scenario("opencode is killed between two turns and in one, which fails; the next one works", async (run) => {
  const talk = await conversation(run);
  const killed = await run.killAgents(isOpencode);
  await goesOn(run, talk);
  const alive = run.agentProcesses(isOpencode).map(({ pid }) => pid);
  assert.ok(alive.length > 0 && alive.every((pid) => !killed.includes(pid)));

  const events = await run.events();
  const running = run.client.begin(talk.id, "SLOW 60");
  await events.until(streamedText(talk.id, "tick-5"));
  await run.killAgents(isOpencode);
  const answer = await running;
  assert.ok(answer.info.error?.data.message, "the turn does not say that its agent is gone");
  assert.match(textOf(answer), /^\[beta\] tick-1 /);
  await events.until(ofSession(talk.id, "session.idle"));
  await goesOn(run, talk);
});

scenario("an answer of always outlives the agent process", async (run) => {
  const { client } = run;
  const id = await client.createSession();
  const events = await run.events();
  const command = `echo ${unique("always")}`;
  const first = client.begin(id, `TOOLBASH ${command}`, { model: ALPHA });
  const asked = await events.until(ofSession(id, "permission.asked"));
  await client.ok("POST", `/permission/${asked.properties.id}/reply`, { reply: "always" });
  const told = textOf(await first);

  // opencode forgets it with its process and asks Baton again; the user is not asked again.
  await run.killAgents(isOpencode);
  assert.equal(textOf(await promptUnasked({ client, events }, id, `TOOLBASH ${command}`)), told);
});

scenario("Baton is killed between two turns and in one, which is marked as interrupted; the session goes on", async (run) => {
  const talk = await conversation(run);
  const before = await run.client.getSession(talk.id);
  const messages = await run.client.messages(talk.id);
  await run.killBaton();
  await run.startBaton();
  const after = await run.client.getSession(talk.id);
  assert.deepEqual([after.model, after.agent, after.revision], [before.model, before.agent, before.revision]);
  assert.deepEqual(await run.client.messages(talk.id), messages);
  await run.client.connected("opencode");
  await goesOn(run, talk);

  const events = await run.events();
  const running = run.client.begin(talk.id, "SLOW 60");
  await events.until(streamedText(talk.id, "tick-10"));
  await run.killBaton();
  await assert.rejects(running, "the prompt was answered by a dead server");

  await run.startBaton();
  const session = await run.client.getSession(talk.id);
  assert.equal(session.runtime.status, "idle");
  assert.equal(session.model.id, "stub/beta");
  const kept = await run.client.messages(talk.id);
  const turn = ["user", "assistant"];
  // Between the first and the second turn a line tells of the switch.
  assert.deepEqual(kept.map(({ info }) => info.role), [...turn, "user", ...turn, ...turn, ...turn]);
  const interrupted = kept.at(-1);
  assert.ok(interrupted.info.error?.data.message, "the interrupted answer is not marked");
  // What was streamed is stored at least every 250 ms, and ten ticks take a second.
  assert.match(textOf(interrupted), /^\[beta\] tick-1 /);
  await run.client.connected("opencode");
  await goesOn(run, talk);
});
