// Who goes on when the selected model cannot answer for now: the session's own chain, none, or the server's.

import { change, Refusal } from "./api.js";
import { announce, byId, h, icon } from "./dom.js";
import { fullName, hueOf, isSame } from "./format.js";
import { openPicker } from "./picker.js";
import { takeInfo } from "./session.js";
import { sheet, sheetForm, way } from "./sheet.js";
import { on, state } from "./state.js";

/** @import {Session} from "./types.js" */
/** @typedef {import("./format.js").Named} Named */

/** Models that a chain may have. */
const MODELS_MAX = 16;

export function startChain() {
  byId("open-chain", HTMLButtonElement).addEventListener("click", openChain);
  on(["view", "runtime", "backends"], () => {
    byId("chain", HTMLElement).textContent = state.view ? inWords(state.view.info) : "";
  });
}

/** @param {Session} info */
function inWords({ fallback }) {
  if (!fallback) return "The server's own chain.";
  return fallback.length === 0 ? "Nobody goes on." : fallback.map(fullName).join(", then ");
}

function openChain() {
  const view = state.view;
  if (!view) return;
  const { id, fallback } = view.info;
  const now = !fallback ? "server" : fallback.length === 0 ? "none" : "own";
  const list = new Chain(fallback ?? []);
  const ways = h(
    "fieldset",
    { onchange: () => (list.element.hidden = chosen() !== "own") },
    h("legend", null, "When the selected model cannot answer for now"),
    way("chain", "server", "the server's own chain goes on", now === "server"),
    way("chain", "none", "nobody goes on", now === "none"),
    way("chain", "own", "these models go on, in this order", now === "own"),
  );
  const chosen = () => new FormData(form).get("chain");
  const form = sheetForm([ways, list.element], "Save", async () => {
    const how = chosen();
    if (how === "own" && list.models.length === 0) throw new Refusal(0, "Add a model, or choose one of the other two.", {});
    const wish = how === "server" ? null : how === "none" ? [] : list.models;
    takeInfo(await change("PATCH", `/session/${id}`, { fallback: wish }));
    dialog.close();
    announce("The chain is saved.");
  });
  list.element.hidden = now !== "own";
  const hint = "A rate limit, a used-up quota, an outage, or nobody signed in: the prompt goes on with the next model that can answer, with the whole conversation.";
  const dialog = sheet("If the model cannot answer", h("section", null, h("p.hint", null, hint), form));
}

/** The models, in their order. */
class Chain {
  /** @param {Named[]} models */
  constructor(models) {
    this.models = models.map(({ providerID, modelID, variant }) => ({ providerID, modelID, ...(variant && { variant }) }));
    this.rows = h("ol.chain", { "aria-label": "Chain" });
    this.add = h("button", { type: "button", "aria-haspopup": "dialog", onclick: () => this.#pick() }, icon("plus"), "Add a model");
    this.element = h("div", null, this.rows, this.add);
    this.#draw();
  }

  #pick() {
    openPicker("Add a model to the chain", (named) => {
      if (this.models.some((model) => isSame(model, named))) return announce("It is in the chain already.");
      this.models.push(named);
      this.#draw();
      announce(`${fullName(named)} is number ${this.models.length}.`);
    });
  }

  #draw() {
    const rows = this.models.map((model, at) => this.#row(model, at));
    this.rows.replaceChildren(...(rows.length > 0 ? rows : [h("li.empty", null, "No model yet.")]));
    this.add.disabled = this.models.length >= MODELS_MAX;
  }

  /** @param {Named} model @param {number} at */
  #row(model, at) {
    const name = fullName(model);
    /** @param {string} glyph @param {string} label @param {boolean} can @param {() => void} does */
    const button = (glyph, label, can, does) =>
      h("button.quiet", { type: "button", "aria-label": `${label}: ${name}`, title: label, disabled: !can, "data-does": label, onclick: does }, icon(glyph));
    return h(
      "li",
      { hue: hueOf(model) },
      h("span.dot", { "aria-hidden": "true" }),
      h("span.name", null, fullName({ ...model, variant: null })),
      h(
        "span.does",
        null,
        this.#effort(model, at),
        button("up", "Earlier", at > 0, () => this.#move(at, at - 1, "Earlier")),
        button("down", "Later", at < this.models.length - 1, () => this.#move(at, at + 1, "Later")),
        button("close", "Take out", true, () => this.#takeOut(at)),
      ),
    );
  }

  /** @param {Named} model @param {number} at */
  #effort(model, at) {
    const known = state.providers.find((provider) => provider.id === model.providerID)?.models[model.modelID];
    const names = Object.keys(known?.variants ?? {});
    if (model.variant && !names.includes(model.variant)) names.push(model.variant);
    if (names.length === 0) return null;
    /** @param {Event} event */
    const onchange = (event) => {
      const { value } = /** @type {HTMLSelectElement} */ (event.target);
      const { providerID, modelID } = model;
      this.models[at] = { providerID, modelID, ...(value && { variant: value }) };
      this.#draw();
      this.#focus(at, "select");
      // The radio buttons above hear of changes, too.
      event.stopPropagation();
    };
    const options = [new Option("default effort", ""), ...names.map((name) => new Option(name, name))];
    const select = h("select", { "aria-label": `Effort: ${fullName({ ...model, variant: null })}`, onchange }, ...options);
    select.value = model.variant ?? "";
    return select;
  }

  /** @param {number} from @param {number} to @param {string} how */
  #move(from, to, how) {
    this.models.splice(to, 0, ...this.models.splice(from, 1));
    this.#draw();
    // The focus goes along, so that the same key moves it on; at the end of the way that button is off.
    this.#focus(to, `button[data-does="${how}"]:enabled`) || this.#focus(to, "button:enabled");
    const moved = this.models[to];
    if (moved) announce(`${fullName(moved)} is number ${to + 1} of ${this.models.length}.`);
  }

  /** @param {number} at */
  #takeOut(at) {
    this.models.splice(at, 1);
    this.#draw();
    if (!this.#focus(Math.min(at, this.models.length - 1), 'button[data-does="Take out"]')) this.add.focus();
  }

  /** Puts the focus on what is in a row; false where it is not there. @param {number} at @param {string} selector */
  #focus(at, selector) {
    const found = this.rows.children[at]?.querySelector(selector);
    if (!(found instanceof HTMLElement)) return false;
    found.focus();
    return true;
  }
}
