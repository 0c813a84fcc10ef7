// The table of a run: what each agent was seen to do, as Markdown for people and for the README.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** What is known, in git; `tests/run bless` brings the results of a run there. */
const KNOWN_FILE = fileURLToPath(new URL("../RESULTS.md", import.meta.url));

/** The file of the results; a run of some agents would leave it with less than is known, and writes another one. */
export const RESULTS_FILE =
  process.env.BATON_RESULTS ?? fileURLToPath(new URL("../../../target/results/RESULTS.md", import.meta.url));

const HEAD = "# Results of tests/agents\n\nWritten by `tests/agents/run`, and brought here by `tests/run bless`.";
const MISSING = "–";

export class Results {
  #cells = new Map();
  #columns = [];

  /** Notes what came of a check; `column` and `row` are made when they first occur. */
  note(row, column, text) {
    if (!this.#columns.includes(column)) this.#columns.push(column);
    if (!this.#cells.has(row)) this.#cells.set(row, new Map());
    this.#cells.get(row).set(column, text);
  }

  /** A Markdown table with a row each and a column each. */
  table(corner, rows = [...this.#cells.keys()], columns = this.#columns) {
    const lines = rows.map((row) => [row, ...columns.map((column) => this.#cells.get(row)?.get(column) ?? MISSING)]);
    return [[corner, ...columns], [corner, ...columns].map(() => "---"), ...lines]
      .map((cells) => `| ${cells.join(" | ")} |`)
      .join("\n");
  }
}

/**
 * Writes sections into the file that the README quotes; what stands there under other titles stays, as several test files
 * write it.
 */
export function writeResults(file, sections) {
  const known = [file, KNOWN_FILE].find((file) => existsSync(file));
  const [, ...kept] = known ? readFileSync(known, "utf8").trimEnd().split(/\n\n(?=## )/) : [];
  const written = new Map(kept.map((section) => [/^## (.*)/.exec(section)[1], section]));
  for (const { title, text, table } of sections) {
    written.set(title, [`## ${title}`, text, table].filter(Boolean).join("\n\n"));
  }
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${[HEAD, ...written.values()].join("\n\n")}\n`);
}
