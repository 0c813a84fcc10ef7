// The table of a run: what each agent was seen to do, as Markdown for people and for the README.

import { writeFileSync } from "node:fs";

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

/** Writes the file that the README quotes. */
export function writeResults(file, sections) {
  const text = sections.map(({ title, text, table }) => [`## ${title}`, text, table].filter(Boolean).join("\n\n"));
  writeFileSync(file, `# Results of tests/agents\n\nWritten by the last run of \`tests/agents/run\`.\n\n${text.join("\n\n")}\n`);
}
