// Markdown: rendered by the server, which keeps HTML in it as text and sanitises what comes out. This is the only place of
// the page that takes HTML.

import { own } from "./api.js";
import { h } from "./dom.js";

/** Texts of one request. */
const BATCH = 32;
const BATCH_CHARS = 200_000;
/** Rendered texts that are kept: some screens full. */
const KEPT = 400;

/** @type {Map<string, string | null>} */
const known = new Map();
/** @type {Map<string, Set<HTMLElement>>} */
const waiting = new Map();
let isAsking = false;

/** A text, as it is at first, and as HTML when the server has rendered it. @param {string} text */
export function markdown(text) {
  const element = h("div.markdown.plain", null, text);
  const html = known.get(text);
  if (html !== undefined) show(element, html);
  else {
    const elements = waiting.get(text) ?? new Set();
    waiting.set(text, elements.add(element));
    if (!isAsking) {
      isAsking = true;
      queueMicrotask(() => void askAll());
    }
  }
  return element;
}

/** A text that is still being written. @param {string} text */
export function plain(text) {
  return h("div.markdown.plain.growing", null, text);
}

/** @param {HTMLElement} element @param {string | null} html */
function show(element, html) {
  if (html === null) return;
  element.classList.remove("plain");
  element.innerHTML = html;
  // Whoever uses the keyboard has to reach what does not fit.
  for (const wide of element.querySelectorAll("pre")) {
    wide.tabIndex = 0;
    wide.setAttribute("role", "region");
    wide.setAttribute("aria-label", "Code");
  }
}

async function askAll() {
  while (waiting.size > 0) {
    const texts = batch();
    const html = await rendered(texts);
    texts.forEach((text, at) => {
      const of = html[at] ?? null;
      known.set(text, of);
      for (const element of waiting.get(text) ?? []) show(element, of);
      waiting.delete(text);
    });
    for (const oldest of known.keys()) {
      if (known.size <= KEPT) break;
      known.delete(oldest);
    }
  }
  isAsking = false;
}

function batch() {
  const texts = [];
  let chars = 0;
  for (const text of waiting.keys()) {
    chars += text.length;
    if (texts.length > 0 && (texts.length === BATCH || chars > BATCH_CHARS)) break;
    texts.push(text);
  }
  return texts;
}

/** @param {string[]} texts @returns {Promise<(string | null)[]>} */
async function rendered(texts) {
  try {
    return (await own("/ui/markdown", { texts })).html;
  } catch {
    // They stay as they are, which can be read, too.
    return [];
  }
}
