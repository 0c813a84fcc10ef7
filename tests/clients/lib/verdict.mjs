#!/usr/bin/env node
// Says what the checked servers of a run have sent that they should not: node verdict.mjs RECORD
// Ends with 1 if there is anything.

import { readRecord } from "./record.mjs";

const { routes, violations } = readRecord(process.argv[2]);
for (const { what, wrong, sample } of violations) {
  console.error(`\n${what}\n${wrong.map((line) => `  - ${line}`).join("\n")}\n  it was: ${sample}`);
}
const called = new Set(routes.map(({ route }) => route)).size;
console.log(`checked against OpenCode's document and both forms of openapi.json: ${called} routes were called, ${violations.length} kinds of answers or events do not fit`);
process.exitCode = violations.length === 0 ? 0 : 1;
