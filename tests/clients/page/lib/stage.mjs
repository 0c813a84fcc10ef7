// A Baton with mock agents, also ones that misbehave, and a browser with its page.

import { openPage, startBrowser } from "../../web/lib/browser.mjs";
import { batonProgram, startRun } from "../../../agents/harness.mjs";
import { BatonPage } from "./ui.mjs";

/** A mock agent under another name, with these arguments; what is set besides stands in its table. */
export function mock(name, args, more = {}) {
  return () => ({ command: [batonProgram(), "mock-agent", ...args], name, shared_process: true, env: {}, ...more });
}

/** Fills in what the steps of a scenario share: `{run, browser, page, context, record, ui}`. `config` stands in the config file, too. */
export async function begin(at, agents, config = "") {
  at.run = await startRun({ agents, mock2: true, config });
  at.browser = await startBrowser();
  Object.assign(at, await openPage(at.browser));
  at.url = at.run.client.base.replace(/\/opencode$/, "");
  at.ui = new BatonPage(at.page, at.url);
}

export async function end(at) {
  await at.browser?.close();
  await at.run?.end();
}
