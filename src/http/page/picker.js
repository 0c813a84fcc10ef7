// What answers next: a model of any backend, its effort, and the agent.

import { byId, h, icon, renew } from "./dom.js";
import { backendName, compact, fullName, hueOf, selectedIn, shortName } from "./format.js";
import { WindowedList } from "./list.js";
import { select } from "./session.js";
import { on, state } from "./state.js";

/** @import {Agent, BackendInfo, Model} from "./types.js" */

/** @typedef {(named: {providerID: string, modelID: string}) => void} Take */
/** @typedef {{key: string, backend: BackendInfo, model: Model | null, can: boolean}} Choice a heading where there is no model */

const HEADING_PX = 44;
const MODEL_PX = 40;
/** So much of what an agent is for is in the list of agents. */
const ABOUT_CHARS = 60;

/** @type {WindowedList<Choice>} */
let list;
/** The choice that Enter takes. @type {string | null} */
let active = null;
/** What is done with what is chosen; the session goes on with it where nothing else was said. @type {Take | null} */
let taker = null;

export function startPicker() {
  const dialog = byId("picker", HTMLDialogElement);
  const search = byId("picker-search", HTMLInputElement);
  list = new WindowedList(byId("picker-list", HTMLElement), {
    key: (choice) => choice.key,
    draw: row,
    guess: (choice) => (choice.model ? MODEL_PX : HEADING_PX),
    version: (choice) => `${choice.key === active} ${choice.can} ${choice.backend.reason} ${isSelected(choice)}`,
  }, { role: "listbox", label: "Models", id: "picker-options" });
  byId("open-picker", HTMLButtonElement).addEventListener("click", () => openPicker());
  search.addEventListener("input", () => filter(search.value));
  search.addEventListener("keydown", onKey);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  byId("effort", HTMLSelectElement).addEventListener("change", (event) => {
    void select({ ...selected(), variant: /** @type {HTMLSelectElement} */ (event.target).value || null });
  });
  byId("agent", HTMLSelectElement).addEventListener("change", (event) => {
    void select({ agent: /** @type {HTMLSelectElement} */ (event.target).value });
  });
  on(["view", "runtime", "backends"], showSelected);
  on(["backends"], () => {
    if (dialog.open) filter(search.value);
  });
}

/** Opens the list, for the session's model or for whoever takes one. @param {string} [title] @param {Take | null} [take] */
export function openPicker(title = "Choose a model", take = null) {
  taker = take;
  const search = byId("picker-search", HTMLInputElement);
  search.value = "";
  byId("handoff", HTMLSelectElement).value = "";
  byId("handoff-note", HTMLInputElement).value = "";
  const dialog = byId("picker", HTMLDialogElement);
  dialog.setAttribute("aria-label", title);
  byId("picker-handoff", HTMLElement).hidden = take !== null;
  dialog.showModal();
  filter("");
  const now = list.rows.find(isSelected);
  if (now) activate(now.key);
  search.focus();
}

/** What the session has selected, as a PATCH names it. */
function selected() {
  const model = state.view?.info.model;
  return model ? { providerID: model.providerID, modelID: model.id } : null;
}

/** @param {Choice} choice */
function isSelected({ backend, model }) {
  const now = taker ? null : selected();
  return model !== null && now?.providerID === backend.id && now.modelID === model.id;
}

/** Shows what every word of the search is in: the names and ids of models and backends. @param {string} text */
function filter(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  /** @type {Choice[]} */
  const choices = [];
  for (const backend of ordered()) {
    const can = state.connected.has(backend.id);
    const models = Object.values(state.providers.find((provider) => provider.id === backend.id)?.models ?? {});
    const found = models.filter((model) => fits(`${model.name} ${model.id} ${backend.name} ${backend.id}`, words));
    if (found.length === 0 && !(models.length === 0 && fits(`${backend.name} ${backend.id}`, words))) continue;
    choices.push({ key: backend.id, backend, model: null, can });
    choices.push(...found.map((model) => ({ key: `${backend.id} ${model.id}`, backend, model, can })));
  }
  list.set(choices, { toTop: true });
  const first = choices.find((choice) => choice.can && choice.model);
  activate(first?.key ?? null);
  byId("picker-none", HTMLElement).hidden = choices.length > 0;
}

/** Those that can run first; otherwise in their order. */
export function ordered() {
  const can = (/** @type {BackendInfo} */ backend) => Number(state.connected.has(backend.id));
  return [...state.backends].sort((a, b) => can(b) - can(a));
}

/** @param {string} text @param {string[]} words */
function fits(text, words) {
  const lower = text.toLowerCase();
  return words.every((word) => lower.includes(word));
}

/** @param {string | null} key */
function activate(key) {
  active = key;
  list.set(list.rows);
  if (key) list.show(key);
  const element = key ? list.element(key) : null;
  byId("picker-search", HTMLInputElement).setAttribute("aria-activedescendant", element?.id ?? "");
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  const choices = list.rows.filter((choice) => choice.can && choice.model);
  const at = choices.findIndex((choice) => choice.key === active);
  const steps = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 });
  const step = steps[event.key];
  if (step !== undefined) {
    event.preventDefault();
    activate(choices[Math.min(Math.max(at + step, 0), choices.length - 1)]?.key ?? null);
  } else if (event.key === "Enter") {
    event.preventDefault();
    const choice = choices[at];
    if (choice) choose(choice);
  }
}

