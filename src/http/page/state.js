// What the page knows, and who wants to hear when it changes.

/** @import {Session, BackendInfo, Provider, Agent, View} from "./types.js" */

/** @typedef {"connecting" | "live" | "lost"} Connection */
/** @typedef {"sessions" | "backends" | "view" | "rows" | "runtime" | "history" | "asks" | "connection" | "curl"} Topic */

export const state = {
  /** @type {Session[]} */
  sessions: [],
  search: "",
  /** @type {BackendInfo[]} */
  backends: [],
  /** Backends with their models. @type {Provider[]} */
  providers: [],
  /** Those that can run. @type {Set<string>} */
  connected: new Set(),
  /** What sessions start with, by backend. @type {Record<string, string>} */
  defaults: {},
  /** @type {Agent[]} */
  agents: [],
  /** The session that is shown. @type {View | null} */
  view: null,
  /** @type {Connection} */
  connection: "connecting",
  /** What has just been asked of the server, as a command line. @type {string} */
  curl: "",
};

/** @type {Map<Topic, Set<() => void>>} */
const listeners = new Map();
/** @type {Set<Topic>} */
const changed = new Set();

/** Calls `listener` after each change of these, once for all that comes within one frame. @param {Topic[]} topics @param {() => void} listener */
export function on(topics, listener) {
  for (const topic of topics) {
    const all = listeners.get(topic) ?? new Set();
    all.add(listener);
    listeners.set(topic, all);
  }
}

/** Notes that something has changed. @param {...Topic} topics */
export function touch(...topics) {
  if (changed.size === 0) schedule(flush);
  for (const topic of topics) changed.add(topic);
}

/** A page in the background gets no frames, and is looked at again at any time. @param {() => void} work */
function schedule(work) {
  if (document.visibilityState === "visible") requestAnimationFrame(work);
  else setTimeout(work, 100);
}

function flush() {
  const topics = [...changed];
  changed.clear();
  const called = new Set(topics.flatMap((topic) => [...(listeners.get(topic) ?? [])]));
  for (const listener of called) listener();
}

/** The directory of the session that is shown, as a query: what its project brings along is there only. */
export function ofDirectory() {
  return state.view ? `?directory=${encodeURIComponent(state.view.info.directory)}` : "";
}

/** The session that is shown, if it is this one. @param {string | undefined} id */
export function viewOf(id) {
  return state.view?.info.id === id ? state.view : null;
}
