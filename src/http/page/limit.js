// What a session has spent, and what it may spend.

import { change, Refusal } from "./api.js";
import { announce, byId, h } from "./dom.js";
import { allTokens, backendName, compact, cost, fullName, whole } from "./format.js";
import { takeInfo } from "./session.js";
import { sheet, sheetForm, way } from "./sheet.js";
import { on, state } from "./state.js";

/** @import {ModelUsage, Session, SpendingLimit, SpendingRefusal, View} from "./types.js" */

export function startLimit() {
  byId("open-limit", HTMLButtonElement).addEventListener("click", () => openLimit());
  on(["view", "runtime"], () => {
    byId("limit", HTMLElement).textContent = state.view ? inWords(state.view.info) : "";
  });
}

/** @param {Session} info */
function inWords({ cost: spent, tokens, limit }) {
  if (!limit) return `${cost(spent)} spent; the server's own limit.`;
  const told = [];
  if (limit.cost !== undefined) told.push(`${cost(spent)} of ${cost(limit.cost)}`);
  if (limit.tokens !== undefined) told.push(`${compact(allTokens(tokens))} of ${compact(limit.tokens)} tokens`);
  return told.length === 0 ? `${cost(spent)} spent; no limit.` : `${told.join(", ")}${limit.hard ? "; an answer is stopped there" : ""}.`;
}

/** Opens what was spent, with why a prompt was refused. @param {SpendingRefusal} [refused] */
export function openLimit(refused) {
  const view = state.view;
  if (!view) return;
  const { id, limit } = view.info;
  const now = !limit ? "server" : limit.cost === undefined && limit.tokens === undefined ? "none" : "own";
  const dollars = h("input", { type: "number", min: 0, step: "any", inputmode: "decimal", value: limit?.cost, "aria-describedby": "limit-counts" });
  const tokens = h("input", { type: "number", min: 0, step: 1, inputmode: "numeric", value: limit?.tokens, "aria-describedby": "limit-counts" });
  const hard = h("input", { type: "checkbox", checked: limit?.hard === true });
  const fields = h(
    "div.fields",
    { hidden: now !== "own" },
    h("label", null, "US dollars", dollars),
    h("label", null, "Tokens", tokens),
    h("label.way", null, hard, h("span", null, "Stop an answer that goes beyond it")),
  );
  const chosen = () => new FormData(form).get("limit");
  const ways = h(
    "fieldset",
    { onchange: () => (fields.hidden = chosen() !== "own") },
    h("legend", null, "This session may spend"),
    way("limit", "server", "what the server's own limit says", now === "server"),
    way("limit", "none", "as much as it wants", now === "none"),
    way("limit", "own", "at most", now === "own"),
  );
  const form = sheetForm([ways, fields], "Save", async () => {
    const how = chosen();
    const own = () => ({ ...amount("The dollars", "cost", dollars), ...amount("The tokens", "tokens", tokens), hard: hard.checked });
    const wish = how === "server" ? null : how === "none" ? {} : own();
    if (how === "own" && dollars.value === "" && tokens.value === "") throw new Refusal(0, "Give dollars, tokens or both.", {});
    takeInfo(await change("PATCH", `/session/${id}`, { limit: wish }));
    dialog.close();
    announce("The limit is saved.");
  });
  const dialog = sheet(
    "Spending",
    h("section", null, refused && h("p.failure", null, refused.message), ...spent(view), h("p.hint", { id: "limit-counts" }, counts(view, limit)), form),
  );
}

/** @param {string} what @param {"cost" | "tokens"} name @param {HTMLInputElement} input */
function amount(what, name, input) {
  // What is no number has an empty value, too.
  if (!input.validity.valid) throw new Refusal(0, `${what} are no amount. ${input.validationMessage}`, {});
  return input.value === "" ? {} : { [name]: input.valueAsNumber };
}

/** What was spent, on which model. @param {View} view */
function spent({ info, history }) {
  const usage = history?.usage ?? [];
  if (usage.length === 0) return [h("p.empty", null, "No model has answered yet.")];
  const head = ["Model", "Answers", "Tokens", "Cost"].map((text) => h("th", { scope: "col" }, text));
  const row = (/** @type {string} */ name, /** @type {string[]} */ figures) =>
    h("tr", null, h("th", { scope: "row" }, name), ...figures.map((text) => h("td", null, text)));
  const figures = (/** @type {ModelUsage} */ used) => {
    const tokens = allTokens(used.tokens);
    return [whole(used.answers), tokens > 0 ? whole(tokens) : "none reported", used.cost > 0 ? cost(used.cost) : "none reported"];
  };
  const answers = usage.reduce((sum, used) => sum + used.answers, 0);
  const all = row("All", [whole(answers), whole(allTokens(info.tokens)), cost(info.cost)]);
  return [
    h(
      "div.wide",
      { tabindex: 0, role: "region", "aria-label": "What was spent" },
      h("table.spent", null, h("thead", null, h("tr", null, ...head)), h("tbody", null, ...usage.map((used) => row(fullName(used), figures(used)))), h("tfoot", null, all)),
    ),
  ];
}

/** What a limit counts, and what it does not. @param {View} view @param {SpendingLimit | undefined} limit */
function counts({ history }, limit) {
  const usage = history?.usage ?? [];
  // Where a limit counts only one of them, the other one is nothing to know.
  const [onlyCost, onlyTokens] = [limit?.cost !== undefined && limit.tokens === undefined, limit?.tokens !== undefined && limit.cost === undefined];
  const silent = [...new Set(usage.map((used) => used.providerID))].flatMap((id) => {
    const reports = (/** @type {(used: ModelUsage) => number} */ figure) => usage.some((used) => used.providerID === id && figure(used) > 0);
    const missing = [!onlyTokens && !reports((used) => used.cost) && "no cost", !onlyCost && !reports((used) => allTokens(used.tokens)) && "no tokens"];
    const told = missing.filter(Boolean).join(" and ");
    return told ? [`${backendName(id)} has reported ${told}: what it used does not count.`] : [];
  });
  return ["A limit counts what agents report; nothing is estimated.", ...silent].join(" ");
}
