// What an agent has done: a folded line for each tool call, with its arguments, its diff and its result.

import { h, icon } from "./dom.js";
import { duration } from "./format.js";

/** @import {ToolPart} from "./types.js" */

/** More of a result is not drawn; it is in the message, which the API has. */
const OUTPUT_MAX_CHARS = 20_000;
const DIFF_MAX_LINES = 600;

/** What was opened stays open when its row comes back into view. @type {Set<string>} */
const open = new Set();

/**
 * Something that can be unfolded; what is in it is only made then.
 * @param {string} key @param {string} kind @param {(Node | string | null)[]} summary @param {() => (Node | null)[]} content
 */
export function folded(key, kind, summary, content) {
  const details = h("details", { class: kind }, h("summary", null, icon("chevron"), ...summary));
  let isMade = false;
  const make = () => {
    if (isMade) return;
    isMade = true;
    details.append(h("div.inside", null, ...content()));
  };
  if (open.has(key)) {
    details.open = true;
    make();
  }
  details.addEventListener("toggle", () => {
    if (details.open) {
      open.add(key);
      make();
    } else open.delete(key);
  });
  return details;
}

const STATUS = /** @type {const} */ ({ pending: "waits", running: "runs", completed: "done", error: "failed" });

/** @param {ToolPart} part */
export function toolCall(part) {
  const { state } = part;
  const title = "title" in state && state.title ? state.title : titleOf(state.input);
  const time = "time" in state && state.time.end !== undefined ? duration(state.time.end - state.time.start) : null;
  const diff = diffOf(part);
  const counts = diff === null ? null : changedLines(diff);
  const summary = [
    h("span.tool-name", null, part.tool),
    h("span.tool-title", null, title),
    counts && h("span.tool-lines", null, h("ins", null, `+${counts.added}`), " ", h("del", null, `−${counts.removed}`)),
    h("span.tool-state", { class: `tool-state ${state.status}` }, time ?? STATUS[state.status]),
  ].filter((piece) => piece !== null);
  return folded(part.id, `tool ${state.status}`, summary, () => inside(part));
}

/** @param {Record<string, unknown>} input */
function titleOf(input) {
  const first = input.command ?? input.filePath ?? input.path ?? input.pattern ?? input.description;
  return typeof first === "string" ? first : "";
}

/** @param {ToolPart} part */
function inside(part) {
  const { state } = part;
  const diff = diffOf(part);
  const output = state.status === "completed" ? state.output : state.status === "error" ? state.error : "";
  const command = state.input.command;
  const input = typeof command === "string" ? command : diff ? "" : json(state.input);
  return [
    input ? block(typeof command === "string" ? "Command" : "Arguments", input) : null,
    diff ? diffBlock(diff) : null,
    output ? block(state.status === "error" ? "Error" : "Result", output) : null,
  ];
}

/** @param {Record<string, unknown>} input */
function json(input) {
  return Object.keys(input).length > 0 ? JSON.stringify(input, null, 2) : "";
}

/** @param {string} caption @param {string} text */
export function block(caption, text) {
  const rest = text.length - OUTPUT_MAX_CHARS;
  const shown = rest > 0 ? text.slice(0, OUTPUT_MAX_CHARS) : text;
  return h(
    "figure.block",
    null,
    h("figcaption", null, caption),
    h("pre", { tabindex: 0, role: "region", "aria-label": caption }, shown),
    rest > 0 && h("p.hint", null, `… and ${rest} more characters`),
  );
}

/** @param {ToolPart} part */
function diffOf({ state }) {
  const diff = "metadata" in state ? state.metadata?.diff : undefined;
  return typeof diff === "string" && diff !== "" ? diff : null;
}

/** @param {string} diff */
function changedLines(diff) {
  const lines = diff.split("\n");
  const count = (/** @type {string} */ mark) => lines.filter((line) => line.startsWith(mark) && !line.startsWith(mark.repeat(3))).length;
  return { added: count("+"), removed: count("-") };
}

/** @param {string} diff */
export function diffBlock(diff) {
  const lines = diff.trimEnd().split("\n").slice(0, DIFF_MAX_LINES);
  const drawn = lines.map((line) => h("span", { class: `line ${kindOf(line)}` }, `${line}\n`));
  return h("figure.block", null, h("figcaption", null, "Change"), h("pre.diff", { tabindex: 0, role: "region", "aria-label": "Change" }, ...drawn));
}

/** @param {string} line */
function kindOf(line) {
  if (/^(\+\+\+|---|diff |index |Index: |={3,})/.test(line)) return "file";
  if (line.startsWith("@@")) return "place";
  if (line.startsWith("+")) return "added";
  return line.startsWith("-") ? "removed" : "same";
}
