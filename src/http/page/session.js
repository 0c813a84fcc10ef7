// The session that is shown: read once, then kept up to date by the events.

import { change, get, getWithHeaders, Refusal } from "./api.js";
import { announce } from "./dom.js";
import { fullName } from "./format.js";
import { ofDirectory, state, touch, viewOf } from "./state.js";

/** @import {Ask, Event, Message, Part, Session, Shown, View} from "./types.js" */

/** Messages that are read at once. */
const PAGE = 200;
/** Events of a session come close together; what has to be read again is read once for all of them. */
const READ_AGAIN_MS = 60;

/** Counts what is opened, so that the answer for one that was left is dropped. */
let opened = 0;
/** What happens to a session while it is being read: the answer may be older. @type {{id: string, events: Event[]} | null} */
let opening = null;

/** Shows a session. @param {string} id */
export async function openSession(id) {
  const mine = ++opened;
  opening = { id, events: [] };
  try {
    const [info, page] = await Promise.all([get(`/session/${id}`), messagesOf(id, null)]);
    if (mine !== opened) return;
    state.view = { info, messages: page.messages, older: page.older, history: null, asks: [], refused: viewOf(id)?.refused ?? [] };
    const { events } = opening;
    opening = null;
    // Text that was added may be in what was read already; when its part ends, it comes whole.
    for (const event of events) if (event.type !== "message.part.delta") apply(event);
    history.replaceState(null, "", `#${id}`);
    touch("view", "rows", "runtime", "history", "asks");
    await Promise.all([readHistory(id), readAsks(state.view), readAgents()]);
  } catch (error) {
    if (mine !== opened) return;
    closeSession();
    if (!(error instanceof Refusal)) throw error;
    announce(error.message);
  }
}

/** Shows none. */
export function closeSession() {
  opened += 1;
  opening = null;
  state.view = null;
  history.replaceState(null, "", location.pathname);
  touch("view", "rows", "runtime", "history", "asks");
}

/** Reads everything anew, where events are missing. */
export async function reopen() {
  if (state.view) await openSession(state.view.info.id);
}

/** @param {string} id @param {string | null} before */
async function messagesOf(id, before) {
  const from = before ? `&before=${encodeURIComponent(before)}` : "";
  const { body, headers } = await getWithHeaders(`/session/${id}/message?limit=${PAGE}${from}`);
  return { messages: /** @type {Shown[]} */ (body), older: headers.get("x-next-cursor") };
}

let isReadingOlder = false;

/** Reads the messages before those that are there. */
export async function readOlder() {
  const view = state.view;
  if (!view?.older || isReadingOlder) return;
  isReadingOlder = true;
  try {
    const { messages, older } = await messagesOf(view.info.id, view.older);
    const known = new Set(view.messages.map((message) => message.info.id));
    view.messages.unshift(...messages.filter((message) => !known.has(message.info.id)));
    view.older = older;
    touch("rows");
  } finally {
    isReadingOlder = false;
  }
}

/** @param {string} id */
async function readHistory(id) {
  const read = await get(`/session/${id}/model`);
  const view = viewOf(id);
  if (!view) return;
  view.history = read;
  touch("history", "rows", "runtime");
}

/** @param {View} view */
async function readAsks(view) {
  const place = `?directory=${encodeURIComponent(view.info.directory)}`;
  const [permissions, questions] = await Promise.all([get(`/permission${place}`), get(`/question${place}`)]);
  const isOwn = (/** @type {{sessionID: string}} */ request) => request.sessionID === view.info.id;
  view.asks = [
    ...permissions.filter(isOwn).map((/** @type {any} */ request) => ({ kind: "permission", request })),
    ...questions.filter(isOwn).map((/** @type {any} */ request) => ({ kind: "question", request })),
  ];
  touch("asks", "rows");
}

/** Reads what can be selected as an agent, which depends on the session's directory: profiles of its project. */
export async function readAgents() {
  const view = state.view;
  const agents = await get(`/agent${ofDirectory()}`);
  if (view !== state.view) return;
  state.agents = agents;
  touch("backends");
}

/** @type {Map<string, number>} */
const planned = new Map();

/** Reads the state and the trail of the session again, soon. @param {string} id */
function readAgainSoon(id) {
  if (planned.has(id)) return;
  const read = async () => {
    planned.delete(id);
    if (!viewOf(id)) return;
    const info = await get(`/session/${id}`);
    takeInfo(info);
    await readHistory(id);
  };
  planned.set(
    id,
    setTimeout(() => void read().catch(() => {}), READ_AGAIN_MS),
  );
}

/** @param {Session} info */
export function takeInfo(info) {
  const view = viewOf(info.id);
  if (view && info.revision >= view.info.revision) {
    view.info = info;
    touch("runtime");
  }
  const at = state.sessions.findIndex((session) => session.id === info.id);
  if (at < 0) return;
  state.sessions[at] = info;
  touch("sessions");
}

/** Takes in what has happened to the session that is shown, or is being read. @param {Event} event */
export function takeEvent(event) {
  const of = "sessionID" in event.properties ? event.properties.sessionID : null;
  if (opening && of === opening.id) opening.events.push(event);
  apply(event);
}

