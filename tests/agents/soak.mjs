// 50 sessions on 4 backends that switch at random, while agents are killed at random:
//
//   node tests/agents/soak.mjs [seconds, 300] [sessions, 50]
//
// No message may be lost, none may carry another model than the one that the stub LLM was asked with, no
// process may be left, and the server's memory has to stay flat. Not part of tests/agents/run: it takes minutes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { startRun } from "./harness.mjs";
import { AGENTS } from "./lib/agents.mjs";
import { modelOf, textOf } from "./lib/client.mjs";
import { kill, processesOf } from "./lib/processes.mjs";
import { selection } from "./lib/talk.mjs";

const SECONDS = Number(process.argv[2] ?? 300);
const SESSIONS = Number(process.argv[3] ?? 50);
// Backends that many sessions can share a process of; the fourth is the mock agent.
const REAL = ["opencode", "codex-zed", "goose"];
const KILL_EVERY_MS = 4_000;
const THINK_MS = 1_500;
// The memory after the first third of the run, with every session and agent seen, is what it is measured by.
const MEMORY_GROWTH_MAX = 1.3;

const run = await startRun({ agents: Object.fromEntries(REAL.map((id) => [id, AGENTS[id].entry])) });
const { client, stub } = run;
const events = await run.events();
for (const id of REAL) await client.connected(id);

const CHOICES = [
  ...REAL.flatMap((id) => AGENTS[id].models.map((model) => ({ ...selection(id, model), wire: model.wire }))),
  ...["mock", "mock-fast"].map((modelID) => ({ providerID: "mock", modelID })),
];
const pick = (list) => list[Math.floor(Math.random() * list.length)];
const deadline_ms = Date.now() + SECONDS * 1_000;
const figures = { prompts: 0, answered: 0, failed: 0, switches: 0, kills: 0 };
const reasons = new Map();

/** One session: a random switch, a prompt, and a look at who answered it, until the time is up. */
async function live(number) {
  const id = await client.createSession();
  const sent = [];
  for (let turn = 0; Date.now() < deadline_ms; turn++) {
    const { wire, ...chosen } = pick(CHOICES);
    const word = `s${number}t${turn}e`;
    const text = chosen.providerID === "mock" ? `echo ${word}` : `SAY ${word}`;
    // Half of the switches come by PATCH, the other half with the message.
    const own = Math.random() < 0.5;
    if (!own) await client.ok("PATCH", `/session/${id}`, chosen);
    figures.switches += 1;
    figures.prompts += 1;
    const answer = await client.prompt(id, text, own ? { model: chosen } : {});
    sent.push({ text, answer });
    if (answer.info.error) {
      figures.failed += 1;
      const reason = answer.info.error.data.message.replace(/[\d:./"-]+/g, "#").slice(0, 90);
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    } else {
      figures.answered += 1;
      checkAnswer({ answer, chosen, wire, word });
    }
    await pause(Math.random() * THINK_MS);
  }
  return { id, sent };
}

function checkAnswer({ answer, chosen, wire, word }) {
  assert.equal(modelOf(answer), `${chosen.providerID} ${chosen.modelID}`, "the answer carries the chosen model");
  if (chosen.providerID === "mock") return assert.equal(textOf(answer), word);
  assert.equal(textOf(answer), `[${wire}] ${word}`);
  const asked = stub.turns().filter(({ messages }) => messages.findLast(({ role }) => role === "user")?.text.includes(`SAY ${word}`));
  assert.notEqual(asked.length, 0, `the stub was never asked for ${word}`);
  for (const request of asked) assert.equal(request.model, wire, `the stub was asked for ${word}`);
}

/** Kills a random agent now and then, as a crash would. */
async function disturb() {
  while (Date.now() < deadline_ms) {
    await pause(KILL_EVERY_MS);
    const agents = processesOf(run.id).filter(({ command }) => !command.includes(" serve "));
    if (agents.length === 0) continue;
    kill(pick(agents).pid, "SIGKILL");
    figures.kills += 1;
  }
}

function serverMemoryMB() {
  const server = processesOf(run.id).find(({ command }) => command.includes(" serve "));
  const kb = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))[1];
  return Math.round(kb / 1024);
}

/** Every prompt and every answer that a client was given is there, in order, with the same model and text. */
async function nothingIsLost({ id, sent }) {
  const messages = await client.messages(id);
  const users = messages.filter(({ info }) => info.role === "user");
  assert.deepEqual(users.map(textOf), sent.map(({ text }) => text), `the prompts of ${id}`);
  for (const { answer } of sent) {
    const stored = messages.find(({ info }) => info.id === answer.info.id);
    assert.ok(stored, `the answer ${answer.info.id} of ${id}`);
    assert.deepEqual([modelOf(stored), textOf(stored)], [modelOf(answer), textOf(answer)]);
  }
}

let memory_early;
const third = pause((SECONDS * 1_000) / 3).then(() => (memory_early = serverMemoryMB()));
const sessions = await Promise.all([...Array(SESSIONS).keys()].map(live).concat(disturb(), third));
const memory_late = serverMemoryMB();
for (const session of sessions.filter((s) => s?.sent)) await nothingIsLost(session);

// Revisions of one session come without gaps and in order, whatever happened.
const revisions = new Map();
for (const { type, properties } of events.events) {
  if (type !== "session.model_changed") continue;
  const last = revisions.get(properties.sessionID);
  assert.ok(last === undefined || properties.revision === last + 1, `revision ${properties.revision} after ${last}`);
  revisions.set(properties.sessionID, properties.revision);
}
await run.end();

console.log(JSON.stringify({ ...figures, memory_early_MB: memory_early, memory_late_MB: memory_late }));
for (const [reason, count] of reasons) console.log(`failed ${count} times: ${reason}`);
assert.ok(memory_late <= memory_early * MEMORY_GROWTH_MAX, "the server's memory grows");
console.log("soak: passed");
