// Everything that Baton sends in a session's life has the shape that the real OpenCode describes: its
// document is fetched from the installed program while the test runs.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { startRun } from "./harness.mjs";
import { opencodeDocument } from "./lib/opencode-server.mjs";
import { Shapes } from "./lib/shapes.mjs";

const TIMEOUT_MS = 120_000;

describe("the shapes of OpenCode", { timeout: TIMEOUT_MS }, () => {
  let run;
  let shapes;
  let events;
  let session;

  before(async () => {
    run = await startRun({ agents: {} });
    shapes = new Shapes(await opencodeDocument(path.join(run.folder, "opencode")));
    await run.client.connected("mock");
    // Snapshots are taken in repositories only.
    execFileSync("git", ["init", "--quiet"], { cwd: run.work });
    events = await run.events();
    session = await run.client.createSession();
  });
  after(() => run?.end());

  /** Sends a request and checks the answer; `route` is the path as the document writes it. */
  async function fits(method, route, body, { status = 200, ...values } = {}) {
    const url = route.replace(/\{(\w+)\}/g, (_, name) => ({ sessionID: session, ...values })[name]);
    const answer = await run.client.call(method, url, body);
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    assert.deepEqual(shapes.answer(method, route, status, answer.body), [], `${method} ${route}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  const prompt = (text, more = {}) => ({ parts: [{ type: "text", text }], ...more });
  const mock = { model: { providerID: "mock", modelID: "mock" } };

  test("the catalogue", async () => {
    for (const route of ["/provider", "/config/providers", "/agent", "/config", "/path", "/project/current", "/global/health"]) {
      await fits("GET", route);
    }
  });

  test("a session and its messages", async () => {
    await fits("POST", "/session", { title: "one" });
    for (const text of ["echo one", "tool a.txt", "bash ls", "plan", "error", "think"]) {
      await fits("POST", "/session/{sessionID}/message", prompt(text, mock));
    }
    await fits("PATCH", "/session/{sessionID}", {
      ...{ providerID: "mock", modelID: "mock-strong", variant: "high", agent: "plan", title: "two" },
      ...{ metadata: { a: 1 }, permission: [{ permission: "bash", pattern: "*", action: "ask" }] },
    });
    await fits("POST", "/session/{sessionID}/message", prompt("history", { agent: "build" }));
    for (const route of ["", "/message", "/todo", "/children", "/diff"]) await fits("GET", `/session/{sessionID}${route}`);
    await fits("GET", "/session");
    const [{ info }] = await run.client.ok("GET", `/session/${session}/message`);
    await fits("GET", "/session/{sessionID}/message/{messageID}", undefined, { messageID: info.id });
    await fits("DELETE", "/session/{sessionID}/message/{messageID}", undefined, { messageID: info.id });
  });

  test("what is run beside prompts", async () => {
    await fits("GET", "/command");
    const from = events.position();
    await fits("POST", "/session/{sessionID}/shell", { agent: "build", command: "echo one; echo two >&2; exit 1" });
    // One of Baton's templates, and one that the mock agent advertises.
    for (const command of ["review", "shout"]) {
      await fits("POST", "/session/{sessionID}/command", { command, arguments: "all of it" });
    }
    await fits("POST", "/session/{sessionID}/summarize", mock.model);
    await fits("GET", "/session/{sessionID}/message");
    await fits("POST", "/session/{sessionID}/init", { ...mock.model, messageID: "msg_of_init" });
    await events.until((event) => event.type === "session.compacted", undefined, { from });
    const running = fits("POST", "/session/{sessionID}/shell", { agent: "build", command: "echo begun; sleep 60" });
    await events.until((event) => event.properties.part?.state?.metadata?.output === "begun\n", undefined, { from });
    // Errors of a busy session have OpenCode's fields, and those of its other errors beside them.
    const busy = await run.client.call("POST", `/session/${session}/shell`, { agent: "build", command: "echo no" });
    const { _tag, sessionID, message } = busy.body;
    assert.deepEqual([busy.status, shapes.named("SessionBusyError", { _tag, sessionID, message })], [409, []]);
    await fits("POST", "/session/{sessionID}/abort");
    await running;
  });

  test("permissions and questions", async () => {
    for (const [text, asked, list, reply] of [
      ["permission", "permission.asked", "/permission", ["/permission/{requestID}/reply", { reply: "once" }]],
      ["question", "question.asked", "/question", ["/question/{requestID}/reply", { answers: [["Red"]] }]],
      ["question", "question.asked", "/question", ["/question/{requestID}/reject", undefined]],
    ]) {
      const from = events.position();
      await fits("POST", "/session/{sessionID}/prompt_async", prompt(text), { status: 204 });
      const { properties } = await events.until((event) => event.type === asked, undefined, { from });
      await fits("GET", "/session/status");
      await fits("GET", list);
      await fits("POST", reply[0], reply[1], { requestID: properties.id });
      await events.until((event) => event.type === "session.idle", undefined, { from });
    }
  });

  test("an abort", async () => {
    const from = events.position();
    await fits("POST", "/session/{sessionID}/prompt_async", prompt("slow 60"), { status: 204 });
    await events.until((event) => event.type === "message.part.delta", undefined, { from });
    await fits("POST", "/session/{sessionID}/abort");
    await events.until((event) => event.type === "session.idle", undefined, { from });
  });

  test("going back, copying, editing", async () => {
    const answer = await fits("POST", "/session/{sessionID}/message", prompt("tool late.txt", mock));
    const late = path.join(run.work, "late.txt");
    const types = answer.parts.map(({ type }) => type);
    assert.ok(types.includes("patch"), types.join(" "));
    assert.ok(existsSync(late));
    const messageID = answer.info.parentID;
    const diffs = await fits("GET", "/session/{sessionID}/diff");
    assert.notEqual(diffs.length, 0);
    const reverted = await fits("POST", "/session/{sessionID}/revert", { messageID });
    assert.deepEqual(Object.keys(reverted.revert).sort(), ["diff", "messageID", "snapshot"]);
    assert.ok(!existsSync(late));
    await fits("POST", "/session/{sessionID}/unrevert");
    assert.ok(existsSync(late));
    const text = answer.parts.find(({ type }) => type === "text");
    await fits("POST", "/session/{sessionID}/revert", { messageID: answer.info.id, partID: text.id });
    const copy = await fits("POST", "/session/{sessionID}/fork", {});
    await fits("GET", "/session/{sessionID}/message", undefined, { sessionID: copy.id });
    await fits("DELETE", "/session/{sessionID}", undefined, { sessionID: copy.id });
    // The next prompt removes what is reverted, here a part.
    const next = await fits("POST", "/session/{sessionID}/message", prompt("echo on"));
    const said = next.parts.find(({ type }) => type === "text");
    const part = "/session/{sessionID}/message/{messageID}/part/{partID}";
    const ids = { messageID: next.info.id, partID: said.id };
    await fits("PATCH", part, { ...said, text: "edited" }, ids);
    await fits("DELETE", part, undefined, ids);
    await fits("POST", "/session/{sessionID}/revert", { messageID: next.info.parentID });
    await fits("POST", "/session/{sessionID}/message", prompt("echo on"));
    await fits("POST", "/session/{sessionID}/share", undefined, { status: 400 });
    await fits("DELETE", "/session/{sessionID}/share");
  });

  test("refusals", async () => {
    await fits("GET", "/session/{sessionID}", undefined, { status: 404, sessionID: "ses_missing" });
    // The document gives this route another error; the real server sends this one, which the document has, too.
    const { status, body } = await run.client.call("PATCH", `/session/${session}`, { title: 5 });
    assert.deepEqual([status, shapes.named("BadRequestError", body)], [400, []], JSON.stringify(body));
    await fits("POST", "/api/session/{sessionID}/model", { model: { id: "x" } }, { status: 400 });
    await fits("POST", "/api/session/{sessionID}/model", { model: { id: "mock", providerID: "mock" } }, { status: 204 });
  });

  test("every event of all that", async () => {
    await fits("DELETE", "/session/{sessionID}");
    await events.until((event) => event.type === "session.deleted");
    const seen = new Map();
    for (const event of events.events) {
      const wrong = shapes.event(event);
      assert.deepEqual(wrong, [], `${event.type}: ${JSON.stringify(event)}`);
      seen.set(event.type, (seen.get(event.type) ?? 0) + 1);
    }
    // Were one of these missing, the tests above would not have provoked what they are meant to.
    for (const type of ["message.updated", "message.part.updated", "session.updated", "session.status", "session.error",
      "todo.updated", "file.edited", "permission.replied", "question.replied", "question.rejected", "message.removed",
      "message.part.removed", "session.diff", "session.compacted", "command.executed",
      "session.next.model.switched", "session.next.agent.switched"]) {
      assert.ok(seen.has(type), `no ${type} among ${[...seen.keys()].join(" ")}`);
    }
  });
});
