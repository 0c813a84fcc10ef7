// The sessions on the left: found by their title, the one used last first.

import { change, get, Refusal } from "./api.js";
import { announce, byId, h } from "./dom.js";
import { ago, fullName, hueOf, selectedIn } from "./format.js";
import { WindowedList } from "./list.js";
import { closePanels } from "./panels.js";
import { openSession } from "./session.js";
import { on, state, touch } from "./state.js";

/** @import {Event, Session} from "./types.js" */

/** Sessions that are read; the search finds the others. */
const LIMIT = 500;
const SEARCH_AFTER_MS = 150;
const READ_AFTER_MS = 400;
const ROW_PX = 54;

/** @type {WindowedList<Session>} */
let list;

export function startSessions() {
  list = new WindowedList(byId("sessions", HTMLElement), {
    key: (session) => session.id,
    draw: row,
    guess: () => ROW_PX,
    version: (session) => `${JSON.stringify(session.model)} ${session.title} ${ago(session.time.updated)} ${session.runtime.status} ${isShown(session)}`,
  }, { role: "list", label: "Sessions" });
  on(["sessions", "view"], () => {
    list.set(state.sessions);
    byId("no-sessions", HTMLElement).hidden = state.sessions.length > 0;
  });
  let timer = 0;
  byId("search", HTMLInputElement).addEventListener("input", (event) => {
    state.search = /** @type {HTMLInputElement} */ (event.target).value.trim();
    clearTimeout(timer);
    timer = setTimeout(() => void readSessions(), SEARCH_AFTER_MS);
  });
  byId("new-session", HTMLButtonElement).addEventListener("click", () => void newSession());
}

/** @param {Session} session */
function isShown(session) {
  return session.id === state.view?.info.id;
}

/** @param {Session} session */
function row(session) {
  const model = selectedIn(session);
  const folder = session.directory.split("/").at(-1);
  const isBusy = session.runtime.status !== "idle";
  return h(
    "div",
    { role: "listitem" },
    h(
      "a.session",
      { href: `#${session.id}`, "aria-current": isShown(session) ? "page" : null, hue: model ? hueOf(model) : null, onclick: opener(session.id) },
      h("span.dot", { class: `dot${model ? "" : " none"}${isBusy ? " busy" : ""}`, "aria-hidden": "true" }),
      h("span.title", null, session.title, isBusy && h("span.sr", null, " (busy)")),
      h("span.meta", null, model ? fullName(model) : "no model yet", ` · ${folder} · ${ago(session.time.updated)}`),
    ),
  );
}

/** @param {string} id */
function opener(id) {
  return (/** @type {MouseEvent} */ event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    closePanels();
    void openSession(id);
  };
}

/** Makes a session and shows it. @param {Record<string, unknown>} [begin] @param {string} [query] */
export async function newSession(begin = {}, query = "") {
  try {
    const session = await change("POST", `/session${query}`, begin);
    state.sessions.unshift(session);
    touch("sessions");
    closePanels();
    await openSession(session.id);
    byId("prompt", HTMLTextAreaElement).focus();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    announce(error.message);
  }
}

export async function readSessions() {
  const search = state.search;
  const words = search ? `&search=${encodeURIComponent(search)}` : "";
  const sessions = await get(`/experimental/session?roots=true&limit=${LIMIT}${words}`);
  if (search !== state.search) return;
  state.sessions = sessions;
  touch("sessions");
}

let planned = 0;

/** @param {Event} event */
export function takeSessionEvent(event) {
  if (event.type === "session.deleted") {
    state.sessions = state.sessions.filter((session) => session.id !== event.properties.sessionID);
    return touch("sessions");
  }
  if (event.type !== "session.created" && event.type !== "session.updated") return;
  const { info } = event.properties;
  const at = state.sessions.findIndex((session) => session.id === info.id);
  if (at < 0) {
    // Whether it is among those that are searched for is known to the server.
    clearTimeout(planned);
    planned = setTimeout(() => void readSessions().catch(() => {}), READ_AFTER_MS);
    return;
  }
  state.sessions.splice(at, 1);
  state.sessions.unshift(info);
  touch("sessions");
}
