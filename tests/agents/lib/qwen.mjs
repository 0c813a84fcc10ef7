// Qwen Code, on the stub's OpenAI chat completions.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, installed, node } from "./packages.mjs";

/** @type {import("./agents.mjs").Agent} */
export const qwen = {
  name: "Qwen Code (@qwen-code/qwen-code 0.24.4)",
  packages: ["node", "qwen"],
  models: [
    { id: "moss(openai)", wire: "moss" },
    { id: "fern(openai)", wire: "fern" },
  ],
  entry: ({ home, stub }) => {
    const folder = path.join(home, ".qwen");
    mkdirSync(folder);
    const base = `${stub.url}/qwen/v1`;
    const model = (id) => ({ id, name: id, baseUrl: base, envKey: "OPENAI_API_KEY" });
    const settings = {
      security: { auth: { selectedType: "openai" } },
      modelProviders: { openai: [model("moss"), model("fern")] },
      model: { name: "moss" },
      // A model that decides whether a command is safe would have to be more than a stub.
      tools: { approvalMode: "default" },
      memory: { enableManagedAutoMemory: false, enableManagedAutoDream: false },
      ui: { enableFollowupSuggestions: false },
      privacy: { usageStatisticsEnabled: false },
      telemetry: { enabled: false },
      general: { enableAutoUpdate: false },
    };
    writeFileSync(path.join(folder, "settings.json"), JSON.stringify(settings, null, 2));
    return {
      command: [node(), installed("qwen", "@qwen-code/qwen-code/cli.js"), "--acp"],
      env: { ...homeOf(home), OPENAI_API_KEY: "a stub needs no key", OPENAI_BASE_URL: base, OPENAI_MODEL: "moss" },
    };
  },
  isProcess: ({ command }) => command.includes("/qwen-code/cli.js"),
};
