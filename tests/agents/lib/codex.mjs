// Codex behind its two ACP adapters, on the stub's OpenAI Responses.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, installed, node } from "./packages.mjs";

/** @type {import("./agents.mjs").Agent} */
export const codex = {
  name: "Codex (@agentclientprotocol/codex-acp 2.6.0)",
  packages: ["node", "codex"],
  // Of one family: between families codex summarises the conversation by itself.
  models: [
    { id: "gpt-5.6-sol", wire: "gpt-5.6-sol" },
    { id: "gpt-5.6-terra", wire: "gpt-5.6-terra" },
  ],
  entry: ({ home, stub }) => ({
    command: [node(), installed("codex", "@agentclientprotocol/codex-acp/dist/index.js")],
    env: configured(home, `${stub.url}/codex/v1`, ""),
  }),
  isProcess: ({ command }) => command.includes("/codex-acp/dist/index.js"),
};

/** @type {import("./agents.mjs").Agent} */
export const codexZed = {
  name: "Codex (@zed-industries/codex-acp 0.16.0)",
  packages: ["codex-zed"],
  models: [
    { id: "gpt-5.5", wire: "gpt-5.5" },
    { id: "gpt-5.4", wire: "gpt-5.4" },
  ],
  entry: ({ home, stub }) => ({
    command: [installed("codex-zed", "@zed-industries/codex-acp-linux-x64/bin/codex-acp")],
    // Its sandbox is a program that this package does not bring; the work folder is a scratch one anyway.
    env: configured(home, `${stub.url}/codex-zed/v1`, 'approval_policy = "never"\nsandbox_mode = "danger-full-access"\n'),
  }),
  isProcess: ({ command }) => command.includes("/codex-acp-linux-x64/bin/codex-acp"),
};

function configured(home, base_url, more) {
  const folder = path.join(home, ".codex");
  mkdirSync(folder);
  const text = `${more}model_provider = "stub"
check_for_update_on_startup = false

[model_providers.stub]
name = "stub"
base_url = "${base_url}"
wire_api = "responses"
env_key = "OPENAI_API_KEY"
request_max_retries = 1
stream_max_retries = 1

[analytics]
enabled = false
`;
  writeFileSync(path.join(folder, "config.toml"), text);
  return { ...homeOf(home), CODEX_HOME: folder, OPENAI_API_KEY: "a stub needs no key", NO_BROWSER: "1" };
}
