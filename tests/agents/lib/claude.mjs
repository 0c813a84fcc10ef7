// Claude Code behind its ACP adapter, on the stub's Anthropic Messages.

import { homeOf, installed, node } from "./packages.mjs";

/** @type {import("./agents.mjs").Agent} */
export const claude = {
  name: "Claude Code (@agentclientprotocol/claude-agent-acp 0.100.0)",
  packages: ["node", "claude"],
  // The first is an alias that the agent replaces by the model's full id when it opens a session again.
  models: [
    { id: "fable", wire: "claude-fable-5-1" },
    { id: "opus", wire: "claude-opus-5-5" },
  ],
  entry: ({ home, stub }) => ({
    command: [node(), installed("claude", "@agentclientprotocol/claude-agent-acp/dist/index.js")],
    env: {
      ...homeOf(home),
      ANTHROPIC_BASE_URL: `${stub.url}/claude`,
      ANTHROPIC_API_KEY: "a stub needs no key",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      CLAUDE_CODE_MAX_RETRIES: "1",
      CLAUDE_CODE_ENABLE_PROMPT_SUGGESTION: "false",
      DISABLE_TELEMETRY: "1",
      DISABLE_AUTOUPDATER: "1",
      DISABLE_ERROR_REPORTING: "1",
      IS_SANDBOX: "1",
    },
  }),
  isProcess: ({ command }) => command.includes("/claude-agent-acp/dist/index.js"),
};
