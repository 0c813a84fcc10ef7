// What the session waits for, what has failed, and whether the server is there.

import { isEndShown, showEnd } from "./conversation.js";
import { byId, h, icon } from "./dom.js";
import { backendName, compact, cost, fullName, sentence, shortName, whole } from "./format.js";
import { outcome } from "./switches.js";
import { select } from "./session.js";
import { on, state } from "./state.js";

/** @import {ModelSwitch, Selection, View} from "./types.js" */

const TICK_MS = 1_000;

/** Failures that the user has taken note of. @type {Set<string>} */
const dismissed = new Set();
/** Since when something is pending, by what it is. @type {Map<string, number>} */
const since = new Map();

export function startStatus() {
  on(["view", "runtime", "history", "connection", "backends", "asks"], show);
  // Seconds pass without an event.
  setInterval(() => {
    if (state.view?.info.runtime.pending) show();
  }, TICK_MS);
}

function show() {
  const lines = [connection(), ...(state.view ? [failed(state.view), pending(state.view), silent(state.view), asked(state.view)] : [])];
  const shown = lines.filter((line) => line !== null);
  const status = byId("status", HTMLElement);
  status.replaceChildren(...shown);
  status.hidden = shown.length === 0;
  figures(state.view);
}

function connection() {
  if (state.connection !== "lost") return null;
  return h("p.line.warning", null, icon("alert"), "The server does not answer. The page goes on as soon as it is there again.");
}

/** @param {View} view */
function pending({ info }) {
  const { pending } = info.runtime;
  if (!pending) {
    since.clear();
    return null;
  }
  const key = `${info.id} ${pending.reason} ${fullName(pending)}`;
  const start = since.get(key) ?? Date.now();
  since.set(key, start);
  const seconds = Math.round((Date.now() - start) / 1000);
  return h("p.line.pending", null, h("span.spinner", { "aria-hidden": "true" }), pendingText(pending, seconds));
}

/** @param {Selection & {reason: string}} pending @param {number} seconds */
function pendingText(pending, seconds) {
  switch (pending.reason) {
    case "turn":
      return `${shortName(pending)} after this answer`;
    case "starting":
      return `Starting ${backendName(pending.providerID)} for ${shortName(pending)} … ${seconds} s`;
    default:
      return `${shortName(pending)} waits until the server can write again: is the disk full?`;
  }
}

/** @param {View} view */
function silent({ info }) {
  const turn = info.runtime.turn;
  if (!turn?.silentSince) return null;
  return h("p.line.warning", null, icon("alert"), `The agent has said nothing for a while${turn.tool ? ` (${turn.tool})` : ""}. You can wait, or stop it.`);
}

/** What the agent waits for stands at the end of the conversation, which may be out of sight. @param {View} view */
function asked({ asks }) {
  if (asks.length === 0 || isEndShown()) return null;
  return h(
    "div.line.pending",
    null,
    icon("shield"),
    h("span", null, asks.length === 1 ? "The agent waits for your answer." : `The agent waits for ${asks.length} answers.`),
    h("span.buttons", null, h("button", { type: "button", onclick: showEnd }, "Show")),
  );
}

/** @param {View} view */
function failed({ info, history }) {
  const all = history?.switches ?? [];
  const last = all.findLast((entry) => entry.source !== "revert");
  if (!last?.failure || outcome(last, true) !== "failed" || info.runtime.pending) return null;
  const key = `${info.id} ${last.revision}`;
  if (dismissed.has(key)) return null;
  return failure(last, key, all.at(-1));
}

/** @param {ModelSwitch} entry @param {string} key @param {ModelSwitch | undefined} now */
function failure(entry, key, now) {
  const { current } = entry;
  // Where nothing could be gone back to it stays selected, and there is nothing to select again.
  const hasGoneBack = now !== undefined && now !== entry;
  const stays = hasGoneBack ? `Stay on ${shortName(now.current)}` : "Hide";
  const again = () => {
    dismissed.add(key);
    void select({ providerID: current.providerID, modelID: current.modelID, variant: current.variant ?? null, agent: current.agent });
  };
  const stay = () => {
    dismissed.add(key);
    show();
  };
  return h(
    "div.line.error",
    { role: "alert" },
    icon("alert"),
    h("span", null, `${fullName(current)} could not take over: ${sentence(/** @type {{name: string}} */ (entry.failure))}`),
    h("span.buttons", null, hasGoneBack && h("button", { type: "button", onclick: again }, "Try again"), h("button", { type: "button", onclick: stay }, stays)),
  );
}

/** The context of the model that is selected, and the cost so far. @param {View | null} view */
function figures(view) {
  const model = view?.info.model;
  const used = view?.history?.usage.find((usage) => usage.providerID === model?.providerID && usage.modelID === model?.id)?.context;
  const meter = byId("context", HTMLElement);
  const text = contextText(used);
  meter.hidden = !view || text === null;
  if (text !== null) {
    const share = used?.used && used.size ? Math.min(used.used / used.size, 1) : 0;
    const bar = h("i");
    bar.style.width = `${Math.round(share * 100)}%`;
    meter.replaceChildren(h("span.label", null, "Context"), h("span.bar", { class: `bar${share > 0.8 ? " full" : ""}`, "aria-hidden": "true" }, bar), h("span", null, text));
    meter.title = used?.used && used.size ? `${whole(used.used)} of ${whole(used.size)} tokens` : "";
  }
  const spent = byId("cost", HTMLElement);
  spent.hidden = !view;
  spent.replaceChildren(h("span.label", null, "Cost"), view ? cost(view.info.cost) : "");
}

/** @param {{used: number | null, size: number | null} | undefined} context */
function contextText(context) {
  if (!context || context.used === null) return context?.size ? `${compact(context.size)}` : null;
  return context.size === null ? `${compact(context.used)} tokens, size unknown` : `${compact(context.used)} of ${compact(context.size)}`;
}
