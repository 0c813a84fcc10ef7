// Each generator: it makes a client, the compiler says nothing, and the client plays one scenario: create, prompt,
// switch, prompt, a wrong model with its typed error, five events. Commands as in docs/clients.md.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { node } from "../../agents/lib/packages.mjs";

const SLOW = { timeout: 600_000, skip: process.env.BATON_GENERATORS === "all" ? false : "only with BATON_GENERATORS=all" };
const QUICK = { timeout: 180_000 };
const COMMAND_TIMEOUT_MS = 300_000;
const OUTPUT_MAX_BYTES = 16 * 1024 * 1024;

const HERE = fileURLToPath(new URL(".", import.meta.url));
const MADE = path.join(HERE, "made");
const BIN = path.join(HERE, "node_modules/.bin");
/** What is large, and installed for the slow ones only. */
const HEAVY_BIN = path.join(HERE, "heavy/node_modules/.bin");
const VENV = path.join(HERE, ".venv/bin");
/** The forms of the document, as files. */
const FORMS = { document: [], older: ["--version", "3.0"], core: ["--core"], olderCore: ["--version", "3.0", "--core"] };

const TRANSCRIPT = `\
first: mock
switched: mock-strong
second: mock-strong
refused: ProviderModelNotFoundError mock-strong mock mock-fast
events: 5
`;