/** @param {Choice} choice */
function choose({ backend, model, can }) {
  if (!can || !model) return;
  byId("picker", HTMLDialogElement).close();
  const named = { providerID: backend.id, modelID: model.id };
  if (taker) taker(named);
  else void select({ ...named, ...handoff() });
}

/** How the conversation gets there, as a PATCH says it. */
function handoff() {
  const mode = byId("handoff", HTMLSelectElement).value;
  const note = byId("handoff-note", HTMLInputElement).value.trim();
  return { ...(mode && { handoff: mode }), ...(note && { note }) };
}

/** @param {Choice} choice */
function row(choice) {
  const { key, backend, model, can } = choice;
  const id = `choice-${key.replaceAll(/\s/g, "_")}`;
  if (!model) return heading(choice, id);
  const { context } = model.limit;
  return h(
    `div.choice${can ? "" : ".off"}${key === active ? ".active" : ""}`,
    {
      id,
      role: "option",
      "aria-selected": String(isSelected(choice)),
      "aria-disabled": can ? null : "true",
      hue: hueOf({ providerID: backend.id, modelID: model.id }),
      onclick: () => choose(choice),
    },
    h("span.dot", { "aria-hidden": "true" }),
    h("span.name", null, model.name),
    h("span.meta", null, [context > 0 && `${compact(context)} context`, efforts(model)].filter(Boolean).join(" · ")),
    isSelected(choice) && icon("check"),
  );
}

/** @param {Model} model */
function efforts(model) {
  const names = Object.keys(model.variants);
  return names.length > 0 ? names.join(", ") : null;
}

/** @param {Choice} choice @param {string} id */
function heading({ backend, can }, id) {
  return h(
    `div.choice.heading${can ? "" : ".off"}`,
    { id, role: "option", "aria-disabled": "true", "aria-selected": "false" },
    h("span.name", null, backend.name),
    can ? h("span.meta", null, backend.version ?? "") : h("span.reason", null, reasonOf(backend), command(backend)),
  );
}

/** Why a backend cannot run, in a few words. @param {BackendInfo} backend */
export function reasonOf(backend) {
  switch (backend.status) {
    case "starting":
      return "is being asked for its models …";
    case "not-installed":
      return "not installed";
    case "not-signed-in":
      return "not signed in";
    case "failed":
      return backend.reason ?? "does not start";
    default:
      return "";
  }
}

/** What its user can type to get it. @param {BackendInfo} backend */
export function remedyOf(backend) {
  if (backend.status === "not-installed") return backend.install;
  return backend.status === "not-signed-in" ? backend.login : null;
}

/** @param {BackendInfo} backend */
function command(backend) {
  const remedy = remedyOf(backend);
  return remedy ? h("code", null, remedy.replaceAll("`", "")) : null;
}

function showSelected() {
  const view = state.view;
  const model = view?.info.model;
  const button = byId("open-picker", HTMLButtonElement);
  const named = model ? { providerID: model.providerID, modelID: model.id, variant: null } : null;
  const shown = [
    h("span.dot", { hue: named ? hueOf(named) : null, class: named ? "dot" : "dot none", "aria-hidden": "true" }),
    named && h("span.sr", null, "Model: "),
    h("span.name", null, named ? shortName(named) : "Choose a model"),
    h("span.backend", null, named ? backendName(named.providerID) : ""),
    icon("down"),
  ];
  renew(button, shown);
  showEfforts();
  showAgents();
}

function showEfforts() {
  const model = state.view && selectedIn(state.view.info);
  const effort = byId("effort", HTMLSelectElement);
  const known = model && state.providers.find((provider) => provider.id === model.providerID)?.models[model.modelID];
  const names = known ? Object.keys(known.variants) : [];
  if (model?.variant && !names.includes(model.variant)) names.push(model.variant);
  renew(effort, [new Option("default effort", ""), ...names.map((name) => new Option(name, name))]);
  effort.value = model?.variant ?? "";
  byId("effort-label", HTMLElement).hidden = names.length === 0;
}

function showAgents() {
  const agent = byId("agent", HTMLSelectElement);
  const now = state.view?.info.agent ?? "build";
  const shown = state.agents.filter(({ name, hidden }) => !hidden || name === now);
  const options = shown.map((agent) => new Option(agentText(agent), agent.name));
  if (!shown.some(({ name }) => name === now)) options.push(new Option(now, now));
  renew(agent, options);
  agent.value = now;
  agent.title = shown.find(({ name }) => name === now)?.description ?? "";
}

/** An agent; of one that selects a model, which, and what it is for. @param {Agent} agent */
function agentText({ name, description, model, variant }) {
  if (!model) return name;
  const named = fullName({ ...model, variant });
  // Where nobody has described it, the server names the model.
  const about = description === `With ${model.providerID}/${model.modelID}.` ? null : beginning(description);
  return [name, named, about].filter(Boolean).join(" · ");
}

/** @param {string} text */
function beginning(text) {
  return text.length > ABOUT_CHARS ? `${text.slice(0, ABOUT_CHARS).trimEnd()}…` : text;
}
