// Beside the conversation: what each model has answered and spent, and every change of the model.

import { byId, h, icon } from "./dom.js";
import { allTokens, author, backendName, clock, compact, cost, count, duration, hueOf, modelName, shortName } from "./format.js";
import { on, state } from "./state.js";
import { handedOver, outcome, showHandover } from "./switches.js";

/** @import {ModelHistory, ModelSwitch, ModelUsage} from "./types.js" */

/** Changes that are drawn; all of them are in the history, which the API has. */
const SHOWN = 100;

export function startAside() {
  on(["history", "view", "backends"], () => {
    const history = state.view?.history ?? null;
    byId("usage", HTMLElement).replaceChildren(...usage(history));
    byId("timeline", HTMLElement).replaceChildren(...timeline(history));
  });
}

/** @param {ModelHistory | null} history */
function usage(history) {
  const all = history?.usage ?? [];
  if (all.length === 0) return [h("p.empty", null, "No model has answered yet.")];
  const most = Math.max(...all.map(({ tokens }) => allTokens(tokens)), 1);
  return [h("ul.bars", null, ...all.map((used) => bar(used, most)))];
}

/** @param {ModelUsage} used @param {number} most */
function bar(used, most) {
  const tokens = allTokens(used.tokens);
  const fill = h("i");
  fill.style.width = `${Math.max((tokens / most) * 100, 1)}%`;
  return h(
    "li",
    { hue: hueOf(used) },
    h("div.head", null, h("span.dot", { "aria-hidden": "true" }), h("strong", null, modelName(used)), h("span.backend", null, backendName(used.providerID))),
    h("div.bar", { "aria-hidden": "true" }, fill),
    h(
      "div.figures",
      null,
      h("span", null, count(used.answers, "answer")),
      h("span", { title: `${tokens} tokens: ${used.tokens.input} in, ${used.tokens.output} out` }, `${compact(tokens)} tokens`),
      h("span", null, cost(used.cost)),
    ),
  );
}

/** @param {ModelHistory | null} history */
function timeline(history) {
  const all = history?.switches ?? [];
  if (all.length === 0) return [h("p.empty", null, "The first prompt chooses a model; or choose one above.")];
  const newest = all.slice(-SHOWN).reverse();
  const rest = all.length - newest.length;
  return [
    h("ol.trail", { reversed: true }, ...newest.map((entry, at) => change(entry, at === 0))),
    rest > 0 && h("p.hint", null, `and ${count(rest, "older change")}`),
  ].filter((child) => child !== false);
}

/** @param {ModelSwitch} entry @param {boolean} latest */
function change(entry, latest) {
  const how = outcome(entry, latest);
  const words = /** @type {Record<string, string>} */ ({ failed: "failed", pending: "waits", passed: "passed over" });
  const way = entry.transfer ? handedOver(entry.transfer) : words[how];
  return h(
    `li.${how}`,
    { hue: hueOf(entry.current) },
    h("span.dot", { "aria-hidden": "true" }),
    h("strong", null, shortName(entry.current)),
    h("time", null, clock(entry.time)),
    h("p", null, [author(entry), way, entry.durationMs !== null && duration(entry.durationMs)].filter(Boolean).join(" · ")),
    entry.transfer && entry.transfer.bytes > 0 && h("button.link", { type: "button", onclick: () => void showHandover(entry) }, icon("text"), "text", h("span.sr", null, ` that ${shortName(entry.current)} was given`)),
  );
}
