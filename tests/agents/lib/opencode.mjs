// opencode as a backend of Baton: where its program is, and a scratch home in which it knows nothing but
// the stub LLM and stays off the network.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, installed } from "./packages.mjs";

/** The program: `OPENCODE_BIN`, or the one that `npm ci` brought. */
export function opencodeProgram() {
  return process.env.OPENCODE_BIN ?? installed("opencode", "opencode-linux-x64/bin/opencode");
}

/** @type {import("./agents.mjs").Agent} */
export const opencode = {
  name: "OpenCode (opencode-linux-x64 1.18.33)",
  packages: ["opencode"],
  models: [
    { id: "stub/alpha", wire: "alpha" },
    { id: "stub2/gamma", wire: "gamma" },
  ],
  entry: opencodeAgent,
  isProcess: isOpencode,
};

/** Recognises the backend's processes among those of a run. */
export function isOpencode({ command }) {
  return /\bopencode\S* acp\b/.test(command);
}

/**
 * Writes the configuration into `home` and returns the backend as an entry of Baton's `[agents.*]`.
 * Models: stub/alpha, stub/beta (variants low, medium, high), stub2/gamma.
 */
export function opencodeAgent({ home, stub }) {
  const folder = path.join(home, ".config", "opencode");
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "opencode.json"), JSON.stringify(configuration(stub), null, 2));
  return { command: [opencodeProgram(), "acp"], env: environment(home) };
}

function configuration(stub) {
  const limit = { context: 200_000, output: 8_000 };
  // Dollars for a million tokens.
  const cost = { input: 2, output: 2 };
  const variants = Object.fromEntries(["low", "medium", "high"].map((effort) => [effort, { reasoningEffort: effort }]));
  return {
    $schema: "https://opencode.ai/config.json",
    autoupdate: false,
    share: "disabled",
    enabled_providers: ["stub", "stub2"],
    model: "stub/alpha",
    small_model: "stub/alpha",
    permission: { edit: "allow", bash: "ask" },
    provider: {
      stub: provider(stub, "stub", {
        alpha: { name: "Alpha", limit, cost },
        beta: { name: "Beta", limit, cost, reasoning: true, variants },
      }),
      stub2: provider(stub, "stub2", { gamma: { name: "Gamma", limit, cost } }),
    },
  };
}

/** The provider's name is in its base URL, so that the stub's record shows which one was used. */
function provider(stub, name, models) {
  const options = { baseURL: `${stub.url}/${name}/v1`, apiKey: "a stub needs no key" };
  return { npm: "@ai-sdk/openai-compatible", name, options, models };
}

/** Without these it looks for updates, models, language servers and plugins. */
export const OFF_THE_NETWORK = {
  OPENCODE_DISABLE_AUTOUPDATE: "1",
  OPENCODE_DISABLE_MODELS_FETCH: "1",
  OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
  OPENCODE_DISABLE_DEFAULT_PLUGINS: "1",
};

function environment(home) {
  return { ...homeOf(home), ...OFF_THE_NETWORK };
}
