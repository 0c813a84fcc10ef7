// Makes elements. Text is only ever set as text; the one place that takes HTML is markdown.js.

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element: `h("button.primary", { onclick }, "Send")`.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T | `${T}.${string}`} what tag and classes
 * @param {Record<string, unknown> | null} [attributes] functions are listeners, `true` and `false` boolean attributes
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(what, attributes, ...children) {
  const [tag = "div", ...classes] = what.split(".");
  const element = document.createElement(/** @type {T} */ (tag));
  if (classes.length > 0) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes ?? {})) set(element, name, value);
  element.append(...children.flat().filter(isShown).map(asNode));
  return element;
}

/**
 * @param {HTMLElement} element
 * @param {string} name
 * @param {unknown} value
 */
function set(element, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (typeof value === "function") {
    element.addEventListener(name.slice("on".length), /** @type {EventListener} */ (value));
  } else if (name === "hue") {
    // A style attribute is what the policy of the page forbids; a property is not.
    element.style.setProperty("--hue", String(value));
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** @param {Child} child @returns {child is Node | string | number} */
function isShown(child) {
  return child !== null && child !== undefined && child !== false;
}

/** @param {Node | string | number} child */
function asNode(child) {
  return typeof child === "number" ? String(child) : child;
}

/**
 * The element of the page with this id.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`no ${kind.name} #${id}`);
  return element;
}

/** An icon of the sheet in the page. @param {string} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Says something to whoever cannot see it. @param {string} text */
export function announce(text) {
  byId("announcer", HTMLElement).textContent = text;
}

/** Puts a text on the clipboard and says so on the button. @param {HTMLElement} button @param {string} text */
export async function copy(button, text) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // Without a secure address there is no clipboard.
    button.textContent = "Select and copy it by hand";
  }
  setTimeout(() => (button.textContent = before), 1500);
}

/**
 * Shows these children. What is shown already stays as it is: a click on what is replaced in its middle comes to nothing, and
 * an open list closes.
 * @param {Element} element @param {(Node | null)[]} children
 */
export function renew(element, children) {
  const next = children.filter((child) => child !== null);
  const isSame = element.childNodes.length === next.length && next.every((child, at) => child.isEqualNode(element.childNodes[at] ?? null));
  if (!isSame) element.replaceChildren(...next);
}
