// Cline, on the stub's Anthropic Messages. Its models are those that it knows of that vendor.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, installed } from "./packages.mjs";

/** @type {import("./agents.mjs").Agent} */
export const cline = {
  name: "Cline (cline 3.0.65)",
  packages: ["node", "cline"],
  models: [
    { id: "anthropic/claude-sonnet-4-6", wire: "claude-sonnet-4-6" },
    { id: "anthropic/claude-haiku-4-5", wire: "claude-haiku-4-5" },
  ],
  entry: ({ home, stub }) => {
    const folder = path.join(home, ".cline", "data", "settings");
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, "providers.json"), JSON.stringify(providers(stub)));
    return {
      command: [installed("cline", "@cline/cli-linux-x64/bin/cline"), "--acp"],
      env: { ...homeOf(home), CLINE_API_KEY: "a stub needs no key", CLINE_PROVIDER: "anthropic" },
    };
  },
  // Not its supervisor, which ends what it leaves behind: a daemon that its sessions share.
  isProcess: ({ command }) => /\/cline --acp\b/.test(command) && !command.includes(" supervise "),
};

function providers(stub) {
  const settings = { provider: "anthropic", apiKey: "a stub needs no key", baseUrl: `${stub.url}/cline/v1` };
  const anthropic = { settings, updatedAt: new Date().toISOString(), tokenSource: "manual" };
  return { version: 1, lastUsedProvider: "anthropic", modes: {}, providers: { anthropic } };
}
