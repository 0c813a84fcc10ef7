// The same scenario on the real `opencode serve` and on Baton, with `opencode acp` and with the mock behind it:
// what they answer and what they send is the same, except for what is meant to differ (lib/intended.mjs).

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { differences } from "./lib/compare.mjs";
import { play } from "./lib/play.mjs";
import { batons, realOpencode } from "./lib/servers.mjs";
import { needless, unexplained } from "./lib/verdict.mjs";

const PLAY_TIMEOUT = { timeout: 400_000 };
const END_TIMEOUT = { timeout: 60_000 };

const folder = mkdtempSync(path.join(tmpdir(), "baton-replay-"));
let real, baton;
const played = {};
before(async () => {
  // Each is known as soon as it runs, so that it is ended also when the other one does not start.
  await Promise.all([realOpencode(folder).then((server) => (real = server)), batons().then((servers) => (baton = servers))]);
  const playBatons = async () => {
    // One after the other: both are one process, and each is told only of its own folder's sessions.
    for (const name of ["acp", "mock"]) played[name] = await play(baton[name]);
  };
  [played.opencode] = await Promise.all([play(real), playBatons()]);
}, PLAY_TIMEOUT);
after(async () => {
  await real?.end();
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  await baton?.end();
}, END_TIMEOUT);

for (const [name, what] of [["acp", "with `opencode acp` behind it"], ["mock", "with the mock behind it"]]) {
  test(`Baton ${what} does what OpenCode does`, () => {
    const found = differences(played.opencode, played[name], baton[name].tools);
    assert.deepEqual(unexplained(found), [], "differences that nothing in lib/intended.mjs explains");
    assert.deepEqual(needless(name, found), [], "explanations in lib/intended.mjs of what does not differ");
  });
}

test("a difference is found", () => {
  const [step] = played.opencode.filter((each) => each.step === "a prompt");
  const other = structuredClone(step);
  other.answers[0].body.info.finish = "length";
  delete other.answers[0].body.info.tokens;
  other.events = other.events.filter(({ type }) => type !== "session.idle");
  const request = "a prompt: POST /session/{sessionID}/message 200";
  const found = differences([step], [other]);
  assert.deepEqual(found, [
    `${request} lacks .info.finish: "stop"`,
    `${request} lacks .info.tokens: object`,
    `${request} has .info.finish: "length"`,
    'a prompt: story lacks "session.idle" after "status idle"',
  ]);
  assert.deepEqual(unexplained(found), found);
});
