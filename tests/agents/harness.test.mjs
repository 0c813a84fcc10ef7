// The harness itself: a test that looks for left-over processes or events has to find them when they are there.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { tomlTable } from "./harness.mjs";
import { isOpencode } from "./lib/opencode.mjs";
import { RUN_MARKER, eventually, killLeftovers, processesOf } from "./lib/processes.mjs";
import { collectEvents } from "./lib/sse.mjs";

const TIMEOUT = { timeout: 20_000 };
const GONE_TIMEOUT_MS = 3_000;

test("processes of a run are found by what they inherit, and are gone after the kill", TIMEOUT, async () => {
  const run = randomUUID();
  assert.deepEqual(processesOf(run), []);
  // The shell's child is a grandchild of ours, as an agent is of Baton.
  const env = { PATH: process.env.PATH, [RUN_MARKER]: run };
  const shell = spawn("sh", ["-c", "sleep 60 & echo started; wait"], { env });
  await once(shell.stdout, "data");
  // The shell goes on before its child has become the other program.
  const isThere = () => processesOf(run).some(({ command }) => command === "sleep 60");
  await eventually(isThere, GONE_TIMEOUT_MS, () => JSON.stringify(processesOf(run)));
  killLeftovers(run);
  await eventually(() => processesOf(run).length === 0, GONE_TIMEOUT_MS, () => "still there");
});

test("a condition that never holds fails in time, with its message", TIMEOUT, async () => {
  await assert.rejects(eventually(() => false, 10, () => "never"), /never \(after 10 ms\)/);
});

test("opencode's server is told from other commands", TIMEOUT, () => {
  assert.ok(isOpencode({ command: "/x/opencode-linux-x64/bin/opencode acp" }));
  assert.ok(!isOpencode({ command: "/x/baton serve --config /x/opencode.toml" }));
});

test("tables are written as TOML", TIMEOUT, () => {
  const text = tomlTable("agents.x", { command: ["/bin/x", "acp"], env: { HOME: "/a \"b\"" } });
  assert.equal(text, '[agents.x]\ncommand = ["/bin/x", "acp"]\nenv = { HOME = "/a \\"b\\"" }\n');
});

test("events are awaited, found again, and their absence is told", TIMEOUT, async (t) => {
  const responses = [];
  const server = createServer((_, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write('id: 1\ndata: {"type":"server.connected","properties":{}}\n\n: comment\n\n');
    responses.push(res);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });

  const events = await collectEvents(`http://127.0.0.1:${server.address().port}/event`);
  await events.until((event) => event.type === "server.connected");
  const position = events.position();
  const waiting = events.until((event) => event.type === "two");
  responses[0].write('data: {"type":"two","prop');
  responses[0].write('erties":{"sessionID":"ses_1"}}\r\n\r\n');
  assert.equal((await waiting).properties.sessionID, "ses_1");
  assert.deepEqual(events.since(position, "ses_1").map((event) => event.type), ["two"]);
  assert.deepEqual(events.since(position, "ses_2"), []);
  await assert.rejects(
    events.until((event) => event.type === "server.connected", 10, { from: position }),
    /no such event within 10 ms; since then: two/,
  );
  responses[0].end();
  await assert.rejects(events.until((event) => event.type === "three"), /the event stream has ended/);
});
