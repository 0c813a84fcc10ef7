// The check of what a server sends finds what is wrong: without this, a check that finds nothing says nothing.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { once } from "node:events";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { opencodeDocument } from "../../agents/lib/opencode-server.mjs";
import { proxyTo } from "../lib/proxy.mjs";
import { ownDocuments } from "../lib/record.mjs";
import { Traffic } from "../lib/traffic.mjs";

const TIMEOUT = { timeout: 90_000 };
const TODO = { content: "one", status: "pending", priority: "high" };

const SESSION = {
  ...{ id: "ses_1", slug: "a", projectID: "global", directory: "/a", path: "a", title: "A", version: "1" },
  ...{ time: { created: 1, updated: 1 }, summary: { additions: 0, deletions: 0, files: 0 }, revision: 1, pinned: false },
  ...{ cost: 0, tokens: { input: 0, output: 0, reasoning: 0, cache: { read: 0, write: 0 } } },
  runtime: { status: "idle", applied: null, pending: null },
};

let traffic;
const folder = mkdtempSync(path.join(tmpdir(), "baton-traffic-"));
before(async () => {
  traffic = new Traffic({ opencode: await opencodeDocument(folder), ...ownDocuments(process.env.BATON_BIN) });
}, TIMEOUT);
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));

const json = (path, body, status = 200, method = "GET") => ({
  ...{ method, path: `/opencode${path}`, status, type: "application/json" },
  text: typeof body === "string" ? body : JSON.stringify(body),
});

test("answers that fit, and answers that do not", () => {
  assert.deepEqual(traffic.answer(json("/session/ses_1/todo", [TODO])), []);
  for (const [exchange, wrong] of [
    [json("/session/ses_1/todo", [{ ...TODO, content: 5 }]), /content must be string/],
    [json("/session/ses_1/todo", [{ content: "one" }]), /required property 'status'/],
    [json("/session/ses_1/todo", "{"), /no JSON/],
    [{ ...json("/session/ses_1/todo", []), type: "text/html" }, /text\/html/],
    [json("/session/ses_1/todo", { name: "TeapotError", data: { message: "x" } }, 418), /no 418/],
    [json("/nonsense", {}), /no such route/],
  ]) {
    assert.match(traffic.answer(exchange).join("\n"), wrong);
  }
});

