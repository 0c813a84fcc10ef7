// On a narrow screen the sessions and the figures lie over the conversation, one at a time.

import { byId } from "./dom.js";

const PANELS = /** @type {const} */ ([
  ["open-sessions", "left"],
  ["open-aside", "right"],
]);

export function startPanels() {
  for (const [button, panel] of PANELS) {
    byId(button, HTMLButtonElement).addEventListener("click", () => toggle(panel));
  }
  byId("curtain", HTMLElement).addEventListener("click", closePanels);
  document.addEventListener("keydown", (event) => {
    // It closes a dialog first, whose button is in the panel.
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) closePanels();
  });
}

/** @param {string} panel */
function toggle(panel) {
  const opens = document.body.dataset.panel !== panel;
  show(opens ? panel : null);
  if (opens) byId(panel, HTMLElement).querySelector("input, a, button")?.dispatchEvent(new Event("focus"));
}

export function closePanels() {
  show(null);
}

/** @param {string | null} panel */
function show(panel) {
  if (panel) document.body.dataset.panel = panel;
  else delete document.body.dataset.panel;
  for (const [button, of] of PANELS) byId(button, HTMLElement).setAttribute("aria-expanded", String(of === panel));
}
