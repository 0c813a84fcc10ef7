// Each language: the generator says nothing, the compiler or type checker says nothing, and the same scenario
// against a running Baton prints the same.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startRun } from "../../agents/harness.mjs";
import { node } from "../../agents/lib/packages.mjs";
import { blockOf, blocksOf, readdressed, versionsIn } from "../lib/readme.mjs";

const START_TIMEOUT_MS = 60_000;
const LANGUAGE = { timeout: 600_000 };
const SCENARIO_TIMEOUT_MS = 60_000;
const OUTPUT_MAX_BYTES = 16 * 1024 * 1024;

const HERE = fileURLToPath(new URL(".", import.meta.url));
const DOCUMENT = fileURLToPath(new URL("../../../openapi/openapi.json", import.meta.url));

const SECTION = "## A generated client";
/** What each program of docs/clients.md prints. */
const [TRANSCRIPT] = blocksOf(SECTION).filter(({ language }) => language === "");

/** Agents with a model of their own. */
const PROFILES = `
[profiles.of-mock]
model = "mock/mock-fast"

[profiles.of-opencode]
model = "opencode/stub/alpha"
`;

/** The scenario with each backend: what it is told, and what it prints, in whatever language. */
const SCENARIOS = [
  {
    script: {
      ...{ providerID: "mock", first: "mock", second: "mock-strong", misspelt: "mock-stong" },
      ...{ say: "echo one", recall: "history", known: "assistant [mock]: one" },
      ...{ agent: "of-mock", other: "opencode", otherModel: "stub/alpha" },
    },
    transcript: `\
first answer by mock: one
selected mock-strong (high), idle
applied mock-strong
second answer by mock-strong, which knows the first
falls back to mock
refused: ProviderModelNotFoundError, instead of mock-stong: mock-strong, mock, mock-fast
its agent lists it, and it cannot be imported: SessionExistsError
agent of-mock selects mock-fast
opencode would be given 4 messages, and is to be given: summary
MCP server: disabled, connected, disabled
refused: SpendingLimitError, of the session, which may use 1 token
`,
  },
  {
    // The stub LLM says how many messages it was given: the first prompt, its answer, and this one; one, were the first turn lost.
    script: {
      ...{ providerID: "opencode", first: "stub/alpha", second: "stub/beta", misspelt: "stub/bta" },
      ...{ say: "SAY one", recall: "HISTORY", known: "[beta] history: 3 messages" },
      ...{ agent: "of-opencode", other: "mock", otherModel: "mock" },
    },
    transcript: `\
first answer by stub/alpha: [alpha] one
selected stub/beta (high), idle
applied stub/beta
second answer by stub/beta, which knows the first
falls back to stub/alpha
refused: ProviderModelNotFoundError, instead of stub/bta: stub/beta, stub/alpha, stub2/gamma
its agent lists it, and it cannot be imported: SessionExistsError
agent of-opencode selects stub/alpha
mock would be given 4 messages, and is to be given: summary
MCP server: disabled, connected, disabled
refused: SpendingLimitError, of the session, which may use 1 token
`,
  },
];

/** Plays every scenario with a program of `language`. */
async function play(language, ...program) {
  for (const { script, transcript } of SCENARIOS) {
    const { stdout } = await language(...program, url, JSON.stringify(script));
    assert.equal(stdout, transcript);
  }
}

let run, url;
before(
  async () => {
    run = await startRun({ config: PROFILES });
    await run.client.connected("mock");
    await run.client.connected("opencode");
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
  await play(typescript, node(), "scenario.ts");
});

