// GitHub Copilot's CLI with a provider of its user's own: the stub's OpenAI chat completions. It offers one model
// then, which its environment names: Baton restarts it for another one.

import { homeOf, installed } from "./packages.mjs";

/** @type {import("./agents.mjs").Agent} */
export const copilot = {
  name: "GitHub Copilot (@github/copilot-linux-x64 1.0.102)",
  packages: ["copilot"],
  models: [
    { id: "sage", wire: "sage" },
    { id: "mint", wire: "mint" },
  ],
  restarts: true,
  entry: ({ home, stub }) => ({
    command: [installed("copilot", "@github/copilot-linux-x64/copilot"), "--acp", "--no-auto-update"],
    models: ["sage", "mint"],
    env: {
      ...homeOf(home),
      COPILOT_PROVIDER_BASE_URL: `${stub.url}/copilot/v1`,
      COPILOT_PROVIDER_API_KEY: "a stub needs no key",
      COPILOT_MODEL: "{model}",
      COPILOT_OFFLINE: "true",
    },
  }),
  isProcess: ({ command }) => /\/copilot --acp\b/.test(command),
};
