// A walk over everything that a server sends: the answer of every GET, of prompts of each kind, and the events of every
// stream. All of it is what the real OpenCode's document says, and both forms of Baton's own.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { startRun } from "../../agents/harness.mjs";
import { opencodeDocument } from "../../agents/lib/opencode-server.mjs";
import { dataOf } from "../../agents/lib/sse.mjs";
import { ownDocuments } from "../lib/record.mjs";
import { Traffic } from "../lib/traffic.mjs";

const TIMEOUT = { timeout: 180_000 };
const CALL_TIMEOUT_MS = 60_000;
const STREAMS = ["/event", "/global/event", "/api/event"];
/** Each kind of part and of end that an answer can have. */
const PROMPTS = ["echo one", "tool", "plan", "image", "read 1", "bash ls", "error", "error silent", "big 40"];
/** A folder, where others want a file. */
const PARTICULAR = { "/opencode/file": { path: "." } };
/** What would wait until somebody asks for it. */
const WAITS = ["/opencode/tui/control/next"];
/** What is answered with an error here: there is no such thing. */
const REFUSED = { "/opencode/api/integration/{integrationID}": 400 };

let run, traffic, documents;
const folder = mkdtempSync(path.join(tmpdir(), "baton-walk-"));
const seen = { answers: 0, events: 0, wrong: [] };
const streams = new AbortController();
before(async () => {
  run = await startRun({ agents: {} });
  execFileSync("git", ["init", "--quiet"], { cwd: run.work });
  writeFileSync(path.join(run.work, "a.txt"), "what is in it\n");
  await run.client.connected("mock");
  documents = ownDocuments(process.env.BATON_PROGRAM ?? process.env.BATON_BIN);
  traffic = new Traffic({ opencode: await opencodeDocument(folder), ...documents });
}, TIMEOUT);
after(async () => {
  streams.abort();
  await run?.end();
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}, TIMEOUT);

/** Judges the events of a stream as they come. */
async function follow(stream) {
  const { body } = await fetch(run.client.base + stream, { headers: run.client.headers, signal: streams.signal });
  const judge = async () => {
    for await (const data of dataOf(body)) {
      seen.events += 1;
      complain(`event of ${stream}`, traffic.event(`/opencode${stream}`, data), data);
    }
  };
  judge().catch((error) => streams.signal.aborted || complain(stream, [`the stream broke: ${error.stack}`], ""));
}

/** Sends a request, and judges the answer. */
async function call(method, where, body, status = 200) {
  const url = new URL(run.client.base).origin + where;
  const response = await fetch(url, {
    method,
    headers: { ...run.client.headers, ...(body && { "content-type": "application/json" }) },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
  });
  const text = await response.text();
  const exchange = { method, path: where.split("?")[0], status: response.status, type: response.headers.get("content-type") ?? "", text };
  seen.answers += 1;
  assert.equal(response.status, status, `${method} ${where}: ${text.slice(0, 500)}`);
  complain(`${method} ${where}`, traffic.answer(exchange), text);
  return exchange.type.startsWith("application/json") && text ? JSON.parse(text) : undefined;
}

function complain(what, wrong, sample) {
  if (wrong.length > 0) seen.wrong.push(`${what}: ${wrong.slice(0, 5).join("; ")}\n  it was: ${sample.slice(0, 500)}`);
}

test("everything that a server sends is what the documents say, in both forms", TIMEOUT, async () => {
  for (const stream of STREAMS) await follow(stream);
  const events = await run.client.events();
  const session = await call("POST", "/opencode/session", { title: "Walk" });
  const own = `/opencode/session/${session.id}`;
  await follow(`/api/session/${session.id}/event`);
  const prompt = (text, more, status) => call("POST", `${own}/message`, { parts: [{ type: "text", text }], ...more }, status);

  await prompt("echo one", { model: { providerID: "mock", modelID: "mock" } });
  for (const text of PROMPTS) await prompt(text);
  await asked(events, prompt("permission rm -rf build"), "permission", { reply: "once" });
  await asked(events, prompt("question"), "question", { answers: [["red"]] });
  await call("PATCH", `${own}?wait=true`, { providerID: "mock", modelID: "mock-strong", variant: "high", pin: true });
  const { info } = await prompt("echo two", { model: { providerID: "mock", modelID: "mock-fast" } });
  await call("PATCH", own, { providerID: "mock", modelID: "mock-stong" }, 400);
  await call("PATCH", own, { title: "Walked", pin: false, metadata: { any: [1, null] } });
  await call("POST", `${own}/shell`, { agent: "build", command: "ls" });
  await call("POST", `${own}/command`, { command: "shout", arguments: "quietly" });
  const fork = await call("POST", `${own}/fork`, {});
  await call("POST", `/opencode/session/${fork.id}/summarize`, { providerID: "mock", modelID: "mock-fast" });
  await call("POST", `${own}/revert`, { messageID: info.id });

  // What there is to get, by the names of parameters.
  const { id: projectID } = await call("GET", "/opencode/project/current");
  const known = {
    ...{ sessionID: session.id, messageID: info.id, projectID, providerID: "mock", backendID: "mock", revision: session.revision + 1 },
    ...{ path: "a.txt", pattern: "what", query: "a", mode: "git", provider: "mock", model: "mock", integrationID: "none" },
  };
  await reached(known, "in the middle of a revert");
  await call("POST", `${own}/unrevert`);
  await reached(known, "at rest");
  await call("DELETE", `/opencode/session/${fork.id}`);
  await events.until(({ type, properties }) => type === "session.deleted" && properties.sessionID === fork.id);
  events.close();

  assert.deepEqual(seen.wrong, []);
  assert.ok(seen.events > 500, `${seen.events} events`);
  console.log(`${seen.answers} answers and ${seen.events} events are what the documents say`);
});

/** Lets an agent ask, looks at what waits, answers, and waits for the prompt. */
async function asked(events, prompting, kind, reply) {
  const { properties } = await events.until(({ type }) => type === `${kind}.asked`);
  const list = kind === "permission" ? ["permission/request", "session/:id/permission", "session/:id/permission/:request"] : ["question/request", "session/:id/question"];
  await call("GET", `/opencode/${kind}`);
  for (const where of list) {
    await call("GET", `/opencode/api/${where.replace(":id", properties.sessionID).replace(":request", properties.id)}`);
  }
  await call("POST", `/opencode/${kind}/${properties.id}/reply`, reply);
  await prompting;
}

/** Gets everything that the document has, with what is known for its parameters. */
async function reached(known, when) {
  for (const [template, { get }] of Object.entries(documents.baton.paths)) {
    const isStream = "text/event-stream" in (get?.responses[200].content ?? {});
    // A single request is there only while somebody is asked (`asked`).
    if (!get || isStream || WAITS.includes(template) || template.includes("{requestID}")) continue;
    const parameters = (get.parameters ?? []).map(resolved).filter(({ required }) => required);
    const value = ({ name }) => encodeURIComponent(PARTICULAR[template]?.[name] ?? known[name] ?? assert.fail(`${template} wants ${name} (${when})`));
    const where = parameters.filter((p) => p.in === "path").reduce((text, p) => text.replace(`{${p.name}}`, value(p)), template);
    const query = parameters.filter((p) => p.in === "query").map((p) => `${p.name}=${value(p)}`).join("&");
    await call("GET", query ? `${where}?${query}` : where, undefined, REFUSED[template] ?? 200);
  }
}

function resolved(parameter) {
  const pointer = parameter.$ref?.split("/").slice(1);
  return pointer ? pointer.reduce((value, key) => value[key], documents.baton) : parameter;
}
