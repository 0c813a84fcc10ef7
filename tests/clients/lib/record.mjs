// Keeps, in a folder, what a checked Baton has sent: the routes that were called, and what was wrong. Every line
// is written at once, so that a server that is killed loses none.

import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { Traffic } from "./traffic.mjs";

/** The document of the real OpenCode, in the folder that has the records. */
export const DOCUMENT = "opencode.json";
const SAMPLE_MAX_CHARS = 1_500;
const ROUTES = "routes.jsonl";
const VIOLATIONS = "violations.jsonl";

export class Recorder {
  #folder;
  #traffic;
  #seen = new Set();

  /** OpenCode's document is beside the folder; `baton` is the program that is asked for its own document. */
  constructor(folder, baton) {
    this.#folder = folder;
    const opencode = JSON.parse(readFileSync(path.join(folder, "..", DOCUMENT), "utf8"));
    this.#traffic = new Traffic({ opencode, ...ownDocuments(baton) });
  }

  /** A request was answered with this status. */
  called({ method, path, status }) {
    const route = this.#traffic.route(method, path);
    if (route) this.#once(ROUTES, { route, status });
  }

  /** An answer, whole. */
  answer(exchange) {
    const route = this.#traffic.route(exchange.method, exchange.path);
    this.#complain(`${route} ${exchange.status}`, () => this.#traffic.answer(exchange), exchange.text);
  }

  /** An event of a stream. */
  event(path, data) {
    const type = /"type":"([^"]+)"/.exec(data)?.[1] ?? "?";
    this.#complain(`event ${type} of ${path}`, () => this.#traffic.event(path, data), data);
  }

  #complain(what, judge, text) {
    let wrong;
    try {
      wrong = judge();
    } catch (error) {
      // What cannot be judged must not pass for good.
      wrong = [`the check itself failed: ${error.stack}`];
    }
    if (wrong.length === 0) return;
    // The same complaint about the next item of a list is no news.
    const key = JSON.stringify([what, wrong.map((line) => line.replace(/\d+/g, "N"))]);
    this.#once(VIOLATIONS, { what, wrong, sample: text.slice(0, SAMPLE_MAX_CHARS) }, key);
  }

  #once(file, line, key = JSON.stringify(line)) {
    if (this.#seen.has(file + key)) return;
    this.#seen.add(file + key);
    appendFileSync(path.join(this.#folder, file), `${JSON.stringify(line)}\n`);
  }
}

/** Both forms of the document of a Baton's program. */
export function ownDocuments(program) {
  const print = (...args) => JSON.parse(execFileSync(program, ["openapi", ...args], { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 }));
  return { baton: print(), older: print("--version", "3.0") };
}

/** The lines of a record, without those that several servers have written. */
export function readRecord(folder) {
  return { routes: linesOf(path.join(folder, ROUTES)), violations: linesOf(path.join(folder, VIOLATIONS)) };
}

function linesOf(file) {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  return [...new Set(lines)].map((line) => JSON.parse(line));
}
