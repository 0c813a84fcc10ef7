// The table of a run: what each agent was seen to do, as Markdown for people and for the README.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The file of the results; a run of some agents would leave it with less than is known, and writes another one. */
export const RESULTS_FILE = process.env.BATON_RESULTS ?? fileURLToPath(new URL("../RESULTS.md", import.meta.url));

const HEAD = "# Results of tests/agents\n\nWritten by the last run of `tests/agents/run`.";
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
  const [head, ...kept] = existsSync(file) ? readFileSync(file, "utf8").trimEnd().split(/\n\n(?=## )/) : [];
  const written = new Map(kept.map((section) => [/^## (.*)/.exec(section)[1], section]));
  for (const { title, text, table } of sections) {
    written.set(title, [`## ${title}`, text, table].filter(Boolean).join("\n\n"));
  }
  writeFileSync(file, `${[head ?? HEAD, ...written.values()].join("\n\n")}\n`);
}
