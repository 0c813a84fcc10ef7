// What an agent cannot do, and why. The tests assert the limit itself: when an agent learns better, they fail
// here, and the line goes.

/** How a failure of the model's provider is told, where it is not an error of the answer with its message. */
export const ERROR_LIMITS = {
  codex: { told: "text", why: "sends the provider's error as the agent's text and ends its turn as if it had answered" },
  cline: { told: "silence", why: "ends its turn with nothing at all; Baton says that the model has probably failed" },
  copilot: { told: "text", why: "sends the provider's error as the agent's text and ends its turn as if it had answered" },
  goose: { told: "text", why: "sends the provider's error as the agent's text and ends its turn as if it had answered" },
  hermes: { told: "text", why: "sends the provider's error as the agent's text and ends its turn as if it had answered" },
  kimi: { told: "silence", why: "ends its turn with nothing at all; Baton says that the model has probably failed" },
  pi: { told: "silence", why: "ends its turn with nothing at all; Baton says that the model has probably failed" },
};

/** Agents that have to be given the conversation anew for another model. */
export const SWITCH_LIMITS = {
  copilot: { how: "restarted", why: "its environment names its model" },
  cline: { how: "in a new native session", why: "one that has answered goes on with its first model" },
};

/** Agents without a read-only mode: Baton refuses `plan` there, rather than let it write. */
export const PLAN_LIMITS = {
  deepagents: { why: "has no modes" },
  hermes: { why: "its modes only differ in what they ask about" },
  vibe: { why: "its modes only differ in what they ask about" },
  pi: { why: "has no modes: its list of modes is that of its thinking levels" },
};

/** Agents that do not count an answer's tokens in its reply. */
export const TOKEN_LIMITS = {
  cline: { why: "its reply to a prompt has no usage" },
  "codex-zed": { why: "its reply to a prompt has no usage" },
  deepagents: { why: "its reply to a prompt has no usage" },
  kimi: { why: "its reply to a prompt has no usage" },
  pi: { why: "its reply to a prompt has no usage" },
  qwen: { why: "its reply to a prompt has no usage" },
};
