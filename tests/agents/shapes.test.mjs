// Everything that Baton sends in a session's life has the shape that the real OpenCode describes: its
// document is fetched from the installed program while the test runs.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
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
    events = await run.events();
    session = await run.client.createSession();
  });
  after(() => run?.end());

  /** Sends a request and checks the answer; `route` is the path as the document writes it. */
  async function fits(method, route, body, { status = 200, query = "", ...values } = {}) {
    const url = route.replace(/\{(\w+)\}/g, (_, name) => ({ sessionID: session, ...values })[name]);
    const answer = await run.client.call(method, url + query, body);
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

  test("files, searches and version control", async () => {
    const git = (...words) => execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...words], { cwd: run.work });
    writeFileSync(path.join(run.work, "one.txt"), "needle\n");
    git("init", "-q", "-b", "main");
    git("add", "-A");
    git("commit", "-q", "-m", "first");
    writeFileSync(path.join(run.work, "one.txt"), "needle\nmore\n");
    writeFileSync(path.join(run.work, "bytes.bin"), Buffer.from([0, 1]));
    const location = new URLSearchParams({ "location[directory]": run.work });
    for (const [route, query, wanted] of [
      ["/file", "path=", "one.txt"],
      ["/file/content", "path=one.txt", "needle"],
      ["/file/content", "path=bytes.bin", "base64"],
      ["/file/status", "", "bytes.bin"],
      ["/find", "pattern=need.e", "absolute_offset"],
      ["/find/file", "query=one", "one.txt"],
      ["/find/symbol", "query=one", "[]"],
      ["/vcs", "", "main"],
      ["/vcs/status", "", "modified"],
      ["/vcs/diff", "mode=git", "+more"],
      ["/project", "", "worktree"],
      ["/project/current", "", "worktree"],
      ["/api/location", location, run.work],
      ["/api/fs/list", location, "one.txt"],
      ["/api/fs/find", `query=one&${location}`, "one.txt"],
    ]) {
      const answer = await fits("GET", route, undefined, { query: `?${query}` });
      assert.ok(JSON.stringify(answer).includes(wanted), `${route}: ${JSON.stringify(answer)}`);
    }
    const { id: projectID } = await run.client.ok("GET", "/project/current");
    await fits("PATCH", "/project/{projectID}", { name: "one" }, { projectID });
    await events.until((event) => event.type === "project.updated");
    await fits("GET", "/project/{projectID}/directories", undefined, { projectID });
    const file = { type: "file", mime: "text/plain", url: pathToFileURL(path.join(run.work, "one.txt")).href };
    await fits("POST", "/session/{sessionID}/message", { parts: [file, { type: "text", text: "history" }] });
    await fits("GET", "/session/{sessionID}/message");
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
      "session.next.model.switched", "session.next.agent.switched"]) {
      assert.ok(seen.has(type), `no ${type} among ${[...seen.keys()].join(" ")}`);
    }
  });
});
