// What the scenarios need around them: the web UI as the real OpenCode serves it, a browser, and for each
// scenario a Baton and a page with empty storage.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { startRun } from "../../../agents/harness.mjs";
import { startOpencode } from "../../../agents/lib/opencode-server.mjs";
import { openPage, startBrowser } from "./browser.mjs";
import { WebUI } from "./webui.mjs";

/** The UI and the browser, for a whole file of tests. */
export class Stage {
  #home = mkdtempSync(path.join(tmpdir(), "baton-web-ui-"));

  async open() {
    // In a home without any configuration: the UI is all that is wanted of this server.
    [this.opencode, this.browser] = await Promise.all([startOpencode({ home: this.#home }), startBrowser()]);
  }

  async close() {
    await this.browser?.close();
    await this.opencode?.stop();
    rmSync(this.#home, { recursive: true, force: true, maxRetries: 3 });
  }

  /** Another page, with a storage of its own. */
  async newPage() {
    const opened = await openPage(this.browser);
    return { ...opened, ui: new WebUI(opened.page, this.opencode.url) };
  }
}

/** Fills in what the steps of a scenario share: `{run, page, context, record, ui}`. `options` are those of a run. */
export async function begin(at, stage, options) {
  at.run = await startRun(options);
  Object.assign(at, await stage.newPage());
}

export async function end(at) {
  await at.context?.close();
  await at.run?.end();
}
