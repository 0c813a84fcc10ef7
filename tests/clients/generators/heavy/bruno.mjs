// bruno.mjs DOCUMENT URL FOLDER: imports the document with Bruno's command line, and plays the scenario with it. The requests are
// those of the import, with the bodies that the document's examples give them; what is written into them is said at each.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { firstEvents } from "./events.mjs";

const COMMAND_TIMEOUT_MS = 60_000;
const BRU = fileURLToPath(new URL("node_modules/.bin/bru", import.meta.url));
/** The environment that the import has made of the document's first server. */
const ENVIRONMENT = "A server on this machine, unless the variables say otherwise";
const CREATE = "session/Create a session.bru";
const PROMPT = "message/Send a message.bru";
const UPDATE = "session/Switch the model, provider or agent of a session, and change its title and other data.bru";

const [document, url, folder] = process.argv.slice(2);
await bru(folder, "import", "openapi", "-s", document, "-o", folder, "-n", "Baton", "--collection-format", "bru");
const collection = path.join(folder, "Baton");
for (const file of [PROMPT, UPDATE]) change(file, /^( +sessionID:) *$/m, "$1 {{sessionID}}");

const { hostname, port } = new URL(url);
const counted = firstEvents(url);
let id = "";
({ id } = await send(CREATE));
console.log("first:", (await send(PROMPT)).info.modelID);
console.log("switched:", (await send(UPDATE)).model.id);
change(PROMPT, /"model": \{[^}]*\},/, "");
console.log("second:", (await send(PROMPT)).info.modelID);
change(UPDATE, '"mock-strong"', '"mock-stong"');
const refused = await send(UPDATE);
console.log("refused:", refused.name, ...refused.data.suggestions);
console.log("events:", await counted);

/** Sends one request of the collection, and gives the answer's body. */
async function send(file) {
  const report = path.join(folder, "report.json");
  const variables = { host: hostname, port, sessionID: id };
  const set = Object.entries(variables).flatMap(([name, value]) => ["--env-var", `${name}=${value}`]);
  await bru(collection, "run", file, "--env", ENVIRONMENT, ...set, "--output", report, "--format", "json");
  const [{ results }] = JSON.parse(readFileSync(report, "utf8"));
  assert.equal(results.length, 1);
  assert.equal(results[0].error, null);
  return results[0].response.data;
}

/** Writes something else into a request. */
function change(file, what, to) {
  const where = path.join(collection, file);
  const text = readFileSync(where, "utf8");
  const changed = text.replace(what, to);
  assert.notEqual(changed, text, `${file} has no ${what}`);
  writeFileSync(where, changed);
}

async function bru(cwd, ...args) {
  await promisify(execFile)(process.execPath, [BRU, ...args], { cwd, timeout: COMMAND_TIMEOUT_MS, killSignal: "SIGKILL" });
}
