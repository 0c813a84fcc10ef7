// The scenario that every server is given. Each step is a user's action with the requests that OpenCode's
// clients make for it (facts of their own traffic), then the errors.

import { writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const S = "/session/{sessionID}";
const M = `${S}/message/{messageID}`;
const P = `${M}/part/{partID}`;
const V2 = "/api/session/{sessionID}";
const MISSING = { sessionID: "ses_missing" };

/**
 * What is played: a name, and what is done. `not` names the servers that cannot be given it; `depth` is how
 * many levels of the answers are compared.
 */
export const SCENARIO = [
  ...catalogue(),
  ...sessions(),
  ...turns(),
  ...asking(),
  ...aborting(),
  ...changingHistory(),
  ...otherTurns(),
  ...version2(),
  ...errors(),
  ...ending(),
];

function catalogue() {
  const routes = ["/global/health", "/path", "/project", "/project/current", "/config", "/config/providers", "/provider",
    "/provider/auth", "/agent", "/command", "/session/status", "/permission", "/question", "/lsp", "/mcp", "/formatter",
    "/vcs", "/skill", "/experimental/capabilities", "/experimental/console", "/experimental/resource",
    "/experimental/workspace", "/experimental/workspace/status", "/experimental/tool/ids", "/api/health",
    "/api/location", "/api/agent", "/api/model", "/api/provider", "/api/reference", "/api/command", "/api/skill",
    "/api/session/active", "/api/permission/request", "/api/question/request", "/global/config", "/api/integration"];
  return [["what clients ask at their start", async (s) => {
    for (const route of routes) await s.call("GET", route);
    // What is in them differs, as the two servers are configured otherwise; tests/clients/lib/traffic.mjs checks it.
  }, { depth: 1 }]];
}

function sessions() {
  return [
    ["create a session", async (s) => {
      s.session = (await s.call("POST", "/session", { body: { title: "first" } })).id;
      s.at = { sessionID: s.session };
    }],
    ["create a session without a body", async (s) => {
      const { id } = await s.call("POST", "/session");
      s.untitled = { sessionID: id };
    }],
    ["create a session for what not every server can be given", async (s) => {
      s.aside = { sessionID: (await s.call("POST", "/session", { body: { title: "aside" } })).id };
    }],
    ["create a child", async (s) => {
      await s.call("POST", "/session", { body: { parentID: s.session, title: "child" } });
      await s.call("GET", `${S}/children`, { values: s.at });
    }],
    ["read a session", async (s) => {
      for (const tail of ["", "/message", "/children", "/todo", "/diff"]) await s.call("GET", S + tail, { values: s.at });
    }],
    ["list sessions", async (s) => {
      await s.call("GET", "/session");
      await s.call("GET", "/session", { query: "?roots=true&limit=55" });
    }],
    ["rename", async (s) => {
      await s.call("PATCH", S, { values: s.at, body: { title: "renamed" } });
      await s.event("session.updated", s.session);
    }],
    ["metadata", async (s) => {
      await s.call("PATCH", S, { values: s.at, body: { metadata: { a: 1 } } });
      await s.event("session.updated", s.session);
    }],
    ["archive", async (s) => {
      await s.call("PATCH", S, { values: s.untitled, body: { time: { archived: 1_800_000_000_000 } } });
      await s.call("GET", S, { values: s.untitled });
    }],
  ];
}

/** Sends a prompt and waits for the end of its turn. */
async function prompt(s, want, text, more, values = s.at) {
  const answer = await s.call("POST", `${S}/message`, { values, body: s.prompt(want, text, more) });
  await s.idle(values.sessionID);
  return answer;
}

function turns() {
  return [
    ["a prompt", async (s) => {
      const { info, parts } = await prompt(s, "say", "one", { model: s.model("first") });
      s.answer = { ...s.at, messageID: info.id, partID: parts?.find((part) => part.type === "text").id };
    }],
    ["read messages", async (s) => {
      await s.call("GET", `${S}/message`, { values: s.at });
      await s.call("GET", `${S}/message`, { values: s.at, query: "?limit=1" });
      await s.call("GET", M, { values: s.answer });
      await s.call("GET", S, { values: s.at });
    }],
    ["a thought", (s) => prompt(s, "think", "two", { model: s.model("first") }, s.aside), { not: ["mock"] }],
    ["a tool that writes a file", (s) => prompt(s, "write", "note.txt some-words")],
    ["another model", (s) => prompt(s, "say", "three", { model: s.model("other") })],
    ["a variant", (s) => prompt(s, "say", "four", { model: s.model("second"), variant: "high" })],
    ["the agent plan", (s) => prompt(s, "say", "five", { model: s.model("first"), agent: "plan" })],
    ["back to build", (s) => prompt(s, "say", "six", { agent: "build" })],
    ["a prompt with a file", async (s) => {
      const file = path.join(s.work, "attached.txt");
      writeFileSync(file, "what is in the file\n");
      const body = s.prompt("say", "file");
      body.parts.unshift({ type: "file", mime: "text/plain", filename: "attached.txt", url: pathToFileURL(file).href });
      await s.call("POST", `${S}/message`, { values: s.at, body });
      await s.idle(s.session);
      await s.call("GET", `${S}/message`, { values: s.at, query: "?limit=2" });
    }],
    ["a prompt that nobody waits for", async (s) => {
      await s.call("POST", `${S}/prompt_async`, { values: s.at, body: s.prompt("say", "seven") });
      await s.idle(s.session);
    }],
    ["a prompt without an answer", (s) => s.call("POST", `${S}/message`, { values: s.at, body: s.prompt("say", "noted", { noReply: true }) })],
    ["an error of the model's provider", (s) => prompt(s, "fail", "400", {}, s.aside), { not: ["mock"] }],
    ["read the session after that", async (s) => {
      await s.call("GET", S, { values: s.at });
      await s.call("GET", `${S}/message`, { values: s.at });
    }],
  ];
}

/** Begins a turn that asks something, answers it, and waits for the end. */
async function asked(s, [want, text], event, reply, at = s.at) {
  await s.call("POST", `${S}/prompt_async`, { values: at, body: s.prompt(want, text, { model: s.model("first") }) });
  const request = await s.event(event, at.sessionID);
  await s.call("GET", "/session/status");
  await s.call("GET", event.startsWith("permission") ? "/permission" : "/question");
  await reply({ ...at, requestID: request.id, permissionID: request.id });
  await s.idle(at.sessionID);
}

function asking() {
  const permit = (reply) => (s) =>
    asked(s, ["run", `echo ${reply}`], "permission.asked", (values) => s.call("POST", "/permission/{requestID}/reply", { values, body: { reply } }));
  return [
    ["permission once", permit("once")],
    ["permission once, on the web UI's route", (s) =>
      asked(s, ["run", "echo web"], "permission.asked", (values) => s.call("POST", `${S}/permissions/{permissionID}`, { values, body: { response: "once" } }))],
    ["permission rejected", permit("reject")],
    ["permission always", permit("always")],
    ["a question", (s) =>
      asked(s, ["ask", "Which colour?"], "question.asked", (values) => s.call("POST", "/question/{requestID}/reply", { values, body: { answers: [["Red"]] } }), s.aside),
      { not: ["acp"] }],
    ["a question rejected", (s) =>
      asked(s, ["ask", "Which colour?"], "question.asked", (values) => s.call("POST", "/question/{requestID}/reject", { values }), s.aside),
      { not: ["acp"] }],
  ];
}

function aborting() {
  return [
    ["abort", async (s) => {
      await s.call("POST", `${S}/prompt_async`, { values: s.at, body: s.prompt("slow", "30") });
      await s.event("message.part.delta", s.session);
      await s.call("POST", `${S}/abort`, { values: s.at });
      await s.event("session.idle", s.session);
      await s.call("GET", `${S}/message`, { values: s.at, query: "?limit=1" });
    }],
    ["while a turn runs", async (s) => {
      await s.call("POST", `${S}/prompt_async`, { values: s.at, body: s.prompt("slow", "30") });
      await s.event("message.part.delta", s.session);
      const [{ info }] = await s.call("GET", `${S}/message`, { values: s.at, query: "?limit=1" });
      await s.call("POST", `${S}/shell`, { values: s.at, body: { agent: "build", command: "echo no" } });
      await s.call("POST", `${S}/revert`, { values: s.at, body: { messageID: info.parentID } });
      await s.call("POST", `${S}/unrevert`, { values: s.at });
      await s.call("DELETE", M, { values: { ...s.at, messageID: info.id } });
      await s.call("PATCH", S, { values: s.at, body: { title: "while it runs" } });
      await s.call("POST", `${S}/abort`, { values: s.at });
      await s.event("session.idle", s.session);
    }],
    ["abort when nothing runs", (s) => s.call("POST", `${S}/abort`, { values: s.at })],
  ];
}

function changingHistory() {
  return [
    ["fork", async (s) => {
      const { id } = await s.call("POST", `${S}/fork`, { values: s.at, body: {} });
      await s.ifDone(() => s.call("GET", `${S}/message`, { values: { sessionID: id } }));
    }],
    ["fork at a message", async (s) => {
      const all = await s.call("GET", `${S}/message`, { values: s.at });
      const { id } = await s.call("POST", `${S}/fork`, { values: s.at, body: { messageID: all[2].info.id } });
      await s.ifDone(() => s.call("GET", `${S}/message`, { values: { sessionID: id } }));
    }],
    ["revert", async (s) => {
      const all = await s.call("GET", `${S}/message`, { values: s.at });
      const user = all.findLast(({ info }) => info.role === "user").info.id;
      await s.call("POST", `${S}/revert`, { values: s.at, body: { messageID: user } });
      await s.call("GET", `${S}/message`, { values: s.at });
    }],
    ["unrevert", (s) => s.call("POST", `${S}/unrevert`, { values: s.at })],
    ["revert, and go on from there", async (s) => {
      const all = await s.call("GET", `${S}/message`, { values: s.at });
      const user = all.findLast(({ info }) => info.role === "user").info.id;
      await s.call("POST", `${S}/revert`, { values: s.at, body: { messageID: user } });
      await prompt(s, "say", "instead");
      await s.call("GET", `${S}/message`, { values: s.at });
    }],
    ["change a part", async (s) => {
      const message = await s.call("GET", M, { values: s.answer });
      const part = message.parts.find(({ id }) => id === s.answer.partID);
      await s.call("PATCH", P, { values: s.answer, body: { ...part, text: "changed" } });
    }],
    ["delete a part", (s) => s.call("DELETE", P, { values: s.answer })],
    ["delete a message", (s) => s.call("DELETE", M, { values: s.answer })],
  ];
}

function otherTurns() {
  return [
    ["a shell command", async (s) => {
      await s.call("POST", `${S}/shell`, { values: s.at, body: { agent: "build", command: "echo from-the-shell", model: s.model("first") } });
      await s.ifDone(() => s.event("session.idle", s.session));
    }],
    ["a slash command", async (s) => {
      const { providerID, modelID } = s.model("first");
      await s.call("POST", `${S}/command`, { values: s.at, body: { command: "init", arguments: "", model: `${providerID}/${modelID}` } });
      await s.ifDone(() => s.event("session.idle", s.session));
    }],
    ["summarize", async (s) => {
      await s.call("POST", `${S}/summarize`, { values: s.at, body: s.model("first") });
      await s.ifDone(() => s.event("session.idle", s.session));
      await s.call("GET", `${S}/message`, { values: s.at, query: "?limit=2" });
    }],
    ["share", (s) => s.call("POST", `${S}/share`, { values: s.at })],
    ["unshare", (s) => s.call("DELETE", `${S}/share`, { values: s.at })],
  ];
}

function version2() {
  return [
    ["OpenCode 2: switch the model", async (s) => {
      const { providerID, modelID } = s.model("other");
      await s.call("POST", `${V2}/model`, { values: s.at, body: { model: { providerID, id: modelID } } });
      await s.event("session.next.model.switched", s.session);
      await s.applied(s.session);
      await s.call("GET", S, { values: s.at });
    }],
    ["OpenCode 2: switch the agent", async (s) => {
      await s.call("POST", `${V2}/agent`, { values: s.at, body: { agent: "plan" } });
      await s.event("session.next.agent.switched", s.session);
      await s.applied(s.session);
    }],
    ["OpenCode 2: create a session and prompt", async (s) => {
      const { providerID, modelID } = s.model("first");
      const made = await s.call("POST", "/api/session", { body: { model: { providerID, id: modelID }, location: { directory: s.work } } });
      await s.ifDone(async () => {
        const values = { sessionID: made.data.id };
        await s.call("POST", `${V2}/prompt`, { values, body: { prompt: { text: s.prompt("say", "in two").parts[0].text } } });
        await s.ifDone(() => s.event(["session.next.step.ended", "session.idle"], made.data.id));
        await s.call("GET", `${V2}/message`, { values });
        await s.call("POST", `${V2}/interrupt`, { values });
      });
    }],
    ["OpenCode 2: read", async (s) => {
      await s.call("GET", "/api/session");
      await s.call("GET", V2, { values: s.at });
      await s.call("GET", `${V2}/message`, { values: s.at });
      await s.call("GET", `${V2}/context`, { values: s.at });
      await s.call("GET", `${V2}/permission`, { values: s.at });
      await s.call("GET", `${V2}/question`, { values: s.at });
    }],
  ];
}

function errors() {
  const on = (method, route, options) => (s) => s.call(method, route, { values: s.at, ...options });
  return [
    ["no such session", async (s) => {
      for (const tail of ["", "/message", "/children", "/todo", "/diff"]) await s.call("GET", S + tail, { values: MISSING });
      await s.call("PATCH", S, { values: MISSING, body: { title: "x" } });
      await s.call("DELETE", S, { values: MISSING });
      await s.call("POST", `${S}/message`, { values: MISSING, body: s.prompt("say", "x") });
      await s.call("POST", `${S}/prompt_async`, { values: MISSING, body: s.prompt("say", "x") });
      await s.call("POST", `${S}/abort`, { values: MISSING });
      await s.call("POST", `${S}/fork`, { values: MISSING, body: {} });
      await s.call("POST", `${S}/unrevert`, { values: MISSING });
      await s.call("POST", `${V2}/model`, { values: MISSING, body: { model: { providerID: "a", id: "b" } } });
      await s.call("POST", `${V2}/agent`, { values: MISSING, body: { agent: "build" } });
      await s.call("GET", V2, { values: MISSING });
    }],
    ["a malformed session id", async (s) => {
      const values = { sessionID: "nonsense" };
      await s.call("GET", S, { values });
      await s.call("GET", `${S}/message`, { values });
      await s.call("POST", `${V2}/agent`, { values, body: { agent: "build" } });
    }],
    ["no such message", async (s) => {
      await s.call("GET", M, { values: { ...s.at, messageID: "msg_missing" } });
      await s.call("DELETE", M, { values: { ...s.at, messageID: "msg_missing" } });
    }],
    ["no such request", async (s) => {
      await s.call("POST", "/permission/{requestID}/reply", { values: { requestID: "per_missing" }, body: { reply: "once" } });
      await s.call("POST", "/question/{requestID}/reply", { values: { requestID: "que_missing" }, body: { answers: [] } });
      await s.call("POST", "/question/{requestID}/reject", { values: { requestID: "que_missing" } });
    }],
    ["wrong types", async (s) => {
      await s.call("PATCH", S, { values: s.at, body: { title: 5 } });
      await s.call("PATCH", S, { values: s.at, body: [] });
      await s.call("POST", "/session", { body: { title: 5 } });
      await s.call("POST", "/session", { body: { model: "x" } });
      await s.call("POST", `${S}/message`, { values: s.at, body: { parts: "x" } });
      await s.call("POST", `${S}/message`, { values: s.at, body: {} });
      await s.call("POST", `${S}/message`, { values: s.at, body: { model: "x", parts: [{ type: "text", text: "x" }] } });
      await s.call("POST", `${S}/message`, { values: s.at, body: { model: { id: "x", providerID: "y" }, parts: [{ type: "text", text: "x" }] } });
      await s.call("POST", `${S}/message`, { values: s.at, body: { parts: [{ type: "nonsense" }] } });
      await s.call("POST", `${V2}/model`, { values: s.at, body: { model: { id: "x" } } });
      await s.call("POST", `${V2}/agent`, { values: s.at, body: {} });
    }],
    ["empty parts", on("POST", `${S}/message`, { body: { parts: [] } })],
    ["bad JSON", async (s) => {
      await s.call("PATCH", S, { values: s.at, raw: "{" });
      await s.call("POST", `${S}/message`, { values: s.at, raw: "{" });
      await s.call("POST", `${V2}/model`, { values: s.at, raw: "{" });
    }],
    ["wrong content type", async (s) => {
      await s.call("PATCH", S, { values: s.at, raw: "{}", type: "text/plain" });
      await s.call("POST", `${S}/message`, { values: s.at, raw: "{}", type: "text/plain" });
    }],
    ["no body", async (s) => {
      await s.call("PATCH", S, { values: s.at });
      await s.call("POST", `${S}/message`, { values: s.at });
    }],
    ["an unknown model", async (s) => {
      await s.call("POST", `${S}/message`, { values: s.at, body: s.prompt("say", "x", { model: { providerID: s.model("first").providerID, modelID: "nope" } }) });
    }],
    ["an unknown agent", async (s) => {
      await s.call("POST", `${S}/message`, { values: s.at, body: s.prompt("say", "x", { model: s.model("first"), agent: "nope" }) });
    }],
    ["a route that is not there", (s) => s.call("GET", "/nonsense")],
  ];
}

function ending() {
  return [
    ["delete a session", async (s) => {
      await s.call("DELETE", S, { values: s.at });
      await s.event("session.deleted");
      await s.call("GET", S, { values: s.at });
    }],
  ];
}
