// Headless Chromium from Debian, with nothing in it that leaves this machine.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const PROGRAM = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
/** How long a condition is waited for: a busy machine is slow, and one that never comes is a failure anyway. */
export const CONDITION_TIMEOUT_MS = 90_000;
const START_TIMEOUT_MS = 60_000;
const VIEWPORT = { width: 1280, height: 860 };
/** A name that leads to this machine, as a stranger's does after DNS rebinding. */
export const STRANGER = "stranger.test";

/** Starts the browser with a new profile, which goes at its end. */
export function startBrowser() {
  if (!existsSync(PROGRAM)) throw new Error(`no Chromium at ${PROGRAM}: run tests/clients/web/install`);
  return chromium.launch({
    executablePath: PROGRAM,
    timeout: START_TIMEOUT_MS,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--host-resolver-rules=MAP ${STRANGER} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost`,
    ],
  });
}

/** A page with empty storage, and the record of what it did; requests that leave this machine are refused. */
export async function openPage(browser) {
  const context = await browser.newContext({ viewport: VIEWPORT });
  const record = new Record();
  await context.route(
    (url) => !isOnThisMachine(url),
    (route) => {
      record.left.push(route.request().url());
      return route.abort("blockedbyclient");
    },
  );
  const page = await context.newPage();
  page.setDefaultTimeout(CONDITION_TIMEOUT_MS);
  record.watch(page);
  return { context, page, record };
}

function isOnThisMachine({ protocol, hostname }) {
  return ["data:", "blob:", "about:"].includes(protocol) || ["127.0.0.1", "localhost", STRANGER].includes(hostname);
}

const KEPT_LINES = 40;

/** What a page did and said. */
export class Record {
  /** Requests that would have left this machine. */
  left = [];
  /** What was not answered, or with an error. */
  failed = [];
  /** All addresses that were asked for. */
  addresses = [];
  /** Errors of the page's own program. */
  errors = [];
  #console = [];

  watch(page) {
    page.on("request", (request) => this.addresses.push(request.url()));
    page.on("response", (response) => {
      if (response.status() >= 400) this.failed.push(`${response.status()} ${described(response.request())}`);
    });
    page.on("requestfailed", (request) => this.failed.push(`${request.failure()?.errorText} ${described(request)}`));
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("console", (message) => {
      // Those are among the failed requests, with their addresses.
      if (!message.text().startsWith("Failed to load resource")) this.#console.push(`${message.type()}: ${message.text()}`);
    });
  }

  toString() {
    const section = (title, lines) => [`--- ${title}`, ...lines.slice(-KEPT_LINES)];
    return [
      ...section("failed requests", this.failed),
      ...section("refused requests to elsewhere", this.left),
      ...section("errors of the page", this.errors),
      ...section("console", this.#console),
    ].join("\n");
  }
}

function described(request) {
  return `${request.method()} ${request.url()}`;
}
