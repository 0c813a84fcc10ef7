// The conversation: messages, the lines of the switches, and what the agent asks. Only what is in view is drawn.

import { askRow } from "./asks.js";
import { byId, h } from "./dom.js";
import { WindowedList } from "./list.js";
import { messageRow } from "./message.js";
import { rowsOf } from "./rows.js";
import { readOlder, versionOf } from "./session.js";
import { on, state, touch } from "./state.js";
import { refusedRow, switchRow } from "./switches.js";

/** @import {Row} from "./types.js" */

const SWITCH_PX = 76;
const ASK_PX = 160;
const LINE_PX = 24;
const LINE_CHARS = 90;
const MESSAGE_PX = 64;
/** Older messages are read when the beginning of the list is so near. */
const NEAR_TOP_PX = 800;

/** @type {WindowedList<Row>} */
let list;
/** The session that the list shows. @type {string | undefined} */
let shown;

export function startConversation() {
  const scroller = byId("conversation", HTMLElement);
  list = new WindowedList(scroller, { key: (row) => row.key, draw, guess, version, moves: (row) => row.kind === "older" }, { staysAtEnd: true });
  const readNearTop = () => {
    if (scroller.scrollTop < NEAR_TOP_PX && state.view?.older) void readOlder().catch(() => {});
  };
  let wasAtEnd = true;
  scroller.addEventListener("scroll", () => {
    readNearTop();
    if (list.isAtEnd !== wasAtEnd) touch("asks");
    wasAtEnd = list.isAtEnd;
  });
  on(["rows", "view", "history", "backends"], () => {
    const view = state.view;
    const isNew = view?.info.id !== shown;
    shown = view?.info.id;
    byId("welcome", HTMLElement).hidden = view !== null;
    scroller.hidden = view === null;
    list.set(view ? rowsOf(view) : [], { toEnd: isNew });
    // Whoever is at the top already does not scroll there any more.
    readNearTop();
    byId("silence", HTMLElement).hidden = !view || view.messages.length > 0;
  });
  on(["view", "runtime"], () => {
    const title = state.view?.info.title;
    byId("title", HTMLElement).textContent = title ?? "Baton";
    document.title = title ? `${title} · Baton` : "Baton";
    document.body.classList.toggle("in-session", state.view !== null);
  });
}

/** Whether the end of the conversation is in view, where an agent asks. */
export function isEndShown() {
  return list.isAtEnd;
}

/** Brings the end of the conversation into view, and stays there. */
export function showEnd() {
  list.toEnd();
}

/** @param {Row} row */
function draw(row) {
  switch (row.kind) {
    case "message":
      return messageRow(row.message);
    case "switch":
      return switchRow(row.entry, row.next, row.latest);
    case "refused":
      return refusedRow(row.refused);
    case "ask":
      return askRow(row.ask);
    default:
      return h("p.hint.older", null, "Reading older messages …");
  }
}

/** What a row shows is the same as long as this is. @param {Row} row */
function version(row) {
  const names = state.backends.length + state.providers.length;
  if (row.kind === "message") return `${versionOf(row.message)} ${names}`;
  if (row.kind === "switch") return `${JSON.stringify([row.entry, row.next?.revision, row.latest])} ${names}`;
  return row.key;
}

/** @param {Row} row */
function guess(row) {
  if (row.kind === "switch" || row.kind === "refused") return SWITCH_PX;
  if (row.kind === "ask") return ASK_PX;
  if (row.kind === "older") return LINE_PX;
  const lines = row.message.parts.map((part) => (part.type === "text" ? Math.ceil(part.text.length / LINE_CHARS) : 1));
  return MESSAGE_PX + LINE_PX * lines.reduce((sum, lines) => sum + lines, 0);
}
