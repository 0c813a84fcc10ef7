import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, installed, node } from "./packages.mjs";
export const gemini = {
  isProcess: ({ command }) => command.includes("gemini.js"),
  entry: ({ home, stub }) => {
    const folder = path.join(home, ".gemini");
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, "settings.json"), JSON.stringify({ security: { auth: { selectedType: "gemini-api-key" } }, privacy: { usageStatisticsEnabled: false }, telemetry: { enabled: false }, general: { disableAutoUpdate: true, disableUpdateNag: true } }));
    return {
      command: [node(), installed("gemini", "@google/gemini-cli/bundle/gemini.js"), "--acp"],
      env: { ...homeOf(home), GEMINI_API_KEY: "none", GOOGLE_GEMINI_BASE_URL: `${stub.url}/gemini`, GEMINI_CLI_NO_RELAUNCH: "true", GEMINI_CLI_TRUST_WORKSPACE: "true" },
    };
  },
};
