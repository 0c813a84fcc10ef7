// What an agent has already, without Baton: a sheet with its sessions, each of which can go on here.

import { get, Refusal } from "./api.js";
import { h } from "./dom.js";
import { ago } from "./format.js";
import { openSession } from "./session.js";
import { newSession } from "./sessions.js";
import { failure, sheet } from "./sheet.js";

/** @import {BackendInfo, NativeSession} from "./types.js" */

/** The button that shows them. @param {BackendInfo} backend */
export function importButton(backend) {
  const label = "its sessions";
  return h("button.link", { type: "button", "aria-label": `${label}: ${backend.name}`, onclick: () => void showNative(backend) }, label);
}

/** @param {BackendInfo} backend */
async function showNative(backend) {
  const content = h("section", { "aria-live": "polite" }, h("p.hint", null, `Asking ${backend.name} …`));
  const dialog = sheet(`What ${backend.name} has already`, content);
  content.replaceChildren(await listOf(backend, dialog));
}

/** @param {BackendInfo} backend @param {HTMLDialogElement} dialog */
async function listOf(backend, dialog) {
  try {
    const natives = /** @type {NativeSession[]} */ (await get(`/backend/${backend.id}/session`));
    if (natives.length === 0) return h("p.empty", null, "It has none.");
    return h("ul.native", null, ...natives.map((native) => row(backend, native, dialog)));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return failure(error.message);
  }
}

/** @param {BackendInfo} backend @param {NativeSession} native @param {HTMLDialogElement} dialog */
function row(backend, native, dialog) {
  const { sessionID, directory, updated } = native;
  const goOn = async () => {
    dialog.close();
    if (sessionID) return openSession(sessionID);
    const begin = { import: { providerID: backend.id, nativeID: native.nativeID } };
    await newSession(begin, directory && `?directory=${encodeURIComponent(directory)}`);
  };
  return h(
    "li",
    null,
    h("button.link", { type: "button", onclick: () => void goOn() }, native.title ?? native.nativeID),
    h("span.hint", null, [sessionID && "is here", directory, updated !== null && ago(updated)].filter(Boolean).join(" · ")),
  );
}
