// Gemini CLI, on the stub's Gemini API.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, installed, node } from "./packages.mjs";

/** @type {import("./agents.mjs").Agent} */
export const gemini = {
  name: "Gemini CLI (@google/gemini-cli 0.61.0)",
  packages: ["node", "gemini"],
  models: [
    { id: "gemini-2.5-pro", wire: "gemini-2.5-pro" },
    { id: "gemini-3.8-flash", wire: "gemini-3.8-flash" },
  ],
  entry: ({ home, stub }) => {
    const folder = path.join(home, ".gemini");
    mkdirSync(folder);
    const settings = {
      security: { auth: { selectedType: "gemini-api-key" } },
      privacy: { usageStatisticsEnabled: false },
      telemetry: { enabled: false },
      general: { enableAutoUpdate: false },
    };
    writeFileSync(path.join(folder, "settings.json"), JSON.stringify(settings, null, 2));
    return {
      command: [node(), installed("gemini", "@google/gemini-cli/bundle/gemini.js"), "--acp"],
      env: {
        ...homeOf(home),
        GEMINI_API_KEY: "a stub needs no key",
        GOOGLE_GEMINI_BASE_URL: `${stub.url}/gemini`,
        GEMINI_CLI_NO_RELAUNCH: "true",
        GEMINI_CLI_TRUST_WORKSPACE: "true",
      },
    };
  },
  isProcess: ({ command }) => command.includes("/gemini-cli/bundle/gemini.js"),
};
