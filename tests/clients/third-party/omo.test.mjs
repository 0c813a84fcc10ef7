// oh-my-opencode: `run --attach`.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { SCENARIO, answeredBy, client, label, permit, unique } from "./lib.mjs";

const PROGRAM = fileURLToPath(new URL("node_modules/oh-my-opencode/bin/oh-my-opencode.js", import.meta.url));

/** Runs it to its end: its exit, what it says, and the result that it prints. */
function omo(run, message, { model, session }) {
  const home = path.join(run.folder, "omo");
  mkdirSync(home, { recursive: true });
  const args = [PROGRAM, "run", "--attach", run.root, "--directory", run.work, "--agent", "build", "--json"];
  if (model) args.push("--model", label(model));
  if (session) args.push("--session-id", session);
  const options = {
    cwd: run.work,
    timeout: SCENARIO.timeout,
    killSignal: "SIGKILL",
    // It counts its users unless it is told not to.
    env: { PATH: `${path.dirname(process.execPath)}:/usr/bin:/bin`, HOME: home, OMO_SEND_ANONYMOUS_TELEMETRY: "0" },
  };
  return new Promise((resolve) => {
    execFile(process.execPath, [...args, message], options, (error, stdout, stderr) => {
      const said = stdout + stderr;
      assert.ok(!error?.killed, `it does not end:\n${said}`);
      const printed = stdout.indexOf("{");
      resolve({ code: error ? error.code : 0, said, result: printed < 0 ? null : JSON.parse(stdout.slice(printed)) });
    });
  });
}

client("oh-my-opencode", (scenario, current) => {
  scenario("a session begins, is switched from outside, and goes on", async (backend) => {
    const run = current();
    const word = unique("plum");
    const first = await omo(run, backend.say(word), { model: backend.first });
    assert.equal(first.code, 0, first.said);
    assert.ok(first.result.success && first.result.summary.includes(word), first.said);
    const session = first.result.sessionId;
    assert.deepEqual(await answeredBy(run, session), backend.first);

    await run.client.select(session, backend.second);
    const second = await omo(run, backend.recall, { session });
    assert.equal(second.code, 0, second.said);
    assert.deepEqual(await answeredBy(run, session), backend.second);
  });

  scenario("a tool runs, and a permission is answered from outside", async (backend) => {
    const run = current();
    const session = await run.client.createSession();
    const file = `${unique("made")}.txt`;
    const made = await omo(run, backend.tool(file), { model: backend.first, session });
    assert.equal(made.code, 0, made.said);
    assert.ok(existsSync(path.join(run.work, file)), made.said);

    const [asked] = await Promise.all([omo(run, backend.ask, { session }), permit(run, session)]);
    assert.equal(asked.code, 0, asked.said);
  });

  scenario("an error ends it with the reason", async (backend) => {
    const failed = await omo(current(), backend.fail, { model: backend.first });
    assert.equal(failed.code, 1, failed.said);
    assert.match(failed.said, backend.failure);
  });

  scenario("a model that does not exist ends it with the reason", async () => {
    const failed = await omo(current(), "echo hi", { model: { providerID: "mock", modelID: "mock-srtong" } });
    assert.equal(failed.code, 1, failed.said);
    assert.match(failed.said, /mock-srtong/);
  });
});
