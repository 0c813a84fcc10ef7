// Several servers on one PostgreSQL with a real agent: when a node is killed, another one goes on, and its agent is given the whole
// conversation, since the native session is on the machine that is gone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startRun } from "./harness.mjs";
import { AGENTS } from "./lib/agents.mjs";
import { unique } from "./lib/assertions.mjs";
import { textOf } from "./lib/client.mjs";
import { opencodeAgent } from "./lib/opencode.mjs";
import { startPostgres } from "./lib/postgres.mjs";
import { eventually } from "./lib/processes.mjs";
import { Talk, selection } from "./lib/talk.mjs";

const LEASE_S = 3;
/** What is taken over is answered so soon after a lease. */
const AFTER_LEASE_MS = 2_000;
const SCENARIO = { timeout: 240_000, skip: !AGENTS.opencode };

test("a node that is killed is followed by another, with OpenCode and with the mock", SCENARIO, async (t) => {
  const postgres = await startPostgres();
  if (!postgres) return t.skip("PostgreSQL is not installed");
  const config = `[store]\nurl = "${postgres.url}"\n[nodes]\nsecret = "the-secret-of-the-nodes"\nlease_s = ${LEASE_S}\n`;
  const runs = [];
  try {
    for (const _ of [1, 2]) runs.push(await startRun({ agents: { opencode: opencodeAgent }, config }));
    await followed(runs);
    for (const run of runs) await run.end();
  } catch (error) {
    for (const run of runs) t.diagnostic(run.log());
    for (const run of runs) await run.discard();
    throw error;
  } finally {
    await postgres.end();
  }
});

async function followed([first, second]) {
  const [before, after, last] = ["mark", "mark", "mark"].map(unique);
  const talks = [];
  for (const { client, stub, events } of [first, second].map((run) => ({ ...pick(run), events: run.events() }))) {
    talks.push(new Talk({ client, stub, events: await events }));
    await client.connected("opencode");
  }
  const [one, two] = talks;
  const model = selection("opencode", AGENTS.opencode.models[0]);
  const session = await first.client.ok("POST", "/session", {});
  await one.prompt(session.id, `SAY ${before}`, { model });
  const seen = await second.client.messages(session.id);
  assert.ok(textOf(seen.at(-1)).includes(before), "the other node has the answer");

  await first.killBaton();
  const killed = Date.now();
  const path = `/session/${session.id}`;
  const isTaken = async () => (await second.client.call("PATCH", path, { title: "taken over" })).status === 200;
  await eventually(isTaken, LEASE_S * 1_000 + AFTER_LEASE_MS, () => `not taken over within ${Date.now() - killed} ms`);

  await two.prompt(session.id, `SAY ${after}`, { model });
  const asked = two.requestWith(after);
  assert.ok(asked.messages.some(({ text }) => text.includes(before)), "the new agent is given what was said before");

  await second.client.ok("PATCH", path, { providerID: "mock", modelID: "mock" });
  const told = textOf(await two.prompt(session.id, "history"));
  assert.ok(told.includes(before) && told.includes(after), told);

  await first.startBaton();
  const again = new Talk({ client: first.client, stub: first.stub, events: await first.events() });
  assert.ok(textOf(await again.prompt(session.id, `echo ${last}`)).includes(last), "the first node sends it on");
}

const pick = ({ client, stub }) => ({ client, stub });
