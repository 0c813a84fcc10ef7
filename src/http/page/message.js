// A prompt or an answer. An answer is headed by the model that gave it, and by nobody where none did.

import { h, icon } from "./dom.js";
import { allTokens, backendName, clock, compact, cost, duration, fullName, hueOf, sentence, shortName } from "./format.js";
import { markdown, plain } from "./markdown.js";
import { folded, toolCall } from "./tools.js";

/** @import {AssistantMessage, FilePart, Part, Shown, TextPart, UserMessage} from "./types.js" */

/** @param {Shown} shown */
export function messageRow(shown) {
  const { info, parts } = shown;
  return info.role === "user" ? prompt(info, parts) : answer(info, parts);
}

/** @param {UserMessage} info @param {Part[]} parts */
function prompt(info, parts) {
  const said = parts.flatMap((part) => (part.type === "text" && !part.synthetic ? [h("div.said", null, part.text)] : []));
  const files = parts.filter((part) => part.type === "file").map(fileChip);
  const isTold = parts.length > 0 && parts.every((part) => part.type === "text" && part.ignored);
  // Baton says it, and no model is given it.
  if (isTold) return h("div.hint.told", { role: "note" }, ...said);
  return h(
    "article.message.prompt",
    { "aria-label": "Your prompt" },
    h(
      "div.bubble",
      null,
      h("header", null, h("strong", null, "You"), h("time", null, clock(info.time.created))),
      ...said,
      files.length > 0 && h("div.files", null, ...files),
      info.pinnedOver && h("p.hint", null, `It named ${fullName(info.pinnedOver)}; this session is pinned.`),
    ),
  );
}

/** @param {AssistantMessage} info @param {Part[]} parts */
function answer(info, parts) {
  const hasAnswered = parts.some((part) => ["text", "reasoning", "tool", "file"].includes(part.type));
  const isOpen = info.time.completed === undefined;
  const name = hasAnswered ? shortName(info) : isOpen ? `Waiting for ${shortName(info)}` : "No answer";
  return h(
    `article.message.answer${hasAnswered ? "" : ".silent"}`,
    { hue: hueOf(info), "aria-label": hasAnswered ? `Answer of ${fullName(info)}` : name, "aria-busy": isOpen ? "true" : null },
    h(
      "header",
      null,
      h("span.dot", { "aria-hidden": "true" }),
      h("strong", null, name),
      (hasAnswered || isOpen) && h("span.backend", null, backendName(info.providerID)),
      info.agent !== "build" && h("span.badge", null, info.agent),
      info.summary && h("span.badge", null, "summary"),
      h("span.figures", null, figures(info, isOpen)),
    ),
    ...parts.map((part) => partOf(part, isOpen)),
    isOpen && !hasAnswered && h("div.thinking", { "aria-hidden": "true" }, h("i"), h("i"), h("i")),
    info.error && h("p.failure", null, icon("alert"), failureOf(info, hasAnswered)),
  );
}

/** @param {AssistantMessage} info @param {boolean} isOpen */
function figures(info, isOpen) {
  if (isOpen) return "answering …";
  const tokens = allTokens(info.tokens);
  const took = info.time.completed === undefined ? null : duration(info.time.completed - info.time.created);
  return [tokens > 0 && `${compact(tokens)} tokens`, info.cost > 0 && cost(info.cost), took].filter(Boolean).join(" · ");
}

/** @param {AssistantMessage} info @param {boolean} hasAnswered */
function failureOf(info, hasAnswered) {
  const error = /** @type {{name: string, data?: unknown}} */ (info.error);
  return hasAnswered ? sentence(error) : `${sentence(error)} The prompt was meant for ${fullName(info)}.`;
}

/** @param {Part} part @param {boolean} isOpen @returns {Node | null} */
function partOf(part, isOpen) {
  switch (part.type) {
    case "text":
      return part.text === "" ? null : isGrowing(part, isOpen) ? plain(part.text) : markdown(part.text);
    case "reasoning":
      return part.text.trim() === "" ? null : folded(part.id, "reasoning", [h("span", null, "Thoughts")], () => [h("div.said", null, part.text)]);
    case "tool":
      return toolCall(part);
    case "file":
      return fileChip(part);
    case "patch":
      return h("p.hint.changed", null, icon("file"), `Changed ${part.files.map((file) => file.split("/").at(-1)).join(", ")}`);
    default:
      return null;
  }
}

/** @param {TextPart} part @param {boolean} isOpen */
function isGrowing(part, isOpen) {
  return isOpen && part.time?.end === undefined;
}

/** @param {FilePart} part */
function fileChip(part) {
  const name = part.filename ?? part.url.split("/").at(-1) ?? "file";
  // Only what the page has already is shown: nothing is asked of anybody.
  if (part.mime.startsWith("image/") && part.url.startsWith("data:image/")) return h("img.picture", { src: part.url, alt: name });
  return h("span.chip", null, icon("file"), name);
}
