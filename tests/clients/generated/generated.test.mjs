// Each language: the generator says nothing, the compiler or type checker says nothing, and the same scenario
// against a running Baton prints the same.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startRun } from "../../agents/harness.mjs";
import { node } from "../../agents/lib/packages.mjs";

const START_TIMEOUT_MS = 60_000;
const LANGUAGE = { timeout: 600_000 };
const SCENARIO_TIMEOUT_MS = 60_000;
const OUTPUT_MAX_BYTES = 16 * 1024 * 1024;

const HERE = fileURLToPath(new URL(".", import.meta.url));
const DOCUMENT = fileURLToPath(new URL("../../../openapi/openapi.json", import.meta.url));

/** What the scenario prints, in whatever language. */
const TRANSCRIPT = `\
first answer by mock: one
selected mock-strong (high), idle
applied mock-strong
second answer by mock-strong, which knows the first
refused: ProviderModelNotFoundError, instead of mock-stong: mock-strong, mock, mock-fast
`;

let run, url;
before(
  async () => {
    run = await startRun({ agents: {} });
    await run.client.connected("mock");
    url = new URL(run.client.base).origin;
  },
  { timeout: START_TIMEOUT_MS },
);
after(() => run?.end(), { timeout: START_TIMEOUT_MS });

test("TypeScript: @hey-api/openapi-ts, tsc --strict", LANGUAGE, async () => {
  const typescript = languageIn("typescript", { PATH: `${path.dirname(node())}:${process.env.PATH}`, NO_COLOR: "1" });
  const generated = await typescript("node_modules/.bin/openapi-ts");
  assert.doesNotMatch(generated.all, /warn|error|skip|unsupported/i);
  assert.equal((await typescript("node_modules/.bin/tsc", "--project", ".")).all, "");
  const { stdout } = await typescript(node(), "scenario.ts", url);
  assert.equal(stdout, TRANSCRIPT);
});

test("Python: openapi-python-client, mypy --strict", LANGUAGE, async () => {
  const bin = path.join(HERE, "python/.venv/bin");
  const python = languageIn("python", { PATH: `${bin}:${process.env.PATH}` });
  const options = ["--path", DOCUMENT, "--config", "config.yml", "--meta", "none", "--output-path", "baton_client"];
  const generated = await python("openapi-python-client", "generate", "--overwrite", "--fail-on-warning", ...options);
  assert.doesNotMatch(generated.all, /warn|error|skip|unsupported/i);
  await python("mypy", "--strict", "scenario.py");
  const { stdout } = await python("python", "scenario.py", url);
  assert.equal(stdout, TRANSCRIPT);
});

test("Rust: openapi-to-rust, warnings denied", LANGUAGE, async () => {
  const target = path.join(HERE, "rust/target");
  const rust = languageIn("rust", { CARGO_TARGET_DIR: target, CARGO_TERM_QUIET: "true" });
  await rust("cargo", "build", "--locked", "--package", "generate");
  const generated = await rust(path.join(target, "debug/generate"), DOCUMENT, "client/src");
  assert.equal(generated.all, "");
  // Cargo.toml denies warnings.
  await rust("cargo", "build", "--locked", "--package", "scenario");
  const { stdout } = await rust(path.join(target, "debug/scenario"), url);
  assert.equal(stdout, TRANSCRIPT);
});

/** Runs programs in a folder; a failure shows all that the program has said. */
function languageIn(folder, env) {
  return async (program, ...args) => {
    const options = {
      cwd: path.join(HERE, folder),
      env: { ...process.env, ...env },
      timeout: program.includes("cargo") ? LANGUAGE.timeout : SCENARIO_TIMEOUT_MS,
      killSignal: "SIGKILL",
      maxBuffer: OUTPUT_MAX_BYTES,
    };
    const { stdout, stderr } = await promisify(execFile)(program, args, options).catch((error) =>
      assert.fail(`${path.basename(program)} ${args.join(" ")}: ${error.message}\n${error.stdout}${error.stderr}`),
    );
    return { stdout, all: stdout + stderr };
  };
}
