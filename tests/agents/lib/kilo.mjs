// Kilo Code, which has its configuration in OpenCode's format; on the stub's OpenAI chat completions.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, installed } from "./packages.mjs";

const OFF = ["AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS", "SESSION_INGEST", "PRESENCE", "CODEBASE_INDEXING"];

/** @type {import("./agents.mjs").Agent} */
export const kilo = {
  name: "Kilo Code (@kilocode/cli-linux-x64 7.7.9)",
  packages: ["kilo"],
  models: [
    { id: "stub/larch", wire: "larch" },
    { id: "stub/maple", wire: "maple" },
  ],
  entry: ({ home, stub }) => {
    const folder = path.join(home, ".config", "kilo");
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, "kilo.json"), JSON.stringify(configuration(stub), null, 2));
    const off = OFF.map((what) => [`KILO_DISABLE_${what}`, "1"]);
    return {
      command: [installed("kilo", "@kilocode/cli-linux-x64/bin/kilo"), "acp"],
      env: { ...homeOf(home), ...Object.fromEntries(off) },
    };
  },
  isProcess: ({ command }) => /\/kilo acp\b/.test(command),
};

function configuration(stub) {
  const limit = { context: 200_000, output: 8_000 };
  // Dollars for a million tokens.
  const cost = { input: 2, output: 2 };
  const options = { baseURL: `${stub.url}/kilo/v1`, apiKey: "a stub needs no key" };
  const models = { larch: { name: "Larch", limit, cost }, maple: { name: "Maple", limit, cost } };
  return {
    autoupdate: false,
    share: "disabled",
    enabled_providers: ["stub"],
    model: "stub/larch",
    small_model: "stub/larch",
    permission: { edit: "allow", bash: "ask" },
    provider: { stub: { npm: "@ai-sdk/openai-compatible", name: "stub", options, models } },
  };
}
