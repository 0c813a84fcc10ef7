// Much of everything: only what is in view is in the document.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { stepsOf } from "../web/lib/report.mjs";
import { begin, end, mock } from "./lib/stage.mjs";

const TIMEOUT_MS = 300_000;
const MODELS = 5_000;
const TURNS = 1_000;
/** Rows that fit on the screen, with those just beside it. */
const DRAWN_MAX = 80;
/** The longest that the page may be busy with itself at once; a slow machine is no stutter of the page. */
const TASK_MAX_MS = 500;

describe("the page with much in it", { timeout: TIMEOUT_MS }, () => {
  const at = {};
  const step = stepsOf(it, at);
  const folder = mkdtempSync(path.join(tmpdir(), "baton-page-many-"));

  before(async () => {
    const file = path.join(folder, "models");
    writeFileSync(file, Array.from({ length: MODELS }, (_, at) => `model-${at}`).join("\n"));
    await begin(at, { many: mock("Many", ["--models-file", file]) });
    await at.run.client.connected("mock");
    await at.run.client.connected("many");
    at.session = await at.run.client.createSession();
    for (let turn = 0; turn < TURNS; turn += 1) {
      const model = { providerID: "mock", modelID: turn % 100 < 50 ? "mock" : "mock-fast" };
      await at.run.client.prompt(at.session, `echo answer ${turn}`, { model });
    }
  });
  after(async () => {
    await end(at);
    rmSync(folder, { recursive: true, force: true });
  });

  step(`${2 * TURNS} messages are scrolled through without a stutter`, async ({ ui, page, url, session }) => {
    await page.addInitScript(() => {
      window.longest = 0;
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
      }).observe({ type: "longtask" });
    });
    await page.goto(`${url}/#${session}`);
    await ui.row("answer", `answer ${TURNS - 1}`).waitFor();
    await page.evaluate(() => (window.longest = 0));
    const drawn = () => page.locator("#conversation .row").count();
    let most = 0;
    await page.locator("#conversation").hover();
    const first = page.locator("#conversation .answer .markdown").filter({ hasText: /^\s*answer 0\s*$/ });
    for (let turn = 0; (await first.count()) === 0; turn += 1) {
      assert.ok(turn < 600, "the first message does not come");
      await page.mouse.wheel(0, -2_000);
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      most = Math.max(most, await drawn());
    }
    assert.ok(most > 5 && most < DRAWN_MAX, `${most} rows were drawn`);
    const longest = await page.evaluate(() => window.longest);
    assert.ok(longest < TASK_MAX_MS, `the page was busy for ${longest} ms at once`);
  });

  step(`${MODELS} models are searched`, async ({ page }) => {
    await page.locator("#open-picker").click();
    const drawn = () => page.locator("#picker .choice").count();
    await page.locator("#picker .choice").first().waitFor();
    assert.ok((await drawn()) < DRAWN_MAX, `${await drawn()} rows were drawn`);
    await page.evaluate(() => (window.longest = 0));
    await page.locator("#picker-search").pressSequentially("model 4321");
    await page.locator("#picker .choice.active", { hasText: "Model 4321" }).waitFor();
    const longest = await page.evaluate(() => window.longest);
    assert.ok(longest < TASK_MAX_MS, `the page was busy for ${longest} ms at once`);
    await page.keyboard.press("Enter");
    // The line stands at the end, where nobody is: the step before has left the page at its beginning.
    const told = page.locator("#conversation .switch.applied").filter({ has: page.locator(".end.to", { hasText: "Model 4321" }) });
    await page.locator("#conversation").hover();
    for (let turn = 0; (await told.count()) === 0; turn += 1) {
      assert.ok(turn < 600, "the switch is not told");
      await page.mouse.wheel(0, 4_000);
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    }
  });
});
