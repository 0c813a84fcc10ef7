// Where the user writes: text, files, send and stop.

import { change, Refusal } from "./api.js";
import { showEnd } from "./conversation.js";
import { announce, byId, h, icon } from "./dom.js";
import { newSession } from "./sessions.js";
import { refuse } from "./session.js";
import { on, state } from "./state.js";

/** Files of one prompt, in bytes together; the server takes bodies of up to 64 MB, and base64 is a third more. */
const FILES_MAX_BYTES = 40_000_000;

/** @typedef {{name: string, mime: string, url: string, bytes: number}} Attached */

/** @type {Attached[]} */
let attached = [];

export function startPrompt() {
  const form = byId("composer", HTMLFormElement);
  const text = byId("prompt", HTMLTextAreaElement);
  const files = byId("files", HTMLInputElement);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void send();
  });
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  text.addEventListener("input", () => fit(text));
  text.addEventListener("paste", (event) => void attach(event.clipboardData?.files));
  form.addEventListener("dragover", (event) => event.preventDefault());
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    void attach(event.dataTransfer?.files);
  });
  byId("attach", HTMLButtonElement).addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    void attach(files.files);
    files.value = "";
  });
  byId("stop", HTMLButtonElement).addEventListener("click", () => void stop());
  on(["view", "runtime"], () => {
    byId("stop", HTMLButtonElement).hidden = !isBusy();
  });
}

function isBusy() {
  const runtime = state.view?.info.runtime;
  return runtime?.status === "busy" || runtime?.turn !== undefined;
}

/** @param {HTMLTextAreaElement} text */
function fit(text) {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

/** @param {FileList | null | undefined} files */
async function attach(files) {
  for (const file of files ?? []) {
    const together = attached.reduce((sum, file) => sum + file.bytes, 0);
    if (together + file.size > FILES_MAX_BYTES) {
      announce(`${file.name} is too large: at most ${FILES_MAX_BYTES / 1_000_000} MB go with one prompt.`);
      continue;
    }
    attached.push({ name: file.name, mime: file.type || "text/plain", url: await dataUrl(file), bytes: file.size });
  }
  showAttached();
}

/** @param {File} file @returns {Promise<string>} */
function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

function showAttached() {
  const chips = attached.map((file) =>
    h(
      "span.chip",
      null,
      icon("file"),
      file.name,
      h("button.quiet", { type: "button", "aria-label": `Remove ${file.name}`, onclick: () => remove(file) }, icon("close")),
    ),
  );
  const list = byId("attached", HTMLElement);
  list.replaceChildren(...chips);
  list.hidden = chips.length === 0;
}

/** @param {Attached} file */
function remove(file) {
  attached = attached.filter((other) => other !== file);
  showAttached();
  byId("prompt", HTMLTextAreaElement).focus();
}

async function send() {
  const box = byId("prompt", HTMLTextAreaElement);
  const text = box.value.trim();
  if (text === "" && attached.length === 0) return;
  if (!state.view) await newSession();
  const parts = [
    ...(text === "" ? [] : [{ type: "text", text }]),
    ...attached.map(({ name, mime, url }) => ({ type: "file", mime, filename: name, url })),
  ];
  box.value = "";
  fit(box);
  const files = attached;
  attached = [];
  showAttached();
  if (await sendParts(parts)) return;
  // What was not taken is still there to be sent again.
  box.value = text;
  fit(box);
  attached = files;
  showAttached();
}

/** Sends a prompt to the session that is shown; false when the server has refused it. @param {unknown[]} parts */
export async function sendParts(parts) {
  const view = state.view;
  if (!view) return false;
  showEnd();
  try {
    await change("POST", `/session/${view.info.id}/prompt_async`, { parts });
    return true;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refuse(view, error);
    return false;
  }
}

async function stop() {
  const view = state.view;
  if (!view) return;
  try {
    await change("POST", `/session/${view.info.id}/abort`);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refuse(view, error);
  }
}
