// Which routes of OpenCode's document Baton has, called for real; writes the table, which `tests/run bless` brings
// to ROUTES.md.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startRun } from "../../agents/harness.mjs";
import { opencode as OPENCODE } from "../../agents/lib/opencode.mjs";
import { opencodeDocument } from "../../agents/lib/opencode-server.mjs";
import { ADDED_ROUTES, Shapes, asDocumented } from "../../agents/lib/shapes.mjs";
import { PREFIX } from "../lib/traffic.mjs";
import { USED } from "./lib/used.mjs";

const TIMEOUT = { timeout: 120_000 };
const CALL_TIMEOUT_MS = 20_000;
const TABLE = fileURLToPath(new URL("../../../target/results/ROUTES.md", import.meta.url));
/** How the description of an operation says that there is nothing behind it, and why. */
const STUB = /^Stub: ([\s\S]*?)(\n\n|$)/m;

let run, opencode, baton;
before(async () => {
  run = await startRun({ agents: {} });
  await run.client.connected("mock");
  opencode = await opencodeDocument(path.join(run.folder, "opencode"));
  const printed = execFileSync(process.env.BATON_BIN, ["openapi"], { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  baton = JSON.parse(printed);
}, TIMEOUT);
after(() => run?.end(), TIMEOUT);

/** Asks without a body and with ids that are nobody's; a stream is left once it is open. */
async function call(method, template) {
  const hangUp = new AbortController();
  const url = run.client.base + template.replace(/\{(\w+)\}|\*/g, (_, name) => `${name?.slice(0, 3).toLowerCase()}_missing`);
  const signal = AbortSignal.any([hangUp.signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]);
  const response = await fetch(url, { method, headers: run.client.headers, signal });
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("text/event-stream")) {
    hangUp.abort();
    return { status: response.status, type, text: "" };
  }
  return { status: response.status, type, text: await response.text() };
}

/** What the server says of a path, or of a method, that it does not have. */
function isAbsent({ status, text }) {
  return status === 405 || (status === 404 && /There is no \/\S* here/.test(text));
}

/** One line of the table. */
function judge(route) {
  const [method, template] = route.split(" ");
  const operation = baton.paths[PREFIX + asDocumented(template)]?.[method.toLowerCase()];
  if (!operation) return { route, state: "absent", why: "" };
  const why = STUB.exec(operation.description ?? "")?.[1].replace(/\s+/g, " ").trim();
  return why ? { route, state: "empty", why } : { route, state: "implemented", why: "" };
}

test("every route of OpenCode's document is implemented, empty or absent, as openapi.json says", TIMEOUT, async () => {
  const lines = new Shapes(opencode).routes().map(judge);
  for (const { route, state } of lines) {
    const answer = await call(...route.split(" "));
    const found = `${route} is ${state} in openapi.json and answers ${answer.status} ${answer.text.slice(0, 200)}`;
    assert.equal(isAbsent(answer), state === "absent", found);
    // HTML, which OpenCode sends for what it does not know, ends its terminal UI.
    const isJson = /^(application\/json|text\/event-stream)/.test(answer.type);
    assert.ok(isJson || answer.text === "", `${found} as ${answer.type}`);
    assert.ok(answer.status < 500, found);
  }
  mkdirSync(path.dirname(TABLE), { recursive: true });
  writeFileSync(TABLE, page(lines));
  const of = (state) => lines.filter((line) => line.state === state).length;
  console.log(`of ${lines.length} routes ${of("implemented")} are implemented, ${of("empty")} empty, ${of("absent")} absent`);
});

test("what OpenCode's clients use is there", () => {
  const known = new Shapes(opencode).routes();
  for (const route of USED.keys()) assert.ok(known.includes(route), `${route} is no route of OpenCode's`);
  const absent = [...USED.keys()].map(judge).filter(({ state }) => state === "absent");
  const told = absent.map(({ route }) => `${route} (${USED.get(route).join(", ")})`);
  assert.deepEqual(told, []);
});

test("a route that OpenCode does not have is one that is listed", () => {
  const known = new Shapes(opencode).routes().map(asDocumented);
  const own = new Shapes(baton, "baton").routes().map((route) => route.replace(` ${PREFIX}`, " "));
  const atRoot = ["GET /global/health", "GET /api/health", "GET /openapi.json", "GET /openapi-3.0.json"];
  const added = own.filter((route) => !known.includes(route) && !atRoot.includes(route));
  assert.deepEqual(added.sort(), Object.keys(ADDED_ROUTES).sort());
});

function page(lines) {
  const of = (state) => lines.filter((line) => line.state === state);
  const row = ({ route, state, why }) => `| ${state} | \`${route}\` | ${(USED.get(route) ?? []).join(", ")} | ${why} |`;
  const rows = ["implemented", "empty", "absent"].flatMap((state) => of(state).map(row));
  return `# OpenCode's routes in Baton

Written by the last run of \`tests/clients/run conformance\`, from the document of the real OpenCode ${opencodeVersion()}
and Baton's own, and from calling each of the ${lines.length} routes below \`/opencode\`.

- **implemented** (${of("implemented").length}): answers for real.
- **empty** (${of("empty").length}): answers as OpenCode does when it has nothing of the kind, for the reason given.
- **absent** (${of("absent").length}): answers 404 with JSON. None of them is used by OpenCode's clients in the scenarios of \`tests/clients\`.

Besides, Baton has ${Object.entries(ADDED_ROUTES).map(([route, why]) => `\`${route}\` (${why})`).join(", ")}.

| | route | used by | why |
| --- | --- | --- | --- |
${rows.join("\n")}
`;
}

function opencodeVersion() {
  const { name } = OPENCODE;
  return /[\d.]+(?=\)$)/.exec(name)[0];
}
