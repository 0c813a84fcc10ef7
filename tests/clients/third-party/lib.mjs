// What the tests of clients from npm share: a Baton with the mock and the real opencode behind it, at the address that
// it prints, and how each of the two is made to do things.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startRun } from "../../agents/harness.mjs";

export { unique } from "../../agents/lib/assertions.mjs";

export const START = { timeout: 90_000 };
export const SCENARIO = { timeout: 120_000 };
const EVENT_TIMEOUT_MS = 45_000;

/** How a backend is made to say a word, to remember, to take its time, to call a tool, to ask first, and to fail. */
export const BACKENDS = [
  {
    name: "mock",
    first: { providerID: "mock", modelID: "mock" },
    second: { providerID: "mock", modelID: "mock-strong" },
    say: (word) => `echo ${word}`,
    json: (value) => `echo ${JSON.stringify(value)}`,
    recall: "history",
    slow: "slow 60",
    tool: (file) => `tool ${file}`,
    ask: "permission rm -rf build",
    fail: "error",
    failure: /mock failure/,
  },
  {
    name: "opencode",
    first: { providerID: "opencode", modelID: "stub/alpha" },
    second: { providerID: "opencode", modelID: "stub2/gamma" },
    say: (word) => `SAY ${word}`,
    json: (value) => `JSON ${JSON.stringify(value)}`,
    recall: "HISTORY",
    slow: "SLOW 60",
    tool: (file) => `TOOLWRITE ${file} content`,
    ask: "TOOLBASH echo permitted",
    fail: "ERROR 400",
    failure: /stub error 400/,
  },
];

/**
 * Scenarios of one client with one Baton, all at the same time: most of what they do is wait.
 * @param {(scenario: Function, run: () => object) => void} define calls `scenario(name, body)`; the body runs once for
 *   each backend, and once alone if it takes no backend
 */
export function client(name, define) {
  describe(name, { concurrency: true }, () => {
    let run;
    before(async () => (run = await start()), START);
    after(() => run?.end(), START);

    function one(title, body) {
      test(title, SCENARIO, async (t) => {
        try {
          await body();
        } catch (error) {
          t.diagnostic(run.log());
          throw error;
        }
      });
    }
    function scenario(title, body) {
      if (body.length === 0) return one(title, body);
      for (const backend of BACKENDS) one(`${backend.name}: ${title}`, () => body(backend));
    }
    define(scenario, () => run);
  });
}

/** A Baton whose backends can be used; `root` is its address as it prints it. */
async function start() {
  const run = await startRun();
  for (const { name } of BACKENDS) await run.client.connected(name);
  run.root = new URL(run.client.base).origin;
  run.stream = await run.events();
  return run;
}

/** `provider/model`, as most clients write it. */
export const label = ({ providerID, modelID }) => `${providerID}/${modelID}`;

/** Who has given the last answer of a session. */
export async function answeredBy(run, session) {
  const { info } = (await run.client.messages(session)).at(-1);
  assert.equal(info.role, "assistant");
  return { providerID: info.providerID, modelID: info.modelID };
}

/** Waits for what a session's agent asks, and answers it from outside. */
export async function permit(run, session, reply = "once") {
  const asked = await run.stream.until(
    ({ type, properties }) => type === "permission.asked" && properties.sessionID === session,
    EVENT_TIMEOUT_MS,
  );
  await run.client.ok("POST", `/permission/${asked.properties.id}/reply`, { reply });
}
