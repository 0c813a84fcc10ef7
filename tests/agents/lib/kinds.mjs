// What the tests of kinds of faults (kinds.test.mjs) have to know of each agent: where it stores its native sessions, how its
// model is given to it at its launch, and what it cannot show, with the reason.

import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { opencodeProgram } from "./opencode.mjs";

const execute = promisify(execFile);

/**
 * @typedef {object} Kinds
 * @property {string[]} sessions the files and folders in its home that have its native sessions
 * @property {(env: object) => Promise<void>} [forgetLive] deletes one with a command of its own, while its process lives
 * @property {(entry: {command: string[], env: object}) => {command: string[], env: object}} launched its entry in the
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
    sessions: [".local/share/opencode"],
    forgetLive: forgetLastOfOpencode,
    launched: withEnv({ OPENCODE_CONFIG_CONTENT: '{"model":"{model}"}' }),
    costs: true,
  },
  claude: { sessions: [".claude/projects"], launched: withEnv({ ANTHROPIC_MODEL: "{model}" }), costs: true },
  codex: { sessions: [".codex/sessions"], launched: withEnv({ CODEX_CONFIG: '{"model":"{model}"}' }) },
  "codex-zed": { sessions: [".codex/sessions"], launched: withArgs("-c", 'model="{model}"') },
  pi: { sessions: [".pi/agent/sessions", ".pi/pi-acp"], launched: withEnv({ PI_LAUNCHED_MODEL: "{model}" }) },
  goose: { sessions: [".local/share/goose/sessions"], launched: withEnv({ GOOSE_MODEL: "{model}" }), costs: true },
  gemini: { sessions: [".gemini/tmp"], launched: withArgs("-m", "{model}") },
  qwen: { sessions: [".qwen/projects", ".qwen/tmp"], launched: withArgs("-m", "{model}") },
  kimi: {
    sessions: [".kimi-code/sessions"],
    launched: ({ command: [node, program, ...args], ...entry }) => ({ ...entry, command: [node, program, "-m", "{model}", ...args] }),
  },
  copilot: { sessions: [".copilot/session-state"], launched: (entry) => entry },
  vibe: { sessions: [".vibe/logs"], launched: withEnv({ VIBE_ACTIVE_MODEL: "{model}" }) },
  kilo: { sessions: [".local/share/kilo"], launched: withEnv({ KILO_CONFIG_CONTENT: '{"model":"{model}"}' }), costs: true },
  cline: { sessions: [".cline/data/sessions", ".cline/data/tasks", ".cline/data/db"], launched: withArgs("-m", "{model}") },
  hermes: { sessions: [".hermes/state.db", ".hermes/state.db-wal", ".hermes/state.db-shm"], launched: (entry) => entry },
  // Its process can do nothing more without what it stores.
  deepagents: { sessions: [".deepagents/.state"], forgetLive: async () => {}, launched: withArgs("--model", "{model}") },
};

/** The kind's name, which has limits. */
export const HALF = "2: half an emoji in the text";
export const IN_TOOL = "1: stopped while a tool runs";
const LAUNCH = "5: model of the launch";
const RUST = { why: "its own parser does not read the half that its provider sends" };

/** What an agent cannot show, and why: by the backend's id and the kind's name. `skip`: it would not survive to be tested. */
export const KIND_LIMITS = {
  codex: { [HALF]: RUST },
  "codex-zed": { [HALF]: RUST },
  copilot: { [HALF]: RUST },
  goose: { [HALF]: RUST },
  hermes: {
    [IN_TOOL]: { skip: true, why: "its tool goes on after a stop, and it queues what comes next until that ends" },
    [LAUNCH]: { skip: true, why: "its program takes no model when it is started" },
  },
  vibe: { [HALF]: { skip: true, why: "it cannot store the half that its provider sends, and its next turn never ends" } },
};

/** Deletes the native sessions of an agent behind Baton's back. */
export async function forgetSessions(id, home) {
  // Its process may be writing there.
  const options = { recursive: true, force: true, maxRetries: 5, retryDelay: 50 };
  for (const stored of KINDS[id].sessions) await rm(path.join(home, stored), options);
}

/** Deletes the session that was used last, with opencode's own command. */
async function forgetLastOfOpencode(env) {
  const run = (...args) => execute(opencodeProgram(), ["session", ...args], { cwd: env.HOME, env: { PATH: "/usr/bin:/bin", ...env } });
  const { stdout } = await run("list", "--format", "json", "--max-count", "1");
  const [{ id }] = JSON.parse(stdout);
  await run("delete", id);
}
