// Where what stands in the conversation: messages, and between them the changes of the model.

/** @import {ModelSwitch, Row, Shown, View} from "./types.js" */

/** Baton tells clients that know no trail of a switch in a message of its own; here the line tells it. */
const NOTICE = "modelSwitch";

/** @param {View} view @returns {Row[]} */
export function rowsOf(view) {
  const messages = view.messages.filter((shown) => !isNotice(shown));
  const between = switchesAt(messages, view);
  /** @type {Row[]} */
  const rows = view.older ? [{ key: "older", kind: "older" }] : [];
  messages.forEach((message, at) => {
    rows.push(...(between.get(at) ?? []), { key: message.info.id, kind: "message", message });
  });
  rows.push(...(between.get(messages.length) ?? []));
  rows.push(...view.asks.map((ask) => /** @type {Row} */ ({ key: ask.request.id, kind: "ask", ask })));
  return rows;
}

/** @param {Shown} shown */
function isNotice({ parts }) {
  return parts.length > 0 && parts.every((part) => part.type === "text" && part.metadata?.[NOTICE] !== undefined);
}

/** The lines in front of each message, by its place. @param {Shown[]} messages @param {View} view */
function switchesAt(messages, view) {
  /** @type {Map<number, Row[]>} */
  const at = new Map();
  const put = (/** @type {number} */ place, /** @type {Row} */ row) => at.set(place, [...(at.get(place) ?? []), row]);
  const all = view.history?.switches ?? [];
  all.forEach((entry, index) => {
    // Going back after a failure is part of the line that tells the failure.
    if (entry.source === "revert") return;
    const place = placeOf(entry, messages);
    // It belongs to messages that were not read yet.
    if (place === 0 && view.older) return;
    const next = all[index + 1] ?? null;
    put(place, { key: `switch-${entry.revision}`, kind: "switch", entry, next, latest: index === lastChange(all) });
  });
  for (const refused of view.refused) {
    put(placeByTime(refused.time, messages), { key: refused.key, kind: "refused", refused });
  }
  return at;
}

/** @param {ModelSwitch[]} switches */
function lastChange(switches) {
  return switches.findLastIndex((entry) => entry.source !== "revert");
}

/** The place of the first prompt that was answered after a change. @param {ModelSwitch} entry @param {Shown[]} messages */
function placeOf(entry, messages) {
  for (const { info } of messages) {
    if (info.role !== "assistant" || info.revision === undefined || info.revision < entry.revision) continue;
    const prompt = messages.findIndex((shown) => shown.info.id === info.parentID);
    return prompt < 0 ? messages.findIndex((shown) => shown.info.id === info.id) : prompt;
  }
  // Nothing has answered since. Answers from before revisions were noted tell by their time, and so does a prompt that waits.
  const later = messages.findIndex(
    ({ info }) => info.time.created > entry.time && (info.role === "user" ? !isAnswered(info.id, messages) : info.revision === undefined),
  );
  return later < 0 ? messages.length : later;
}

/** @param {string} prompt @param {Shown[]} messages */
function isAnswered(prompt, messages) {
  return messages.some(({ info }) => info.role === "assistant" && info.parentID === prompt);
}

/** @param {number} time @param {Shown[]} messages */
function placeByTime(time, messages) {
  const after = messages.findIndex((shown) => shown.info.time.created > time);
  return after < 0 ? messages.length : after;
}