const folder = mkdtempSync(path.join(os.tmpdir(), "baton-generators-"));
const form = (name) => path.join(folder, `${name}.json`);
let server, url;
before(async () => {
  rmSync(MADE, { recursive: true, force: true });
  mkdirSync(MADE);
  const program = process.env.BATON_PROGRAM ?? process.env.BATON_BIN;
  for (const [name, options] of Object.entries(FORMS)) {
    writeFileSync(form(name), (await run(program, ["openapi", ...options])).stdout);
  }
  server = spawn(process.env.BATON_BIN, ["serve", "--port", "0", "--data-dir", path.join(folder, "data"), "--agents", "mock"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of readline.createInterface({ input: server.stdout })) {
    url = /listening on (\S+)/.exec(line)?.[1];
    if (url) break;
  }
  assert.ok(url, "the server has not started");
}, QUICK);
after(async () => {
  if (server) {
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGTERM");
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
}, QUICK);

for (const name of Object.keys(FORMS)) {
  test(`redocly, spectral and openapi-spec-validator have nothing to say: ${name}`, QUICK, async () => {
    const redocly = await run(path.join(BIN, "redocly"), ["lint", "--config", "redocly.yaml", form(name)]);
    assert.doesNotMatch(redocly.all, /warning/i);
    const spectral = await run(path.join(BIN, "spectral"), ["lint", "-r", "spectral.yaml", "--fail-severity", "hint", form(name)]);
    assert.match(spectral.all, /No results/);
    await run(path.join(VENV, "openapi-spec-validator"), [form(name)]);
  });
}

test("openapi-typescript and openapi-fetch", QUICK, async () => {
  await run(path.join(BIN, "openapi-typescript"), [form("document"), "-o", "made/openapi-typescript.ts"]);
  await playTypescript("openapi-fetch");
});

test("openapi-zod-client, from the 3.0 form", QUICK, async () => {
  await run(path.join(BIN, "openapi-zod-client"), [form("older"), "-o", "made/openapi-zod-client.ts"]);
  await playTypescript("openapi-zod-client");
});

test("FastMCP, from the core", QUICK, async () => {
  played(await run(path.join(VENV, "python"), ["scenarios/tools_of_core.py", url]));
});

test("swagger-typescript-api", SLOW, async () => {
  const options = ["-p", form("document"), "-o", "made", "-n", "swagger-typescript-api.ts"];
  await run(path.join(BIN, "swagger-typescript-api"), ["generate", ...options]);
  await playTypescript("swagger-typescript-api");
});

test("orval", SLOW, async () => {
  const env = { DOCUMENT: form("document"), SERVER: url };
  await run(path.join(BIN, "orval"), ["--config", "orval.config.mjs"], { env });
  await playTypescript("orval");
});

test("openapi-generator: typescript-fetch", SLOW, async () => {
  await openapiGenerator("typescript-fetch", form("document"), "importFileExtension=.ts");
  await playTypescript("typescript-fetch");
});

test("openapi-generator: python", SLOW, async () => {
  const made = await openapiGenerator("python", form("document"), "packageName=baton_client");
  const env = { PYTHONPATH: made };
  played(await run(path.join(VENV, "python"), ["scenarios/openapi_generator.py", url], { env }));
});

test("openapi-generator: ruby", SLOW, async () => {
  const made = await openapiGenerator("ruby", form("document"), "gemName=baton,moduleName=Baton");
  // -W0: the client's libraries are Debian's, which warn of each other.
  played(await run("ruby", ["-W0", "scenarios/scenario.rb", made, url]));
});

test("openapi-generator: php, from the 3.0 form", SLOW, async () => {
  const made = await openapiGenerator("php", form("older"));
  played(await run("php", ["scenarios/scenario.php", made, url]));
});

test("openapi-generator: go, with discriminators looked up", SLOW, async () => {
  const made = await openapiGenerator("go", form("document"), "packageName=baton,useOneOfDiscriminatorLookup=true");
  // As a folder of a GOPATH: its one dependency comes from Debian.
  const sources = path.join(folder, "go/src");
  cpSync(made, path.join(sources, "baton"), { recursive: true });
  for (const left of ["go.mod", "go.sum", "test"]) rmSync(path.join(sources, "baton", left), { recursive: true, force: true });
  cpSync(path.join(HERE, "go"), path.join(sources, "scenario"), { recursive: true });
  const env = { GO111MODULE: "off", GOPATH: `${path.join(folder, "go")}:/usr/share/gocode`, GOFLAGS: "" };
  const program = path.join(folder, "go/scenario");
  await run("go", ["vet", "baton"], { env });
  await run("go", ["build", "-o", program, "scenario"], { env });
  played(await run(program, [url]));
});

test("openapi-generator: java, library native, with discriminators looked up", SLOW, async () => {
  const properties = "library=native,openApiNullable=false,useOneOfDiscriminatorLookup=true";
  const packages = "invokerPackage=baton,apiPackage=baton.api,modelPackage=baton.model";
  const made = await openapiGenerator("java", form("document"), `${properties},${packages}`);
  // Jackson with its dates is in the generator's own archive; Debian has no module of Jackson's for them.
  const site = await run(path.join(VENV, "python"), ["-c", "import openapi_generator_cli as cli; print(cli.__path__[0])"]);
  const libraries = [path.join(site.stdout.trim(), "openapi-generator.jar"), "/usr/share/java/geronimo-annotation-1.3-spec.jar"];
  const classes = path.join(made, "classes");
  const sources = await run("find", [path.join(made, "src/main/java"), "-name", "*.java"]);
  const list = path.join(folder, "java-sources");
  writeFileSync(list, sources.stdout);
  // It calls what Jackson has deprecated.
  const options = ["-Xlint:-deprecation", "-nowarn", "-d", classes, "-cp", libraries.join(":")];
  const compiled = await run("javac", [...options, `@${list}`]);
  assert.doesNotMatch(compiled.all, /warning/);
  played(await run("java", ["-cp", [classes, ...libraries].join(":"), "java/Scenario.java", url]));
});

test("progenitor, from the 3.0 form", SLOW, async () => {
  cpSync(form("older"), path.join(HERE, "progenitor/made/document.json"));
  const cargo = ["--quiet", "--locked", "--manifest-path", "progenitor/Cargo.toml", "--target-dir", "progenitor/target"];
  const built = await run("cargo", ["build", ...cargo]);
  assert.equal(built.all, "");
  played(await run("progenitor/target/debug/scenario", [url]));
});

test("kubb", SLOW, async () => {
  await run(path.join(HEAVY_BIN, "kubb"), ["generate"], { env: { DOCUMENT: form("document") }, cwd: path.join(HERE, "heavy") });
  await playTypescript("kubb", "heavy/kubb.ts");
});

test("Postman's import, and Newman", SLOW, async () => {
  played(await run(node(), ["heavy/postman.mjs", form("core"), url]));
});

test("Bruno", SLOW, async () => {
  const made = path.join(folder, "bruno");
  mkdirSync(made);
  played(await run(node(), ["heavy/bruno.mjs", form("core"), url, made]));
});

/** Has openapi-generator make a client in `made/NAME`. What it warns of beside these is a fault of the document. */
async function openapiGenerator(name, document, properties) {
  const made = path.join(MADE, name);
  const more = properties ? ["--additional-properties", properties] : [];
  const said = await run(path.join(VENV, "openapi-generator-cli"), ["generate", "-i", document, "-g", name, "-o", made, ...more]);
  const known = [
    /OpenAPI 3\.1 support is still in beta/,
    // `null` beside a reference, which it then takes for an optional one.
    /Failed to get the schema name: null/,
    /reserved word/,
    /Type mixed not handled properly/,
    // Free data.
    /Codegen property is null/,
    // Java.
    /Ignoring complex example on request body/,
  ];
  const warned = said.all.split("\n").filter((line) => /\bWARN|\bERROR/.test(line));
  assert.deepEqual(warned.filter((line) => !known.some((pattern) => pattern.test(line))), []);
  return made;
}

/** Checks a scenario and what it imports strictly, and plays it. */
async function playTypescript(name, scenario = `scenarios/${name}.ts`) {
  const config = path.join(HERE, `made/tsconfig-${name}.json`);
  writeFileSync(config, JSON.stringify({ extends: "../tsconfig.json", files: [`../${scenario}`] }));
  assert.equal((await run(path.join(BIN, "tsc"), ["--project", config])).all, "");
  // Some clients have what has to be written anew for JavaScript, such as enums.
  const options = ["--experimental-transform-types", "--disable-warning=ExperimentalWarning"];
  played(await run(node(), [...options, scenario, url]));
}

function played({ stdout }) {
  assert.equal(stdout, TRANSCRIPT);
}

/** Runs a program here; a failure shows all that it has said. */
async function run(program, args, { env, cwd = HERE } = {}) {
  const options = {
    cwd,
    env: { ...process.env, PATH: `${path.dirname(node())}:${process.env.PATH}`, NO_COLOR: "1", ...env },
    timeout: COMMAND_TIMEOUT_MS,
    killSignal: "SIGKILL",
    maxBuffer: OUTPUT_MAX_BYTES,
  };
  const { stdout, stderr } = await promisify(execFile)(program, args, options).catch((error) =>
    assert.fail(`${path.basename(program)} ${args.join(" ")}: ${error.message}\n${error.stdout}${error.stderr}`),
  );
  return { stdout, all: stdout + stderr };
}
