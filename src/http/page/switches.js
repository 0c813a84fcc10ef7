// The line between two answers: who goes on, who decided that, and how the conversation got there.

import { get } from "./api.js";
import { h, icon } from "./dom.js";
import { author, bytes, clock, count, duration, fullName, hueOf, isSame, sentence, shortName } from "./format.js";
import { openLimit } from "./limit.js";
import { sheet } from "./sheet.js";
import { state } from "./state.js";

/** @import {ModelHandover, ModelSwitch, Refused, Selection, Transfer} from "./types.js" */

/** How the conversation got to the model. @param {Transfer} transfer */
export function handedOver(transfer) {
  switch (transfer.kind) {
    case "none":
      return transfer.elided ? "nothing of the conversation" : "nothing was said yet";
    case "native":
      return "the same native session";
    case "resume":
      return "its own session, resumed";
    case "load":
      return "its own session, loaded";
    case "catch_up":
      return `only what it missed: ${amount(transfer)}`;
    case "transcript":
      return `the whole conversation: ${amount(transfer)}`;
    case "summary":
      return transfer.bytes ? `a summary: ${bytes(transfer.bytes)}` : "a summary, which is written before the next prompt";
    default:
      return transfer.kind;
  }
}

/** @param {Transfer} transfer */
function amount({ messages, bytes: size }) {
  return `${count(messages, "message")}, ${bytes(size)}`;
}

/** How an entry of the trail has ended. @param {ModelSwitch} entry @param {boolean} latest */
export function outcome(entry, latest) {
  if (entry.failure) return "failed";
  if (entry.transfer) return "applied";
  return latest ? "pending" : "passed";
}

/** @param {ModelSwitch} entry @param {ModelSwitch | null} next @param {boolean} latest */
export function switchRow(entry, next, latest) {
  const how = outcome(entry, latest);
  const { previous, current } = entry;
  const isPin = previous !== null && isSame(previous, current) && previous.agent === current.agent;
  const element = h(
    `div.switch.${how}`,
    { role: "group", "aria-label": `Switch to ${fullName(current)}: ${how}` },
    h(
      "div.who",
      null,
      previous && !isPin && [end(previous, "from"), h("span.arrow", null, icon("arrow"), h("span.sr", null, "to"))],
      isPin ? h("span.end", null, entry.pinned ? "Pinned" : "No longer pinned") : end(current, "to"),
    ),
    h("p.how", null, ...told(entry, next, how)),
  );
  element.style.setProperty("--to", String(hueOf(current)));
  element.style.setProperty("--from", String(hueOf(previous ?? current)));
  return element;
}

/** @param {Selection} selection @param {string} side */
function end(selection, side) {
  const mode = selection.agent === "build" ? null : h("span.badge", null, selection.agent);
  return h(`span.end.${side}`, { title: fullName(selection), hue: hueOf(selection) }, h("span.dot", { "aria-hidden": "true" }), shortName(selection), mode);
}

/** @param {ModelSwitch} entry @param {ModelSwitch | null} next @param {string} how */
function told(entry, next, how) {
  const pieces = [author(entry)];
  if (entry.transfer) pieces.push(handedOver(entry.transfer));
  if (entry.transfer?.elided && entry.transfer.kind !== "none") pieces.push(`${entry.transfer.elided} left out or shortened`);
  if (entry.durationMs !== null && how !== "pending") pieces.push(duration(entry.durationMs));
  if (how === "pending") pieces.push("waits");
  if (how === "passed") pieces.push("passed over");
  const nodes = [h("span", null, pieces.join(" · "))];
  if (entry.transfer && entry.transfer.bytes > 0) {
    nodes.push(h("button.link", { type: "button", onclick: () => void showHandover(entry) }, "what it was given"));
  }
  if (entry.failure) {
    const back = next?.source === "revert" ? ` The session is back on ${fullName(next.current)}.` : "";
    nodes.push(h("span.failure", null, icon("alert"), sentence(entry.failure) + back));
  }
  return nodes;
}

/** @param {Refused} refused */
export function refusedRow(refused) {
  const { spending } = refused;
  const open = spending && h("button.link", { type: "button", "aria-haspopup": "dialog", onclick: () => openLimit(spending) }, "Spending limit");
  return h("div.switch.failed", null, h("p.how", null, h("span.failure", null, icon("alert"), `Refused: ${refused.text}`, open)));
}

/** Shows the text that a model was given. @param {ModelSwitch} entry */
export async function showHandover(entry) {
  const view = state.view;
  if (!view) return;
  const handover = /** @type {ModelHandover} */ (await get(`/session/${view.info.id}/model/${entry.revision}`));
  const texts = handover.given.length > 0 ? handover.given.map(given) : [h("p.empty", null, notYet(entry))];
  sheet(`What ${shortName(entry.current)} was given`, ...texts);
}

/** @param {ModelSwitch} entry */
function notYet(entry) {
  return entry.transfer && entry.transfer.bytes > 0
    ? "Nothing yet: it goes with the next prompt. (Once what it quotes is edited or deleted, it is no longer kept.)"
    : "Nothing: it has the conversation itself.";
}

/** @param {ModelHandover["given"][number]} given */
function given({ time, text, images, leftOut }) {
  return h(
    "section",
    null,
    h("p.hint", null, `${clock(time)} · ${bytes(new TextEncoder().encode(text).length)}${images > 0 ? ` · ${count(images, "picture")}` : ""}`),
    leftOut.length > 0 &&
      h(
        "div.left-out",
        null,
        h("h3", null, "Left out or shortened"),
        h("ul", null, ...leftOut.map((it) => h("li", null, h("span", null, it.what), place(it)))),
      ),
    h("h3", null, "The text, word for word"),
    h("pre.handover", { tabindex: 0, role: "region", "aria-label": "The text of the handover" }, text),
  );
}

/** @param {{of: string, tool?: string}} omission */
function place({ of, tool }) {
  const words = [tool && `tool ${tool}`, of].filter(Boolean).join(", ");
  return words ? h("span.hint", null, ` — ${words}`) : null;
}
