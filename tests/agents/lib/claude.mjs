import { homeOf, installed, node } from "./packages.mjs";
export const claude = {
  isProcess: ({ command }) => command.includes("claude-agent-acp"),
  entry: ({ home, stub }) => ({
    command: [node(), installed("claude", "@agentclientprotocol/claude-agent-acp/dist/index.js")],
    env: {
      ...homeOf(home),
      ANTHROPIC_BASE_URL: `${stub.url}/claude`,
      ANTHROPIC_API_KEY: "a stub needs no key",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_TELEMETRY: "1",
      DISABLE_AUTOUPDATER: "1",
      DISABLE_ERROR_REPORTING: "1",
      CLAUDE_CODE_ENABLE_PROMPT_SUGGESTION: "false",
      IS_SANDBOX: "1",
    },
  }),
};
