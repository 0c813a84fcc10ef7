// Kimi Code, whose two models have two wire APIs: the stub's OpenAI chat completions and Anthropic Messages.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, installed, node } from "./packages.mjs";

/** @type {import("./agents.mjs").Agent} */
export const kimi = {
  name: "Kimi Code (@moonshot-ai/kimi-code 2.1.0)",
  packages: ["node", "kimi"],
  models: [
    { id: "reed", wire: "reed" },
    { id: "rush", wire: "rush" },
  ],
  entry: ({ home, stub }) => {
    const folder = path.join(home, ".kimi-code");
    mkdirSync(folder);
    writeFileSync(path.join(folder, "config.toml"), configuration(stub));
    return {
      command: [node(), installed("kimi", "@moonshot-ai/kimi-code/dist/main.mjs"), "acp"],
      env: { ...homeOf(home), KIMI_CODE_NO_AUTO_UPDATE: "1" },
    };
  },
  isProcess: ({ command }) => command.includes("/kimi-code/dist/main.mjs"),
};

function configuration(stub) {
  return `default_model = "reed"
telemetry = false

[providers.chat]
type = "openai"
base_url = "${stub.url}/kimi/v1"
api_key = "a stub needs no key"

[providers.messages]
type = "anthropic"
base_url = "${stub.url}/kimi"
api_key = "a stub needs no key"

[models.reed]
provider = "chat"
model = "reed"
max_context_size = 200000

[models.rush]
provider = "messages"
model = "rush"
max_context_size = 200000
`;
}