/** @param {Event} event */
function apply(event) {
  switch (event.type) {
    case "message.updated":
      return withView(event.properties.sessionID, (view) => putMessage(view, event.properties.info));
    case "message.removed":
      return withView(event.properties.sessionID, (view) => {
        view.messages = view.messages.filter((shown) => shown.info.id !== event.properties.messageID);
      });
    case "message.part.updated":
      return withView(event.properties.sessionID, (view) => putPart(view, event.properties.part));
    case "message.part.removed":
      return withMessage(event.properties, (shown) => {
        shown.parts = shown.parts.filter((part) => part.id !== event.properties.partID);
      });
    case "message.part.delta":
      return withMessage(event.properties, (shown) => grow(shown, event.properties));
    case "permission.asked":
      return ask({ kind: "permission", request: event.properties });
    case "question.asked":
      return ask({ kind: "question", request: event.properties });
    case "permission.replied":
    case "question.replied":
    case "question.rejected":
      return withView(event.properties.sessionID, (view) => {
        view.asks = view.asks.filter((ask) => ask.request.id !== event.properties.requestID);
        touch("asks");
      });
    case "session.model_failed":
      withView(event.properties.sessionID, () => announce(`The switch to ${fullName(event.properties.current)} has failed.`));
      return readAgainSoon(event.properties.sessionID);
    case "session.model_applied":
      withView(event.properties.sessionID, () => announce(`Now on ${fullName(event.properties.current)}.`));
      return readAgainSoon(event.properties.sessionID);
    case "session.model_changed":
    case "session.model_mismatch":
    case "session.idle":
    case "session.status":
      return readAgainSoon(event.properties.sessionID);
    default:
      return undefined;
  }
}

/** @param {string} id @param {(view: View) => void} take */
function withView(id, take) {
  const view = viewOf(id);
  if (!view) return;
  take(view);
  touch("rows");
}

/** @param {{sessionID: string, messageID: string}} where @param {(shown: Shown) => void} take */
function withMessage({ sessionID, messageID }, take) {
  withView(sessionID, (view) => {
    const shown = view.messages.find((shown) => shown.info.id === messageID);
    if (shown) changed(shown, take);
  });
}

/** Counts the changes of a message, so that it is drawn again. @type {WeakMap<Shown, number>} */
const versions = new WeakMap();

/** @param {Shown} shown */
export function versionOf(shown) {
  return versions.get(shown) ?? 0;
}

/** @param {Shown} shown @param {(shown: Shown) => void} take */
function changed(shown, take) {
  take(shown);
  versions.set(shown, versionOf(shown) + 1);
}

/** @param {View} view @param {Message} info */
function putMessage(view, info) {
  const known = view.messages.find((shown) => shown.info.id === info.id);
  if (known) {
    const wasOpen = known.info.role === "assistant" && known.info.time.completed === undefined;
    changed(known, (shown) => (shown.info = info));
    if (wasOpen && info.role === "assistant" && info.time.completed !== undefined) announce(ended(info));
    return;
  }
  // Ids ascend in the order of the conversation: an answer's follows its prompt's.
  const after = view.messages.findIndex((shown) => shown.info.id > info.id);
  view.messages.splice(after < 0 ? view.messages.length : after, 0, { info, parts: [] });
}

/** @param {Extract<Message, {role: "assistant"}>} info */
function ended(info) {
  return info.error ? "The answer has failed." : `${fullName(info)} has answered.`;
}

/** @param {View} view @param {Part} part */
function putPart(view, part) {
  const shown = view.messages.find((shown) => shown.info.id === part.messageID);
  if (!shown) return;
  changed(shown, ({ parts }) => {
    const at = parts.findIndex((known) => known.id === part.id);
    if (at < 0) parts.push(part);
    else parts[at] = part;
  });
}

/** @param {Shown} shown @param {{partID: string, field: string, delta: string}} delta */
function grow(shown, { partID, field, delta }) {
  const part = shown.parts.find((part) => part.id === partID);
  if (part && (part.type === "text" || part.type === "reasoning") && field === "text") part.text += delta;
}

/** @param {Ask} asked */
function ask(asked) {
  withView(asked.request.sessionID, (view) => {
    if (view.asks.some((known) => known.request.id === asked.request.id)) return;
    view.asks.push(asked);
    touch("asks");
    announce(asked.kind === "permission" ? "The agent asks for a permission." : "The agent asks you something.");
  });
}

/** Changes what answers next. A refusal is shown where the switch would be. @param {Record<string, unknown>} wish */
export async function select(wish) {
  const view = state.view;
  if (!view) return;
  try {
    takeInfo(await change("PATCH", `/session/${view.info.id}`, wish));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refuse(view, error);
  }
}

const PAYMENT_REQUIRED = 402;

/** Shows that the server has refused something. @param {View} view @param {Refusal} refusal */
export function refuse(view, { status, message, data }) {
  const time = Date.now();
  const spending = status === PAYMENT_REQUIRED ? /** @type {import("./types.js").SpendingRefusal} */ (/** @type {unknown} */ (data)) : undefined;
  view.refused.push({ key: `refused-${time}-${view.refused.length}`, text: message, time, spending });
  announce(message);
  touch("rows");
}
