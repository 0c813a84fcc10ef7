// Baton's own page as a user sees it: what is on it, and what can be done there.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const PICTURES = fileURLToPath(new URL("../../../../target/page/", import.meta.url));
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** What keeps somebody from using the page. */
const SERIOUS = ["serious", "critical"];
/** How long a condition is waited for: the mock agents answer at once, also on a busy machine. */
const CONDITION_TIMEOUT_MS = 30_000;
const WIDE = { width: 1360, height: 880 };
const PHONE = { width: 390, height: 844 };

export class BatonPage {
  constructor(page, url) {
    this.page = page;
    this.url = url;
  }

  async open() {
    this.page.setDefaultTimeout(CONDITION_TIMEOUT_MS);
    await this.page.setViewportSize(WIDE);
    await this.page.goto(this.url);
    await this.isLive();
  }

  isLive() {
    return this.page.locator("#connection[data-state=live]").waitFor();
  }

  button(name) {
    return this.page.getByRole("button", { name });
  }

  /** The id of the session that is shown. */
  async sessionID() {
    await this.page.waitForURL(/#ses_/);
    return new URL(this.page.url()).hash.slice(1);
  }

  async newSession() {
    const before = new URL(this.page.url()).hash;
    await this.button("New session").click();
    await this.page.waitForFunction((before) => location.hash !== before && location.hash !== "", before);
    return this.sessionID();
  }

  async send(text) {
    await this.page.locator("#prompt").fill(text);
    await this.button("Send").click();
  }

  /** The rows of the conversation that have this text. */
  row(kind, text) {
    return this.page.locator(`#conversation .${kind}`).filter({ hasText: text });
  }

  /** Resolves when a model has answered with this text, and the answer has ended. */
  async answered(model, text) {
    const answer = this.row("answer", text).filter({ has: this.page.locator("header strong", { hasText: model }) });
    await answer.last().waitFor();
    await this.page.locator("#conversation .answer[aria-busy]").waitFor({ state: "detached" });
    return answer.last();
  }

  /** The line of the last switch to a model, when it has come to its end. */
  async switched(name, how = "applied") {
    const line = this.page.locator(`#conversation .switch.${how}`).filter({ has: this.page.locator(".end.to", { hasText: name }) });
    await line.last().waitFor();
    return line.last();
  }

  /** Picks a model by what is typed; with what it is to be handed, as the picker words it, and a note for it. */
  async pick(words, { handoff, note } = {}) {
    await this.page.locator("#open-picker").click();
    if (handoff) await this.page.getByLabel("Hand over").selectOption(handoff);
    if (note) await this.page.getByLabel("A note for the model").fill(note);
    await this.page.locator("#picker-search").fill(words);
    await this.page.locator("#picker-search").press("Enter");
    await this.page.locator("#picker").waitFor({ state: "hidden" });
  }

  /** The sheet with this title. */
  sheet(name) {
    return this.page.getByRole("dialog", { name });
  }

  /** Closes a sheet with the keyboard; the focus has to go back to the button that opened it. */
  async closesTo(sheet, button) {
    await this.page.keyboard.press("Escape");
    await sheet.waitFor({ state: "detached" });
    await this.hasFocus(button);
  }

  async hasFocus(element) {
    assert.equal(await element.evaluate((it) => it === document.activeElement), true, `the focus is not on ${element}`);
  }

  /** Fails if axe finds something serious in what is shown now. */
  async isForEverybody(what) {
    await this.page.evaluate(AXE);
    const { violations } = await this.page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const serious = violations.filter(({ impact }) => SERIOUS.includes(impact));
    const told = serious.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, any }) => `${html} ${any[0]?.message ?? ""}`).slice(0, 3).join(" | ")}`);
    assert.deepEqual(told, [], what);
  }

  /** Pictures of what is shown: light and dark, wide and on a phone. Each of them is for everybody. */
  async pictures(name) {
    mkdirSync(PICTURES, { recursive: true });
    for (const scheme of ["light", "dark"]) {
      await this.page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      for (const [size, viewport] of [["wide", WIDE], ["phone", PHONE]]) {
        await this.page.setViewportSize(viewport);
        await this.#drawn();
        await this.page.screenshot({ path: path.join(PICTURES, `${name}-${size}-${scheme}.png`) });
        await this.isForEverybody(`${name}, ${size}, ${scheme}`);
        await this.doesNotOverflow();
      }
    }
    await this.page.emulateMedia({ colorScheme: "light", reducedMotion: null });
    await this.page.setViewportSize(WIDE);
    await this.#drawn();
  }

  /** Goes to the beginning of the conversation with the wheel, as users do: a list that only changes its size stays at its end. */
  async toTheBeginning() {
    await this.page.locator("#conversation").hover();
    await this.page.mouse.wheel(0, -100_000);
    await this.page.waitForFunction(() => document.querySelector("#conversation").scrollTop === 0);
  }

  /** Two frames: what a change of the size leads to is measured in the first, and drawn in the second. */
  #drawn() {
    return this.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  }

  async doesNotOverflow() {
    const { scroll, client } = await this.page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return { scroll: scrollWidth, client: clientWidth };
    });
    assert.ok(scroll <= client, `the page is ${scroll} px wide in a window of ${client} px`);
  }
}
