// The rest of OpenCode's surface has the shapes that the real OpenCode describes: what clients ask at their start,
// the configuration, the terminal UI's control, and OpenCode 2 with its streams.

import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { startRun } from "./harness.mjs";
import { opencodeDocument } from "./lib/opencode-server.mjs";
import { Shapes } from "./lib/shapes.mjs";
import { collectEvents } from "./lib/sse.mjs";

const TIMEOUT_MS = 180_000;

const STARTUP = [
  "/config", "/config/providers", "/global/config", "/provider", "/provider/auth", "/agent", "/mcp", "/lsp",
  "/formatter", "/skill", "/experimental/capabilities", "/experimental/console", "/experimental/console/orgs",
  "/experimental/resource", "/experimental/session", "/experimental/tool/ids", "/experimental/workspace",
  "/experimental/workspace/adapter", "/experimental/workspace/status", "/experimental/worktree",
];

const CATALOGUE = [
  "/api/location", "/api/agent", "/api/model", "/api/provider", "/api/integration", "/api/reference", "/api/skill",
  "/api/permission/request", "/api/permission/saved", "/api/question/request", "/api/session", "/api/session/active",
];

describe("the surface of OpenCode", { timeout: TIMEOUT_MS }, () => {
  let run;
  let shapes;
  let session;

  before(async () => {
    run = await startRun({ agents: {} });
    shapes = new Shapes(await opencodeDocument(path.join(run.folder, "opencode")));
    await run.client.connected("mock");
    session = await run.client.createSession();
  });
  after(() => run?.end());

  /** Sends a request and checks the answer; `route` is the path as the document writes it. */
  async function fits(method, route, body, { status = 200, query = "", ...values } = {}) {
    const url = route.replace(/\{(\w+)\}/g, (_, name) => ({ sessionID: session, ...values })[name]) + query;
    const answer = await run.client.call(method, url, body);
    const told = `${method} ${url}: ${JSON.stringify(answer.body)}`;
    assert.equal(answer.status, status, told);
    assert.deepEqual(shapes.answer(method, route, status, answer.body), [], told);
    return answer.body;
  }

  test("what clients ask at their start", async () => {
    for (const route of STARTUP) await fits("GET", route);
    await fits("GET", "/experimental/tool", undefined, { query: "?provider=mock&model=mock" });
  });

  test("the configuration, and what is told to the server", async () => {
    for (const route of ["/config", "/global/config"]) {
      const config = await fits("PATCH", route, { model: "mock/mock-strong", default_agent: "build" });
      assert.equal(config.model, "mock/mock-strong");
    }
    await fits("POST", "/log", { service: "test", level: "info", message: "hello", extra: { a: 1 } });
    await fits("POST", "/instance/dispose");
    await fits("POST", "/global/dispose");
    const { status, body } = await run.client.call("PUT", "/auth/mock", { type: "api", key: "k" });
    assert.deepEqual([status, shapes.named("BadRequestError", body)], [400, []], JSON.stringify(body));
  });

  test("the terminal UI's control", async () => {
    const events = await run.events();
    for (const [route, body] of [
      ["append-prompt", { text: "a" }],
      ...["open-help", "open-sessions", "open-themes", "open-models", "submit-prompt", "clear-prompt"].map((name) => [name]),
      ["execute-command", { command: "agent_cycle" }],
      ["show-toast", { message: "m", variant: "success", title: "t" }],
      ["publish", { type: "tui.toast.show", properties: { message: "m", variant: "error" } }],
      ["select-session", { sessionID: session }],
    ]) {
      await fits("POST", `/tui/${route}`, body);
      await fits("GET", "/tui/control/next");
    }
    await fits("POST", "/tui/control/response", { any: "thing" });
    await events.until((event) => event.type === "tui.session.select");
    for (const event of events.events) assert.deepEqual(shapes.event(event), [], JSON.stringify(event));
  });

  test("OpenCode 2: the catalogue", async () => {
    for (const route of CATALOGUE) await fits("GET", route);
    await fits("GET", "/api/location", undefined, { query: "?location%5Bdirectory%5D=/tmp" });
    await fits("GET", "/api/provider/{providerID}", undefined, { providerID: "mock" });
    await fits("GET", "/api/provider/{providerID}", undefined, { providerID: "nope", status: 404 });
  });

  test("OpenCode 2: a session, its messages and its streams", async () => {
    const stream = await collectEvents(`${run.client.base}/api/event`, run.client.headers);
    try {
      const made = await fits("POST", "/api/session", { model: { providerID: "mock", id: "mock" } });
      session = made.data.id;
      const log = await collectEvents(`${run.client.base}/api/session/${session}/event`, run.client.headers);
      try {
        await converse();
        const isLast = (event) => event.type === "session.next.agent.switched" && event.data.agent === "build";
        await log.until(isLast);
        const { data } = await fits("GET", "/api/session/{sessionID}/history", undefined, { query: "?limit=1000" });
        assert.deepEqual(log.events, data, "the stream and the list are the same log");
      } finally {
        log.close();
      }
      await stream.until((event) => event.type === "session.idle");
      const seen = new Set();
      for (const event of stream.events) {
        assert.deepEqual(shapes.eventOf("V2Event", event), [], JSON.stringify(event));
        seen.add(event.type.replace("session.next.", ""));
      }
      for (const type of [
        "prompt.admitted", "prompted", "step.started", "step.ended", "step.failed", "text.started", "text.delta",
        "text.ended", "reasoning.started", "reasoning.ended", "tool.input.started", "tool.called", "tool.success",
        "model.switched", "agent.switched", "permission.v2.asked", "permission.v2.replied", "question.v2.asked",
        "question.v2.replied", "question.v2.rejected", "message.updated", "session.status",
      ]) {
        assert.ok(seen.has(type), `no ${type} among ${[...seen].join(" ")}`);
      }
    } finally {
      stream.close();
    }
  });

  /** One conversation with everything in it that has a shape of its own. */
  async function converse() {
    const at = "/api/session/{sessionID}";
    for (const text of ["echo one", "tool a.txt", "bash ls", "plan", "error"]) await ask(text);
    await fits("POST", `${at}/model`, { model: { providerID: "mock", id: "mock-strong" } }, { status: 204 });
    await fits("POST", `${at}/agent`, { agent: "plan" }, { status: 204 });
    const files = [{ uri: "file:///tmp/none.txt", name: "none.txt", source: { start: 0, end: 3, text: "@no" } }];
    await fits("POST", `${at}/prompt`, { prompt: { text: "echo file", files }, resume: false });
    await asks("permission", "permission", { reply: "once" });
    await asks("question", "question", { answers: [["Red"]] });
    await asks("question", "question", undefined);
    for (const query of ["?order=asc", "?limit=3", "?order=desc&limit=1000"]) {
      await fits("GET", `${at}/message`, undefined, { query });
    }
    const { data } = await fits("GET", `${at}/message`, undefined, { query: "?order=asc&limit=1000" });
    assert.ok(data.some((message) => message.type === "model-switched"), JSON.stringify(data));
    for (const { id } of data) await fits("GET", `${at}/message/{messageID}`, undefined, { messageID: id });
    await fits("GET", `${at}/message/{messageID}`, undefined, { messageID: "msg_none", status: 404 });
    await fits("GET", `${at}/context`);
    await fits("GET", at);
    await fits("GET", at, undefined, { sessionID: "ses_missing", status: 404 });
    await fits("GET", "/api/session", undefined, { query: "?limit=1" });
    await fits("GET", "/api/session", undefined, { query: "?cursor=none", status: 400 });
    await fits("POST", `${at}/agent`, { agent: "build" }, { status: 204 });
  }

  async function ask(text) {
    await fits("POST", "/api/session/{sessionID}/prompt", { prompt: { text } });
    await fits("POST", "/api/session/{sessionID}/wait", undefined, { status: 204 });
  }

  /** A prompt whose agent asks; `reply` undefined dismisses what it asks. */
  async function asks(text, kind, reply) {
    const events = await run.events();
    await fits("POST", "/api/session/{sessionID}/prompt", { prompt: { text } });
    await events.until((event) => event.type === `${kind}.asked`);
    const { data } = await fits("GET", `/api/session/{sessionID}/${kind}`);
    await fits("GET", `/api/${kind}/request`);
    const verb = reply ? "reply" : "reject";
    const values = { status: 204, requestID: data[0].id };
    await fits("POST", `/api/session/{sessionID}/${kind}/{requestID}/${verb}`, reply, values);
    await fits("POST", "/api/session/{sessionID}/wait", undefined, { status: 204 });
  }
});
