// Whatever the document allows, and what it does not, is answered as the document says: no 500, no other status,
// content type, header or shape. The requests are the same in each run.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startRun } from "../../agents/harness.mjs";

const START_TIMEOUT_MS = 60_000;
const FUZZ = { timeout: 300_000 };
const REQUEST_TIMEOUT_S = 20;
/** Requests per operation that are made at random, besides those for each keyword of the document. */
const EXAMPLES = 5;
/** After this time no further one is begun. */
const FUZZ_MAX_S = 90;
const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
];
/** Streams do not end. */
const STREAMS = "/event$";
const OUTPUT_MAX_CHARS = 20_000;

const HERE = fileURLToPath(new URL(".", import.meta.url));
const DOCUMENT = fileURLToPath(new URL("../../../openapi/openapi.json", import.meta.url));

let run;
// Schemathesis keeps notes in the folder it runs in.
const folder = mkdtempSync(path.join(tmpdir(), "baton-fuzz-"));
before(
  async () => {
    run = await startRun({ agents: {} });
    await run.client.connected("mock");
  },
  { timeout: START_TIMEOUT_MS },
);
after(
  async () => {
    await run?.end();
    rmSync(folder, { recursive: true, force: true });
  },
  { timeout: START_TIMEOUT_MS },
);

test("every request is answered as the document says", FUZZ, async () => {
  const { code, output } = await schemathesis(
    ...["run", DOCUMENT, "--url", new URL(run.client.base).origin],
    ...["--checks", CHECKS.join(","), "--exclude-path-regex", STREAMS],
    ...["--phases", "examples,coverage,fuzzing", "--max-examples", String(EXAMPLES)],
    ...["--max-time", String(FUZZ_MAX_S), "--request-timeout", String(REQUEST_TIMEOUT_S)],
    ...["--generation-deterministic", "--continue-on-failure", "--warnings", "off", "--no-color"],
  );
  assert.equal(code, 0, output.slice(-OUTPUT_MAX_CHARS));
  const [, tested] = /Tested: (\d+)/.exec(output) ?? assert.fail(output);
  const [, selected] = /Selected: (\d+)/.exec(output) ?? assert.fail(output);
  assert.equal(tested, selected, "the time was too short for all operations");
  // A server that has died or hangs could not have answered so far, either; this one still works.
  const id = await run.client.createSession();
  const answer = await run.client.prompt(id, "echo alive", { model: { providerID: "mock", modelID: "mock" } });
  assert.equal(answer.info.error, undefined);
});

async function schemathesis(...args) {
  const child = spawn(path.join(HERE, ".venv/bin/schemathesis"), args, {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: FUZZ.timeout,
    killSignal: "SIGKILL",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const [code] = await once(child, "close");
  return { code, output };
}
