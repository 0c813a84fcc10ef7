import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { homeOf, installed, node } from "./packages.mjs";
function configure(home, stub, name, more = "") {
  const folder = path.join(home, ".codex");
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    path.join(folder, "config.toml"),
    `model_provider = "stub"
check_for_update_on_startup = false
${more}
[model_providers.stub]
name = "stub"
base_url = "${stub.url}/${name}/v1"
wire_api = "responses"
env_key = "OPENAI_API_KEY"
[analytics]
enabled = false
`,
  );
  return { ...homeOf(home), CODEX_HOME: folder, OPENAI_API_KEY: "a stub needs no key", NO_BROWSER: "1" };
}
export const codex = {
  isProcess: ({ command }) => command.includes("codex-acp/dist/index.js"),
  entry: ({ home, stub }) => ({
    command: [node(), installed("codex", "@agentclientprotocol/codex-acp/dist/index.js")],
    env: configure(home, stub, "codex"),
  }),
};
export const codexZed = {
  isProcess: ({ command }) => command.includes("codex-acp-linux-x64"),
  entry: ({ home, stub }) => ({
    command: [installed("codex-zed", "@zed-industries/codex-acp-linux-x64/bin/codex-acp")],
    env: configure(home, stub, "codex-zed", 'approval_policy = "never"\nsandbox_mode = "danger-full-access"'),
  }),
};
