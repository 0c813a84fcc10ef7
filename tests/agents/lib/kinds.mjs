// What the tests of kinds of faults (kinds.test.mjs) have to know of each agent: where it stores its native sessions, how its
// model is given to it at its launch, and what it cannot show, with the reason.

import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import path from "node:path";
import { opencodeProgram } from "./opencode.mjs";

/**
 * @typedef {object} Kinds
 * @property {string[]} sessions the files and folders in its home that have its native sessions
 * @property {(home: string, env: object) => void} [forget] deletes them with a command of its own, instead
 * @property {(entry: {command: string[], env: object}) => {command: string[], env: object}} [launched] its entry in the
 *   configuration file with the model in its command or environment
 * @property {boolean} [costs] it tells what its answers cost
 */

/** Adds to an entry's environment. */
const withEnv = (more) => (entry) => ({ ...entry, env: { ...entry.env, ...more } });
/** Adds to an entry's arguments. */
const withArgs = (...more) => (entry) => ({ ...entry, command: [...entry.command, ...more] });

/** @type {Object<string, Kinds>} by the backend's id */
export const KINDS = {
  opencode: {
    forget: forgetOpencode,
    sessions: [],
    launched: withEnv({ OPENCODE_CONFIG_CONTENT: '{"model":"{model}"}' }),
    costs: true,
  },
  claude: { sessions: [".claude/projects"], launched: withEnv({ ANTHROPIC_MODEL: "{model}" }), costs: true },
  codex: { sessions: [".codex/sessions"], launched: withEnv({ CODEX_CONFIG: '{"model":"{model}"}' }) },
  "codex-zed": { sessions: [".codex/sessions"], launched: withArgs("-c", 'model="{model}"') },
  pi: { sessions: [".pi/agent/sessions", ".pi/pi-acp"] },
  goose: { sessions: [".local/share/goose/sessions"], launched: withEnv({ GOOSE_MODEL: "{model}" }) },
  gemini: { sessions: [".gemini/tmp"], launched: withArgs("-m", "{model}") },
  qwen: { sessions: [".qwen/projects", ".qwen/tmp"], launched: withArgs("-m", "{model}") },
  kimi: { sessions: [".kimi-code/sessions"] },
  copilot: { sessions: [".copilot/session-state"], launched: (entry) => entry },
  vibe: { sessions: [".vibe/logs"], launched: withEnv({ VIBE_ACTIVE_MODEL: "{model}" }) },
  kilo: { sessions: [".local/share/kilo"], launched: withEnv({ KILO_CONFIG_CONTENT: '{"model":"{model}"}' }), costs: true },
  cline: { sessions: [".cline/data"], launched: withArgs("-m", "{model}") },
};

/** The kind's name, which has limits. */
export const HALF = "2: half an emoji in the text";
const RUST = "its own parser does not read the half that its provider sends";

/** What an agent cannot show, and why: by the backend's id and the kind's name. */
export const KIND_LIMITS = {
  codex: { [HALF]: RUST },
  "codex-zed": { [HALF]: RUST },
  goose: { [HALF]: RUST },
};

/** Deletes the native sessions of an agent behind Baton's back. */
export function forgetSessions(id, home, env) {
  KINDS[id].forget?.(home, env);
  for (const stored of KINDS[id].sessions) rmSync(path.join(home, stored), { recursive: true, force: true, maxRetries: 3 });
}

function forgetOpencode(home, env) {
  const run = (...args) =>
    execFileSync(opencodeProgram(), ["session", ...args], { cwd: home, env: { PATH: "/usr/bin:/bin", ...env }, encoding: "utf8" });
  for (const { id } of JSON.parse(run("list", "--format", "json"))) run("delete", id);
}
