import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, installed, node } from "./packages.mjs";
export const qwen = {
  isProcess: ({ command }) => command.includes("qwen-code"),
  entry: ({ home, stub }) => {
    const folder = path.join(home, ".qwen");
    mkdirSync(folder, { recursive: true });
    const model = (id) => ({ id, name: id, baseUrl: `${stub.url}/qwen/v1`, envKey: "OPENAI_API_KEY" });
    writeFileSync(path.join(folder, "settings.json"), JSON.stringify({ security: { auth: { selectedType: "openai" } }, modelProviders: { openai: [model("moss"), model("fern")] }, model: { name: "moss" }, privacy: { usageStatisticsEnabled: false }, telemetry: { enabled: false }, general: { enableAutoUpdate: false, disableAutoUpdate: true, disableUpdateNag: true } }));
    return {
      command: [node(), installed("qwen", "@qwen-code/qwen-code/cli.js"), "--acp"],
      env: { ...homeOf(home), OPENAI_API_KEY: "none", OPENAI_BASE_URL: `${stub.url}/qwen/v1`, OPENAI_MODEL: "moss" },
    };
  },
};
