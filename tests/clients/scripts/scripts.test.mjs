// What docs/clients.md shows is what happens: its scripts are run as written, and print what stands below them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startRun } from "../../agents/harness.mjs";
import { blockOf, blocksOf, readdressed, versionsIn } from "../lib/readme.mjs";

const START_TIMEOUT_MS = 60_000;
const SCRIPT = { timeout: 90_000 };
const HERE = fileURLToPath(new URL(".", import.meta.url));
const SDK = fileURLToPath(new URL("../sdk", import.meta.url));

let run, origin;
before(
  async () => {
    run = await startRun({ agents: {} });
    await run.client.connected("mock");
    origin = new URL(run.client.base).origin;
  },
  { timeout: START_TIMEOUT_MS },
);
after(() => run?.end(), { timeout: START_TIMEOUT_MS });

test("HTTPie", SCRIPT, async () => {
  const heading = "## HTTPie";
  const [install, walk] = blocksOf(heading).filter(({ language }) => language === "sh");
  const requirements = readFileSync(path.join(HERE, "requirements.txt"), "utf8");
  for (const { name, version } of versionsIn(install.text)) assert.match(requirements, new RegExp(`^${name}==${version}$`, "m"));
  // A terminal is HTTPie's input where the page is followed; here it is told that there is none.
  const config = path.join(run.folder, "httpie");
  mkdirSync(config);
  writeFileSync(path.join(config, "config.json"), JSON.stringify({ default_options: ["--ignore-stdin"] }));
  const env = { HTTPIE_CONFIG_DIR: config, PATH: `${path.join(HERE, ".venv/bin")}:${process.env.PATH}` };
  const printed = await execute(env, "bash", "-euo", "pipefail", "-c", readdressed(walk.text, origin));
  assert.equal(printed, blockOf(heading, ""));
});

for (const heading of ["### Version 1", "### Version 2"]) {
  test(`OpenCode's SDK, ${heading.slice(4)}`, SCRIPT, async () => {
    const locked = JSON.parse(readFileSync(path.join(SDK, "package.json"), "utf8")).dependencies;
    const [install] = blocksOf("## OpenCode's SDK").filter(({ language }) => language === "sh");
    for (const { name, version } of versionsIn(install.text)) assert.equal(locked[name], version);
    // Below the folder whose node_modules has the SDK.
    const folder = path.join(SDK, "node_modules", ".readme");
    mkdirSync(folder, { recursive: true });
    const script = path.join(folder, "switch.mjs");
    writeFileSync(script, readdressed(blockOf(heading, "js"), origin));
    assert.equal(await execute({}, process.execPath, script), blockOf(heading, ""));
  });
}

async function execute(env, program, ...args) {
  const options = { env: { ...process.env, ...env }, timeout: SCRIPT.timeout, killSignal: "SIGKILL" };
  const { stdout } = await promisify(execFile)(program, args, options).catch((error) =>
    assert.fail(`${error.message}\n${error.stdout}${error.stderr}`),
  );
  return stdout;
}
