// What an agent cannot do, and why. The tests assert the limit itself: when an agent learns better, they fail
// here, and the line goes.

/** How a failure of the model's provider is told, where it is not an error of the answer with its message. */
export const ERROR_LIMITS = {
  codex: { told: "text", why: "sends the provider's error as the agent's text and ends its turn as if it had answered" },
  goose: { told: "text", why: "sends the provider's error as the agent's text and ends its turn as if it had answered" },
  pi: { told: "silence", why: "ends its turn with nothing at all; Baton says that the model has probably failed" },
};

/** Agents without a read-only mode: Baton refuses `plan` there, rather than let it write. */
export const PLAN_LIMITS = {
  pi: { why: "has no modes: its list of modes is that of its thinking levels" },
};

/** Agents that do not count an answer's tokens in its reply. */
export const TOKEN_LIMITS = {
  "codex-zed": { why: "its reply to a prompt has no usage" },
  pi: { why: "its reply to a prompt has no usage" },
  qwen: { why: "its reply to a prompt has no usage" },
};
