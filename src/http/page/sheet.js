// A dialog that is made when it is opened. When it closes, the focus goes back to where it came from.

import { Refusal } from "./api.js";
import { h, icon } from "./dom.js";

/** @typedef {import("./dom.js").Child} Child */

/** Opens a sheet with this title. @param {string} title @param {...Child} content */
export function sheet(title, ...content) {
  const dialog = h(
    "dialog.sheet",
    { "aria-labelledby": "sheet-title", onclose: () => dialog.remove() },
    h(
      "header",
      null,
      h("h2", { id: "sheet-title" }, title),
      h("form", { method: "dialog" }, h("button.quiet", { "aria-label": "Close", autofocus: true }, icon("close"))),
    ),
    ...content,
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Why something did not go, where it was asked for. @param {string} text */
export function failure(text) {
  return h("p.failure", { role: "alert" }, icon("alert"), text);
}

/**
 * A form in a sheet, with a place for what is wrong.
 * @param {Child[]} content
 * @param {string} button
 * @param {() => Promise<unknown>} send says with a `Refusal` what is wrong
 */
export function sheetForm(content, button, send) {
  const wrong = h("div");
  const forget = () => wrong.replaceChildren();
  const submit = h("button.primary", { type: "submit" }, button);
  /** @param {SubmitEvent} event */
  const onsubmit = async (event) => {
    event.preventDefault();
    forget();
    submit.disabled = true;
    try {
      await send();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      wrong.append(failure(error.message));
    } finally {
      submit.disabled = false;
    }
  };
  return h("form", { onsubmit, oninput: forget, novalidate: true }, ...content, wrong, h("div.buttons", null, submit));
}

/**
 * One of several ways to go.
 * @param {string} name @param {string} value @param {string} label @param {boolean} checked
 */
export function way(name, value, label, checked) {
  return h("label.way", null, h("input", { type: "radio", name, value, checked }), h("span", null, label));
}
