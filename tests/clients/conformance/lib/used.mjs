// Which routes OpenCode 1.18.33's own clients call, as seen through a logging proxy in front of the real server
// (start-up and actions of each), and which are there for those who write their own client with the SDKs. Baton must have them: one that goes missing fails the run.

const TUI = "terminal UI";
const RUN = "run --attach";
const MINI = "attach --mini";
const WEB = "web UI";
const SDK = "SDKs";

const AT_START = ["/path", "/project/current", "/vcs", "/lsp", "/mcp", "/formatter", "/command", "/experimental/capabilities",
  "/experimental/console", "/experimental/resource", "/experimental/workspace", "/experimental/workspace/status",
  "/provider/auth", "/project/{projectID}/directories", "/api/location", "/api/agent", "/api/integration", "/api/model",
  "/api/provider", "/api/reference", "/api/command", "/api/skill"];
const WEB_AT_START = ["/path", "/vcs", "/lsp", "/mcp", "/command", "/experimental/resource", "/project", "/project/current",
  "/api/reference", "/global/config", "/global/health", "/api/health", "/api/session"];

/** Who uses a route: `METHOD /path` to names. */
export const USED = new Map();

const uses = (route, ...clients) => USED.set(route, [...new Set([...(USED.get(route) ?? []), ...clients])]);

uses("GET /config/providers", TUI, MINI, WEB);
uses("GET /provider", TUI, WEB);
uses("GET /agent", TUI, RUN, MINI, WEB);
uses("GET /config", TUI, RUN, MINI, WEB);
uses("GET /global/event", TUI, MINI, WEB);
uses("GET /event", RUN);
uses("GET /session", TUI, RUN, WEB);
uses("POST /session", TUI, RUN, MINI, WEB);
uses("GET /session/{sessionID}", TUI, RUN, WEB);
uses("GET /session/{sessionID}/message", TUI, MINI, WEB);
uses("POST /session/{sessionID}/message", TUI, RUN);
uses("POST /session/{sessionID}/prompt_async", MINI, WEB);
uses("POST /session/{sessionID}/abort", TUI);
uses("PATCH /session/{sessionID}", TUI);
uses("DELETE /session/{sessionID}", TUI);
uses("POST /permission/{requestID}/reply", TUI, RUN);
uses("POST /session/{sessionID}/permissions/{permissionID}", WEB);
uses("POST /question/{requestID}/reply", TUI, RUN);
uses("GET /permission", MINI, WEB);
uses("GET /question", MINI, WEB);
uses("GET /session/status", TUI, MINI, WEB);
uses("GET /session/{sessionID}/todo", TUI, WEB);
uses("GET /session/{sessionID}/diff", TUI);
uses("GET /session/{sessionID}/children", MINI);
uses("POST /session/{sessionID}/command", TUI, RUN);
uses("POST /session/{sessionID}/shell", TUI);
uses("POST /session/{sessionID}/revert", TUI);
uses("POST /session/{sessionID}/unrevert", TUI);
uses("POST /session/{sessionID}/fork", TUI, RUN);
uses("POST /session/{sessionID}/summarize", TUI);
uses("GET /api/fs/find", TUI);
uses("GET /command", MINI);
uses("GET /experimental/resource", MINI);
for (const path of AT_START) uses(`GET ${path}`, TUI);
for (const path of WEB_AT_START) uses(`GET ${path}`, WEB);
for (const route of [
  ...["PATCH /session/{sessionID}/message/{messageID}/part/{partID}", "DELETE /session/{sessionID}/message/{messageID}/part/{partID}"],
  ...["GET /session/{sessionID}/message/{messageID}", "DELETE /session/{sessionID}/message/{messageID}"],
  ...["POST /session/{sessionID}/init", "POST /session/{sessionID}/share", "POST /question/{requestID}/reject"],
  ...["PATCH /config", "PATCH /global/config", "GET /file", "GET /file/content", "GET /file/status", "GET /find", "GET /find/file"],
  ...["GET /skill", "POST /log", "POST /instance/dispose", "GET /tui/control/next", "POST /tui/control/response"],
  ...["POST /tui/append-prompt", "POST /tui/submit-prompt", "POST /tui/clear-prompt", "POST /tui/execute-command"],
  ...["POST /tui/show-toast", "POST /tui/publish", "POST /tui/open-models", "POST /tui/open-sessions", "POST /tui/open-help"],
  ...["POST /api/session", "GET /api/session/{sessionID}", "POST /api/session/{sessionID}/model", "POST /api/session/{sessionID}/agent"],
  ...["GET /api/session/{sessionID}/message", "POST /api/session/{sessionID}/prompt", "POST /api/session/{sessionID}/interrupt"],
  ...["GET /api/session/{sessionID}/event", "GET /api/event", "GET /api/fs/list", "GET /api/fs/read/*"],
]) uses(route, SDK);
