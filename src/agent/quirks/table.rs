//! The built-in agents, a row each. Their order is the order of preference for a session that names no model.

use super::{Builtin, Credentials};

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin {
        id: "opencode",
        name: "OpenCode",
        command: &["opencode", "acp"],
        // A user's `permission.edit: "allow"` beats the plan agent's own deny; without this, plan
        // mode would write files.
        env: &[(
            "OPENCODE_CONFIG_CONTENT",
            r#"{"agent":{"plan":{"permission":{"edit":"deny"}}}}"#,
        )],
        // With this set its questions never reach an ACP client, and the turn hangs.
        env_remove: &["OPENCODE_ENABLE_QUESTION_TOOL"],
        install: "npm install -g opencode-ai",
        login: "run `opencode auth login`",
        plan_modes: &["plan"],
        credentials: Credentials::AnyVendor,
        shared_process: true,
    },
    Builtin {
        id: "claude",
        name: "Claude Code",
        command: &["claude-agent-acp"],
        env: &[],
        env_remove: &[],
        install: "npm install -g @agentclientprotocol/claude-agent-acp",
        login: "start `claude` in a terminal and type /login",
        plan_modes: &["plan"],
        credentials: Credentials::Vendor(&[
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "ANTHROPIC_CUSTOM_HEADERS",
            "ANTHROPIC_FOUNDRY_API_KEY",
            "CLAUDE_API_KEY",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CODE_OAUTH_REFRESH_TOKEN",
        ]),
        shared_process: true,
    },
    Builtin {
        id: "codex",
        name: "Codex",
        command: &["codex-acp"],
        env: &[],
        env_remove: &[],
        install: "npm install -g @agentclientprotocol/codex-acp",
        login: "run `codex login`",
        plan_modes: &["read-only"],
        credentials: Credentials::Vendor(&[
            "OPENAI_API_KEY",
            "OPENAI_ADMIN_KEY",
            "CODEX_API_KEY",
            "CODEX_ACCESS_TOKEN",
            "AZURE_OPENAI_API_KEY",
        ]),
        shared_process: true,
    },
    Builtin {
        id: "pi",
        name: "pi",
        command: &["pi-acp"],
        env: &[],
        env_remove: &[],
        install: "npm install -g pi-acp @earendil-works/pi-coding-agent",
        login: "start `pi` in a terminal and type /login",
        plan_modes: &[],
        credentials: Credentials::AnyVendor,
        // Opening a native session closes every other one, also in the middle of its turn.
        shared_process: false,
    },
    Builtin {
        id: "goose",
        name: "goose",
        command: &["goose", "acp", "--with-builtin", "developer"],
        env: &[],
        env_remove: &[],
        install: "npm install -g @aaif/goose",
        login: "run `goose configure`",
        plan_modes: &["chat"],
        credentials: Credentials::AnyVendor,
        shared_process: true,
    },
    Builtin {
        id: "gemini",
        name: "Gemini CLI",
        command: &["gemini", "--acp"],
        env: &[],
        env_remove: &[],
        install: "npm install -g @google/gemini-cli",
        login: "start `gemini` in a terminal and choose how to sign in",
        plan_modes: &["plan"],
        credentials: Credentials::Vendor(&[
            "GEMINI_API_KEY",
            "GOOGLE_API_KEY",
            "GOOGLE_GENERATIVE_AI_API_KEY",
            "GOOGLE_GENAI_API_KEY",
        ]),
        shared_process: true,
    },
];
