// A list of which only what is in view is in the document: rows of any height, measured as they come.

import { h } from "./dom.js";

const OVERSCAN_PX = 600;
/** So near to its end a list counts as being there, and stays there as it grows. */
const AT_END_PX = 48;
/** A scroll within this time after a wheel, a finger or a key was the user's. */
const TOUCHED_MS = 800;
/** A wheel upwards has scrolled within this time; until then nothing goes to the end. */
const HELD_MS = 100;

/**
 * @template T
 * @typedef {object} Drawing
 * @property {(row: T) => string} key
 * @property {(row: T) => HTMLElement} draw
 * @property {(row: T) => number} guess its height before it was measured, in pixels
 * @property {(row: T) => unknown} [version] drawn again when this is another one
 * @property {(row: T) => boolean} [moves] it stays at its end of the list, whatever comes between it and the others
 */

/** @template T */
export class WindowedList {
  /** @type {T[]} */
  #rows = [];
  /** @type {string[]} */
  #keys = [];
  /** Where each row begins, and where the last one ends. */
  #tops = [0];
  /** @type {Map<string, number>} */
  #heights = new Map();
  /** @type {Map<string, {element: HTMLElement, version: unknown}>} */
  #drawn = new Map();
  #staysAtEnd;
  #tellsPlaces;
  #atEnd = true;
  #seen = { scrollTop: 0, scrollHeight: 0, clientHeight: 0 };
  /** When the user has last done what may scroll. */
  #touched = -TOUCHED_MS;
  #planned = false;
  /** Runs after a wheel upwards. @type {ReturnType<typeof setTimeout> | undefined} */
  #held;
  #width = 0;
  /** @type {HTMLElement} */
  #space;
  #observer = new ResizeObserver((entries) => this.#measure(entries));

