// Whatever the document allows is accepted, what it does not allow is refused, and both are answered as the document
// says: no 500, no other status, content type, header or shape. hooks.py has what a document cannot say. The requests
// are the same in each run.
//
//   tests/clients/run fuzz                             every operation, and each keyword of the document
//   BATON_FUZZ_EXAMPLES=200 tests/clients/run fuzz     the large run, of up to twelve minutes

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
const REQUEST_TIMEOUT_S = 20;
/** Requests per operation that are made at random, besides those for each keyword of the document. */
const EXAMPLES_DEFAULT = 3;
const EXAMPLES = Number(process.env.BATON_FUZZ_EXAMPLES ?? EXAMPLES_DEFAULT);
const IS_LARGE = EXAMPLES > EXAMPLES_DEFAULT;
/** After this time no further one is begun; schemathesis goes on until then. */
const FUZZ_MAX_S = IS_LARGE ? 630 : 95;
/** Between that and the bound on every client's test (tests/clients/run). */
const FUZZ = { timeout: (FUZZ_MAX_S + 90) * 1000 };
const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
  // negative_data_rejection, but for `null` where no body is needed.
  "refused_unless_nothing",
  // positive_data_acceptance, but for what a document cannot say.
  "accepted_unless_untold",
  "missing_required_header",
  "unsupported_method",
  "allow_header_conformance",
  "use_after_free",
  "ensure_resource_availability",
];
/** Streams do not end: each request would wait for its time-out. tests/it and tests/clients/sdk read them. */
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
    // Operations lead to each other by the ids that they answer and take, which schemathesis finds without links.
    ...["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", String(EXAMPLES)],
    ...["--max-time", String(FUZZ_MAX_S), "--request-timeout", String(REQUEST_TIMEOUT_S)],
    ...["--generation-deterministic", "--continue-on-failure", "--warnings", "off", "--no-color"],
  );
  assert.equal(code, 0, output.slice(-OUTPUT_MAX_CHARS));
  const [, tested] = /Tested: (\d+)/.exec(output) ?? assert.fail(output);
  const [, selected] = /Selected: (\d+)/.exec(output) ?? assert.fail(output);
  assert.equal(tested, selected, "the time was too short for all operations");
  const [scenarios] = /Scenarios: +\d+/.exec(output) ?? assert.fail("the time was too short for operations that follow each other");
  console.log(`${/\d+ generated/.exec(output)}, ${tested} operations; ${scenarios}`);
  // A server that has died or hangs could not have answered so far, either; this one still works.
  const id = await run.client.createSession();
  const answer = await run.client.prompt(id, "echo alive", { model: { providerID: "mock", modelID: "mock" } });
  assert.equal(answer.info.error, undefined);
});

async function schemathesis(...args) {
  const child = spawn(path.join(HERE, ".venv/bin/schemathesis"), args, {
    cwd: folder,
    env: { ...process.env, SCHEMATHESIS_HOOKS: "hooks", PYTHONPATH: HERE, PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: FUZZ.timeout,
    killSignal: "SIGKILL",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const [code] = await once(child, "close");
  return { code, output };
}