test("the API at the root is checked like the one below /opencode", () => {
  const atRoot = (exchange) => traffic.answer({ ...exchange, path: exchange.path.replace("/opencode", "") });
  assert.deepEqual(atRoot(json("/session/ses_1/todo", [TODO])), []);
  assert.match(atRoot(json("/session/ses_1/todo", [{ ...TODO, content: 5 }])).join("\n"), /OpenCode's document.*\n.*openapi\.json/);
  assert.match(atRoot(json("/nonsense", {})).join("\n"), /no such route/);
  for (const beside of ["/", "/docs/", "/metrics", "/openapi.json"]) {
    assert.deepEqual(traffic.answer({ method: "GET", path: beside, status: 200, type: "text/html", text: "x" }), []);
  }
});

test("the bytes of a file are no JSON", () => {
  const read = { ...json("/api/fs/read/a/b.txt", "what is in it"), type: "application/octet-stream" };
  assert.deepEqual(traffic.answer(read), []);
});

test("an answer that the real server gives and does not document is checked, too", () => {
  const info = { id: "msg_1", sessionID: "ses_1", role: "user", time: { created: 1 }, agent: "build", model: { providerID: "a", modelID: "b" } };
  const part = { id: "prt_1", sessionID: "ses_1", messageID: "msg_1", type: "text", text: "x" };
  const judge = (body) => traffic.answer(json("/session/ses_1/message", body, 200, "POST"));
  assert.deepEqual(judge({ info, parts: [part] }), []);
  assert.notDeepEqual(judge({ info, parts: [{ ...part, type: "nonsense" }] }), []);
  assert.notDeepEqual(judge({ info: { ...info, role: "nobody" }, parts: [] }), []);
});

test("an addition is one that is listed", () => {
  const refusal = (name) => json("/session/ses_1", { name, data: { message: "x", revision: 1, selection: null } }, 412, "PATCH");
  assert.deepEqual(traffic.answer(refusal("RevisionConflictError")), []);
  assert.notDeepEqual(traffic.answer(refusal("SomeOtherError")), []);
  assert.deepEqual(traffic.answer(json("/nonsense", { name: "NotFoundError", data: { message: "x" } }, 404)), []);
});

test("each form of Baton's own document is looked at", () => {
  const session = (runtime) => json("/session", [{ ...SESSION, runtime }]);
  // Null is said in two ways.
  assert.deepEqual(traffic.answer(session({ status: "idle", applied: null, pending: null })), []);
  const wrong = traffic.answer(session({ status: null, applied: null, pending: null }));
  assert.deepEqual(wrong.map((text) => text.split(":")[0]).filter((form, at, all) => form !== all[at - 1]), ["openapi.json", "the 3.0 form"]);
  const fraction = traffic.answer(json("/session", [{ ...SESSION, time: { created: 1.5, updated: 1 } }]));
  assert.match(fraction.join("\n"), /3\.0 form.*created must match format "int64"|3\.0 form.*created must be integer/);
});

test("events that fit, and events that do not", () => {
  const idle = { id: "evt_1", type: "session.idle", properties: { sessionID: "ses_1" } };
  const judge = (path, event) => traffic.event(`/opencode${path}`, JSON.stringify(event)).join("\n");
  assert.equal(judge("/event", idle), "");
  assert.equal(judge("/global/event", { directory: "/", payload: idle }), "");
  const answered = { providerID: "a", modelID: "c" };
  const mismatch = { sessionID: "ses_1", messageID: "msg_1", wished: { providerID: "a", modelID: "b", agent: "build" }, answered, time: 1 };
  const own = { ...idle, type: "session.model_mismatch", properties: mismatch };
  assert.equal(judge("/event", own), "");
  assert.match(judge("/event", { ...own, properties: { ...mismatch, answered: 5 } }), /openapi\.json: .*answered.*\nthe 3\.0 form: .*answered/);
  assert.match(judge("/event", { ...idle, properties: {} }), /sessionID/);
  assert.match(judge("/event", { ...idle, type: "session.nonsense" }), /no event session.nonsense/);
  assert.match(judge("/global/event", { folder: "/", payload: idle }), /no folder/);
  assert.match(traffic.event("/opencode/event", "{").join(), /no JSON/);
});

test("the proxy changes nothing and shows everything", TIMEOUT, async () => {
  const big = JSON.stringify({ text: "é".repeat(100_000) });
  const target = http.createServer((req, res) => {
    if (req.url.startsWith("/opencode/event")) {
      res.writeHead(200, { "content-type": "text/event-stream" });
      // In the middle of a character, and of the blank line that ends an event.
      const bytes = Buffer.from('data: {"a":"é"}\n\ndata: {"b":2}\n\n');
      res.write(bytes.subarray(0, 13));
      setImmediate(() => res.end(bytes.subarray(13)));
    } else {
      res.writeHead(201, "Made", { "content-type": "application/json", "content-encoding": "gzip", etag: '"7"' });
      res.end(gzipSync(big));
    }
  });
  const seen = [];
  const recorder = { called: () => {}, answer: (exchange) => seen.push(exchange), event: (_, data) => seen.push(data) };
  const listen = async (server) => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return `http://127.0.0.1:${server.address().port}`;
  };
  const proxy = http.createServer(proxyTo(await listen(target), recorder));
  const url = await listen(proxy);
  try {
    const answer = await fetch(`${url}/opencode/path?x=1`, { method: "POST", body: "{}" });
    assert.deepEqual([answer.status, answer.headers.get("etag"), await answer.text()], [201, '"7"', big]);
    assert.equal(await (await fetch(`${url}/opencode/event`)).text(), 'data: {"a":"é"}\n\ndata: {"b":2}\n\n');
    const exchange = { method: "POST", path: "/opencode/path", status: 201, type: "application/json", text: big };
    assert.deepEqual(seen, [exchange, '{"a":"é"}', '{"b":2}']);
  } finally {
    for (const server of [proxy, target]) server.close(), server.closeAllConnections();
  }
});
