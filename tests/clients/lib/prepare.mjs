#!/usr/bin/env node
// Prepares a record of what the servers of a client's test send:
//
//   node prepare.mjs RECORDS CLIENT BATON
//
// makes the folder RECORDS/CLIENT, beside the document of the installed OpenCode, and prints the path of a
// program that is to be used instead of BATON: the same server, with everything that it sends checked (see
// checked.mjs). `node verdict.mjs RECORDS/CLIENT` says what came of it.

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { opencodeDocument } from "../../agents/lib/opencode-server.mjs";
import { DOCUMENT } from "./record.mjs";

const CHECKED = fileURLToPath(new URL("checked.mjs", import.meta.url));

const [records, client, baton] = process.argv.slice(2);
const record = path.resolve(records, client);
mkdirSync(record, { recursive: true });
const document = path.resolve(records, DOCUMENT);
if (!existsSync(document)) {
  const home = mkdtempSync(path.join(tmpdir(), "baton-document-"));
  try {
    writeFileSync(document, JSON.stringify(await opencodeDocument(home)));
  } finally {
    rmSync(home, { recursive: true, force: true, maxRetries: 3 });
  }
}
// Tests start their servers in an environment of their own, so nothing here may depend on one.
const program = path.join(record, "baton");
const quoted = [process.execPath, CHECKED, path.resolve(baton), record].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
writeFileSync(program, `#!/bin/sh\nexec ${quoted.join(" ")} "$@"\n`, { mode: 0o755 });
console.log(program);
