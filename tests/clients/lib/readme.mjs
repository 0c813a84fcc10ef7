// The code blocks of docs/clients.md, which tests run as they stand there.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const CLIENTS = new URL("../../../docs/clients.md", import.meta.url);
/** Where the server of the documentation listens. */
const ADDRESS = "http://127.0.0.1:2468";

/** The blocks of one section with what is below it, in order: `{language, text}`. */
export function blocksOf(heading) {
  const level = heading.indexOf(" ");
  const ends = new RegExp(`^#{1,${level}} `);
  const blocks = [];
  let inside = false;
  let block = null;
  for (const line of readFileSync(CLIENTS, "utf8").split("\n")) {
    // A line that begins with # is no heading within a block.
    if (block && line === "```") block = null;
    else if (block) block.text += `${line}\n`;
    else if (line === heading) inside = true;
    else if (inside && ends.test(line)) break;
    else if (line.startsWith("```")) {
      block = { language: line.slice(3), text: "" };
      if (inside) blocks.push(block);
    }
  }
  assert.ok(inside, `docs/clients.md has no section "${heading}"`);
  return blocks;
}

/** The only block of a section in a language; what is printed has none. */
export function blockOf(heading, language) {
  const found = blocksOf(heading).filter((block) => block.language === language);
  assert.equal(found.length, 1, `the section "${heading}" has ${found.length} blocks of "${language}"`);
  return found[0].text;
}

/** The same for the server of a test, which listens elsewhere. */
export function readdressed(text, origin) {
  return text.replaceAll(ADDRESS, origin);
}

/** `name@version` and `name==version` of a block that installs. */
export function versionsIn(text) {
  return [...text.matchAll(/(?<=\s)(@?[\w./-]+)(?:@|==)(\d[\w.]*)/g)].map(([, name, version]) => ({ name, version }));
}