  /**
   * @param {HTMLElement} scroller
   * @param {Drawing<T>} drawing
   * @param {{staysAtEnd?: boolean, role?: string, label?: string, id?: string}} [options]
   */
  constructor(scroller, drawing, { staysAtEnd = false, role, label, id } = {}) {
    this.scroller = scroller;
    this.drawing = drawing;
    this.#staysAtEnd = staysAtEnd;
    // A row has these only where it is an item of a list.
    this.#tellsPlaces = role !== undefined;
    this.#space = h("div.window", { role, "aria-label": label, id });
    scroller.append(this.#space);
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) {
      scroller.addEventListener(kind, () => (this.#touched = performance.now()), { passive: true });
    }
    // The wheel scrolls before it is told that it has: what is drawn in between must not go back to the end.
    scroller.addEventListener("wheel", (event) => event.deltaY < 0 && this.#holdsStill(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(scroller);
  }

  /** Whether its end is in view. */
  get isAtEnd() {
    return this.#atEnd;
  }

  get rows() {
    return this.#rows;
  }

  /** Shows these rows. @param {T[]} rows @param {{toEnd?: boolean, toTop?: boolean}} [where] */
  set(rows, { toEnd = false, toTop = false } = {}) {
    const anchor = this.#anchor();
    this.#rows = rows;
    this.#keys = rows.map(this.drawing.key);
    this.#place();
    if (toEnd) this.#atEnd = true;
    if (toTop) this.scroller.scrollTop = 0;
    else if (toEnd || this.#staysNow) this.toEnd();
    else this.#return(anchor);
    this.#draw();
  }

  /** Brings a row into view. @param {string} key */
  show(key) {
    const at = this.#keys.indexOf(key);
    if (at < 0) return;
    const [top = 0, bottom = 0] = [this.#tops[at], this.#tops[at + 1]];
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop) this.scroller.scrollTop = top;
    else if (bottom > scrollTop + clientHeight) this.scroller.scrollTop = bottom - clientHeight;
    this.#draw();
  }

  /** The element of a row that is drawn. @param {string} key */
  element(key) {
    return this.#drawn.get(key)?.element ?? null;
  }

  toEnd() {
    this.#atEnd = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** Forgets what was drawn, so that it is drawn anew. */
  clear() {
    for (const key of [...this.#drawn.keys()]) this.#drop(key);
    this.#draw();
  }

  /** @param {number} at */
  #height(at) {
    const known = this.#heights.get(/** @type {string} */ (this.#keys[at]));
    return known ?? this.drawing.guess(/** @type {T} */ (this.#rows[at]));
  }

  #place() {
    const tops = [0];
    for (let at = 0; at < this.#rows.length; at += 1) tops.push(/** @type {number} */ (tops[at]) + this.#height(at));
    this.#tops = tops;
    this.#space.style.height = `${tops[tops.length - 1]}px`;
  }

  /** The first row in view, and how far it is scrolled. */
  #anchor() {
    let at = this.#rowAt(this.scroller.scrollTop);
    const row = this.#rows[at];
    if (row !== undefined && this.drawing.moves?.(row)) at += 1;
    const key = this.#keys[at];
    return key === undefined ? null : { key, offset: this.scroller.scrollTop - (this.#tops[at] ?? 0) };
  }

  /** @param {{key: string, offset: number} | null} anchor */
  #return(anchor) {
    const at = anchor ? this.#keys.indexOf(anchor.key) : -1;
    if (anchor && at >= 0) this.scroller.scrollTop = (this.#tops[at] ?? 0) + anchor.offset;
  }

  /** The row at this height, by halving. @param {number} y */
  #rowAt(y) {
    let [low, high] = [0, this.#rows.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#tops[middle] ?? 0) <= y) low = middle;
      else high = middle - 1;
    }
    return Math.max(low, 0);
  }

  /** Holds still for a moment. A wheel over something that scrolls by itself leads nowhere else. */
  #holdsStill() {
    clearTimeout(this.#held);
    this.#held = setTimeout(() => {
      this.#held = undefined;
      this.#resized();
    }, HELD_MS);
  }

  /** Whether it stays at its end as it grows. */
  get #staysNow() {
    return this.#staysAtEnd && this.#atEnd && this.#held === undefined;
  }

  #scrolled() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    const before = this.#seen;
    this.#seen = { scrollTop, scrollHeight, clientHeight };
    // A list whose size changes scrolls by itself; only whoever scrolls up wants to leave its end.
    const sameSize = before.scrollHeight === scrollHeight && before.clientHeight === clientHeight;
    const byUser = performance.now() - this.#touched < TOUCHED_MS;
    if (scrollHeight - scrollTop - clientHeight < AT_END_PX) this.#atEnd = true;
    else if (scrollTop < before.scrollTop && (sameSize || byUser)) this.#atEnd = false;
    if (this.#planned) return;
    this.#planned = true;
    requestAnimationFrame(() => {
      this.#planned = false;
      this.#draw();
    });
  }

  #resized() {
    if (this.scroller.clientWidth !== this.#width) {
      this.#width = this.scroller.clientWidth;
      // Text breaks at other places now; what is in view is measured again by itself.
      for (const key of this.#heights.keys()) if (!this.#drawn.has(key)) this.#heights.delete(key);
      this.#place();
    }
    if (this.#staysNow) this.toEnd();
    this.#draw();
  }

  #draw() {
    const { scrollTop, clientHeight } = this.scroller;
    if (clientHeight === 0) return;
    const first = this.#rowAt(Math.max(0, scrollTop - OVERSCAN_PX));
    const last = this.#rows.length === 0 ? -1 : this.#rowAt(scrollTop + clientHeight + OVERSCAN_PX);
    const wanted = new Set(this.#keys.slice(first, last + 1));
    for (const [key, { element }] of [...this.#drawn]) {
      // What has the keyboard's focus stays, so that it is not lost.
      const isUsed = element.contains(document.activeElement) && this.#keys.includes(key);
      if (!wanted.has(key) && !isUsed) this.#drop(key);
    }
    /** @type {Element | null} */
    let before = null;
    for (let at = first; at <= last; at += 1) before = this.#put(at, before);
  }

  /** @param {number} at @param {Element | null} before */
  #put(at, before) {
    const row = /** @type {T} */ (this.#rows[at]);
    const key = /** @type {string} */ (this.#keys[at]);
    const version = this.drawing.version?.(row);
    let drawn = this.#drawn.get(key);
    if (drawn && drawn.version !== version) {
      const fresh = this.drawing.draw(row);
      this.#observer.unobserve(drawn.element);
      drawn.element.replaceWith(fresh);
      drawn = { element: fresh, version };
      this.#add(key, drawn);
    } else if (!drawn) {
      drawn = { element: this.drawing.draw(row), version };
      this.#add(key, drawn);
    }
    const { element } = drawn;
    // In the document they stand in their order, as the keyboard and screen readers go through them.
    const next = before ? before.nextElementSibling : this.#space.firstElementChild;
    if (next !== element) this.#space.insertBefore(element, next);
    element.style.transform = `translateY(${this.#tops[at]}px)`;
    if (this.#tellsPlaces) {
      element.setAttribute("aria-setsize", String(this.#rows.length));
      element.setAttribute("aria-posinset", String(at + 1));
    }
    return element;
  }

  /** @param {string} key @param {{element: HTMLElement, version: unknown}} drawn */
  #add(key, drawn) {
    drawn.element.dataset.key = key;
    drawn.element.classList.add("row");
    this.#drawn.set(key, drawn);
    this.#observer.observe(drawn.element);
  }

  /** @param {string} key */
  #drop(key) {
    const drawn = this.#drawn.get(key);
    if (!drawn) return;
    this.#observer.unobserve(drawn.element);
    drawn.element.remove();
    this.#drawn.delete(key);
  }

  /** @param {ResizeObserverEntry[]} entries */
  #measure(entries) {
    const anchor = this.#anchor();
    let differs = false;
    for (const { target, borderBoxSize } of entries) {
      const key = /** @type {HTMLElement} */ (target).dataset.key;
      const height = borderBoxSize[0]?.blockSize;
      if (key === undefined || !height || this.#heights.get(key) === height) continue;
      this.#heights.set(key, height);
      differs = true;
    }
    if (!differs) return;
    this.#place();
    if (this.#staysNow) this.toEnd();
    else this.#return(anchor);
    this.#draw();
  }
}