test("TypeScript as in docs/clients.md", LANGUAGE, async () => {
  const [install, generate, runIt] = blockOf("### TypeScript", "sh").split("\n");
  const locked = JSON.parse(readFileSync(path.join(HERE, "typescript/package.json"), "utf8")).devDependencies;
  for (const { name, version } of versionsIn(install)) assert.equal(locked[name], version);
  const folder = scratch("typescript/readme");
  const bin = path.join(HERE, "typescript/node_modules/.bin");
  const PATH = `${bin}:${path.dirname(node())}:${process.env.PATH}`;
  const typescript = languageIn("typescript/readme", { PATH, NO_COLOR: "1" });
  writeFileSync(path.join(folder, "switch.ts"), readdressed(blockOf("### TypeScript", "ts"), url));
  await typescript("bash", "-c", generate);
  const strict = ["--strict", "--noEmit", "--target", "es2023", "--module", "esnext", "--moduleResolution", "bundler"];
  await typescript("tsc", ...strict, "switch.ts");
  const { stdout } = await typescript("bash", "-c", runIt);
  assert.equal(stdout, TRANSCRIPT.text);
});

test("Python: openapi-python-client, mypy --strict", LANGUAGE, async () => {
  const bin = path.join(HERE, "python/.venv/bin");
  const python = languageIn("python", { PATH: `${bin}:${process.env.PATH}` });
  const options = ["--path", DOCUMENT, "--config", "config.yml", "--meta", "none", "--output-path", "baton_client"];
  const generated = await python("openapi-python-client", "generate", "--overwrite", "--fail-on-warning", ...options);
  assert.doesNotMatch(generated.all, /warn|error|skip|unsupported/i);
  await python("mypy", "--strict", "scenario.py");
  await play(python, "python", "scenario.py");
});

test("Python as in docs/clients.md", LANGUAGE, async () => {
  const [install, generate, runIt] = blockOf("### Python", "sh").split("\n");
  const requirements = readFileSync(path.join(HERE, "python/requirements.txt"), "utf8");
  for (const { name, version } of versionsIn(install)) assert.ok(requirements.includes(`\n${name}==${version}\n`), name);
  const folder = scratch("python/readme");
  const python = languageIn("python/readme", { PATH: `${path.join(HERE, "python/.venv/bin")}:${process.env.PATH}` });
  writeFileSync(path.join(folder, "switch.py"), readdressed(blockOf("### Python", "python"), url));
  await python("bash", "-c", generate);
  const { stdout } = await python("bash", "-c", runIt);
  assert.equal(stdout, TRANSCRIPT.text);
});

test("Rust: openapi-to-rust as in docs/clients.md, warnings denied", LANGUAGE, async () => {
  const version = /openapi-to-rust@(\S+)/.exec(blockOf("### Rust", "sh"))[1];
  const lock = readFileSync(path.join(HERE, "rust/Cargo.lock"), "utf8");
  assert.ok(lock.includes(`name = "openapi-to-rust"\nversion = "${version}"`));
  const target = path.join(HERE, "rust/target");
  const rust = languageIn("rust", { CARGO_TARGET_DIR: target, CARGO_TERM_QUIET: "true" });
  const paths = { '"openapi/openapi.json"': JSON.stringify(DOCUMENT), '"src/generated"': '"client/src"' };
  const config = blockOf("### Rust", "toml").replace(/"(openapi\/|src\/).*"/g, (text) => paths[text]);
  writeFileSync(path.join(HERE, "rust/openapi-to-rust.toml"), config);
  await rust("cargo", "build", "--locked", "--package", "generate");
  const generated = await rust(path.join(target, "debug/generate"), "openapi-to-rust.toml");
  assert.equal(generated.all, "");

  // The page's program has the client as a module of its own; it is compiled only once here.
  mkdirSync(path.join(HERE, "rust/readme/src"), { recursive: true });
  writeFileSync(path.join(HERE, "rust/readme/src/generated.rs"), "pub use baton_client::*;\n");
  writeFileSync(path.join(HERE, "rust/readme/src/main.rs"), readdressed(blockOf("### Rust", "rust"), url));
  // Cargo.toml denies warnings.
  await rust("cargo", "build", "--locked", "--workspace");
  await play(rust, path.join(target, "debug/scenario"));
  const readme = await rust(path.join(target, "debug/readme"));
  assert.equal(readme.stdout, TRANSCRIPT.text);
});

/** An empty folder in which the document lies where it does in the repository. */
function scratch(name) {
  const folder = path.join(HERE, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  symlinkSync(path.dirname(DOCUMENT), path.join(folder, "openapi"));
  return folder;
}

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
