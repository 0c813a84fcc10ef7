// The agents that are tested, in the order of the results. Each is data: see `Agent`.

import { claude } from "./claude.mjs";
import { cline } from "./cline.mjs";
import { codex, codexZed } from "./codex.mjs";
import { copilot } from "./copilot.mjs";
import { deepagents } from "./deepagents.mjs";
import { gemini } from "./gemini.mjs";
import { goose } from "./goose.mjs";
import { hermes } from "./hermes.mjs";
import { kilo } from "./kilo.mjs";
import { kimi } from "./kimi.mjs";
import { opencode } from "./opencode.mjs";
import { pi } from "./pi.mjs";
import { qwen } from "./qwen.mjs";
import { vibe } from "./vibe.mjs";

/**
 * @typedef {object} Agent
 * @property {string} name its name and version, for the results
 * @property {string[]} packages the folders of tests/agents/packages that it needs
 * @property {[Model, Model]} models two models that keep each other's history
 * @property {(run: {home: string, work: string, stub: object}) => {command: string[], env: object}} entry writes
 *   its configuration into `home`, which is empty, and makes its entry of Baton's `[agents.*]`
 * @property {(process: {command: string}) => boolean} isProcess recognises the process that Baton starts
 */

/**
 * A model: its id as the agent lists it, and its name on the wire.
 * @typedef {{id: string, wire: string}} Model
 */

/** @type {Object<string, Agent>} by the backend's id */
const ALL = { opencode, claude, codex, "codex-zed": codexZed, pi, goose, gemini, qwen, kimi, copilot, vibe, kilo, cline, hermes, deepagents };

const named = (variable) => (process.env[variable] ?? "").split(",").filter(Boolean);
const skipped = named("BATON_SKIP_AGENTS");
/** Those that are only tried when they are named, or all of them. */
const leftOut = named("BATON_LEFT_OUT");
for (const id of [...skipped, ...leftOut]) {
  if (!Object.hasOwn(ALL, id)) throw new Error(`--skip ${id}: there is no such agent; there are ${Object.keys(ALL)}`);
}

/** Those that are skipped by name. */
export const SKIPPED = skipped;

/** @type {Object<string, Agent>} those that are not */
export const AGENTS = Object.fromEntries(Object.entries(ALL).filter(([id]) => ![...skipped, ...leftOut].includes(id)));

/** Agents that move a conversation to and from these two only, unless all pairs are asked for: all of them would take
 * longer than a run may, and each pair is the same handover. */
const PAIRED_WITH = ["claude", "codex"];
const LATER = ["kimi", "copilot", "vibe", "kilo", "cline", "hermes", "deepagents"];

/** Whether a conversation is moved from one agent to another. */
export function isPair(from, to) {
  if (from === to) return false;
  const isFew = (id, other) => LATER.includes(id) && !PAIRED_WITH.includes(other);
  return Boolean(process.env.BATON_ALL) || !(isFew(from, to) || isFew(to, from));
}

/** Agents that are built from another one that is tested, or around the same one: beyond the matrix they are tried when they
 * are named or when everything is asked for. */
const SIBLINGS = ["kilo", "codex-zed"];

/** Whether everything is tried with an agent, and not the matrix alone. */
export function isTriedWhole(id) {
  return !SIBLINGS.includes(id) || SKIPPED.length > 0 || Boolean(process.env.BATON_ALL);
}

/** Whether this run tries everything that there is. */
export const IS_WHOLE = SKIPPED.length === 0 && Boolean(process.env.BATON_ALL);
