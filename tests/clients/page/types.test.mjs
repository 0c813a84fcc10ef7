// The types of the page's modules, against those of the OpenAPI document.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { it } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const PAGE = new URL("../../../src/http/page/", import.meta.url);
const CHECK_TIMEOUT_MS = 120_000;

const run = promisify(execFile);

it("the modules fit the types that openapi.json has", { timeout: CHECK_TIMEOUT_MS }, async () => {
  mkdirSync(`${HERE}types`, { recursive: true });
  const bin = (name) => `${HERE}node_modules/.bin/${name}`;
  await run(bin("openapi-typescript"), ["../../../openapi/openapi.json", "-o", "types/api.d.ts"], { cwd: HERE });
  const checked = await run(bin("tsc"), ["-p", "."], { cwd: HERE }).catch((error) => error);
  assert.equal(checked.stdout, "");
});

it("only one module takes HTML, and none leaves the server", () => {
  for (const name of readdirSync(PAGE).filter((name) => name.endsWith(".js"))) {
    const text = readFileSync(new URL(name, PAGE), "utf8");
    if (name !== "markdown.js") assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write/, name);
    assert.doesNotMatch(text.replaceAll("http://www.w3.org/2000/svg", ""), /https?:\/\//, name);
    assert.doesNotMatch(text, /\beval\(|new Function\(/, name);
  }
});
