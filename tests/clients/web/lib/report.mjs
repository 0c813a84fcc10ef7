// What is told of a failed test, while the page and the servers are still there.

import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

let folder;

function screenshots() {
  folder ??= process.env.BATON_SCREENSHOTS ?? mkdtempSync(path.join(tmpdir(), "baton-screenshots-"));
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Runs a step; if it fails, prints the page's text, its failed requests and the server's log, and takes a picture. */
export async function reported(name, { page, record, run }, step) {
  try {
    return await step();
  } catch (error) {
    const file = path.join(screenshots(), `${name.replaceAll(/[^a-z0-9]+/gi, "-")}.png`);
    // A page that has crashed has neither.
    await page.screenshot({ path: file }).catch(() => {});
    const text = await page.innerText("body").catch(String);
    console.error(
      [`--- ${name}: ${error}`, `--- screenshot: ${file}`, `--- page ${page.url()}`, text, record, "--- server", run.log()].join("\n"),
    );
    throw error;
  }
}

/**
 * Makes the steps of one scenario: each is a test of its own, in order, and those after a failed one are skipped,
 * since they would only wait for what cannot come.
 * @param {Function} it `it` of node:test
 * @param {object} at what the steps share: `{run, page, record, …}`, filled before the first
 */
export function stepsOf(it, at) {
  let failed = null;
  return (name, body) =>
    it(name, async (t) => {
      if (failed !== null) return t.skip(`"${failed}" has failed`);
      try {
        await reported(name, at, () => body(at));
      } catch (error) {
        failed = name;
        throw error;
      }
    });
}
