//! The built-in agents, a row each. Their order is the order of preference for a session that names no model.

use super::Packages::{Elsewhere, Npm, Pip};
use super::keeps::Keeps;
use super::{Builtin, PLAIN, PROTOCOLS_PLAN_MODE, Package, Removal, TokenCount};

/// OpenCode keeps every native session from its first moment, offers no `session/delete`, and has a command for it.
const REMOVED_AS_BY_OPENCODE: Option<Removal> = Some(Removal {
    instead_of: &["acp"],
    arguments: &["session", "delete"],
});

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
        packages: Npm(&[Package::new("opencode-{platform}", "1.18.33")], 0),
        login: "run `opencode auth login`",
        shared_process: true,
        keeps: Keeps::OpencodeConfig("OPENCODE_CONFIG_CONTENT"),
        removal: REMOVED_AS_BY_OPENCODE,
        tested: true,
        ..PLAIN
    },
    Builtin {
        id: "claude",
        name: "Claude Code",
        command: &["claude-agent-acp"],
        packages: Npm(
            &[Package::new(
                "@agentclientprotocol/claude-agent-acp",
                "0.100.0",
            )],
            22,
        ),
        login: "start `claude` in a terminal and type /login",
        credentials: &[
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "ANTHROPIC_CUSTOM_HEADERS",
            "ANTHROPIC_FOUNDRY_API_KEY",
            "CLAUDE_API_KEY",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CODE_OAUTH_REFRESH_TOKEN",
        ],
        one_vendor: true,
        shared_process: true,
        keeps: Keeps::ClaudeOptions,
        error_texts: &[
            "API Error",
            "Credit balance is too low",
            "Invalid API key",
            "Claude AI usage limit reached",
            "You've hit your",
            "You've reached your",
        ],
        // It tries ten times, which takes minutes.
        few_retries: &[("CLAUDE_CODE_MAX_RETRIES", "2")],
        tested: true,
        ..PLAIN
    },
    Builtin {
        id: "codex",
        name: "Codex",
        command: &["codex-acp"],
        packages: Npm(
            &[Package::new("@agentclientprotocol/codex-acp", "2.6.0")],
            22,
        ),
        login: "run `codex login`",
        plan_modes: &["read-only"],
        credentials: &[
            "OPENAI_API_KEY",
            "OPENAI_ADMIN_KEY",
            "CODEX_API_KEY",
            "CODEX_ACCESS_TOKEN",
            "AZURE_OPENAI_API_KEY",
        ],
        one_vendor: true,
        shared_process: true,
        // Most of its provider's errors are said as if they were its answer.
        error_texts: &[
            "exceeded retry limit",
            "unexpected status ",
            "stream disconnected",
            "stream error",
            "You’ve hit your usage limit",
            "You've hit your usage limit",
            "Quota exceeded",
            "Selected model is at capacity",
        ],
        tested: true,
        ..PLAIN
    },
    Builtin {
        id: "pi",
        name: "pi",
        command: &["pi-acp"],
        packages: Npm(
            &[
                Package::new("pi-acp", "0.0.34"),
                Package::new("@earendil-works/pi-coding-agent", "0.87.1"),
            ],
            22,
        ),
        login: "start `pi` in a terminal and type /login",
        plan_modes: &[],
        // Opening a native session closes every other one, also in the middle of its turn.
        shared_process: false,
        // Whose last word is "Retry finished, resuming."
        error_texts: &["Retrying (attempt "],
        tested: true,
        ..PLAIN
    },
    Builtin {
        id: "goose",
        name: "goose",
        command: &["goose", "acp", "--with-builtin", "developer"],
        packages: Npm(
            &[Package::new("@aaif/goose-binary-{platform}", "1.52.0")],
            0,
        ),
        login: "run `goose configure`",
        plan_modes: &["chat"],
        shared_process: true,
        error_texts: &["Ran into this error: "],
        tested: true,
        ..PLAIN
    },
    Builtin {
        id: "gemini",
        name: "Gemini CLI",
        command: &["gemini", "--acp"],
        packages: Npm(&[Package::new("@google/gemini-cli", "0.61.0")], 20),
        login: "start `gemini` in a terminal and choose how to sign in",
        credentials: &[
            "GEMINI_API_KEY",
            "GOOGLE_API_KEY",
            "GOOGLE_GENERATIVE_AI_API_KEY",
            "GOOGLE_GENAI_API_KEY",
        ],
        one_vendor: true,
        shared_process: true,
        // What is stopped is taken out of the history, with the tools that ran.
        forgets_unfinished: true,
        tested: true,
        ..PLAIN
    },
    Builtin {
        id: "qwen",
        name: "Qwen Code",
        command: &["qwen", "--acp"],
        packages: Npm(&[Package::new("@qwen-code/qwen-code", "0.24.4")], 22),
        login: "start `qwen` in a terminal and type /auth",
        credentials: &["DASHSCOPE_API_KEY", "BAILIAN_CODING_PLAN_API_KEY"],
        shared_process: true,
        tested: true,
        ..PLAIN
    },
    Builtin {
        id: "kimi",
        name: "Kimi Code",
        command: &["kimi", "acp"],
        packages: Npm(&[Package::new("@moonshot-ai/kimi-code", "2.1.0")], 23),
        login: "run `kimi login`",
        credentials: &["KIMI_API_KEY", "MOONSHOT_API_KEY"],
        shared_process: true,
        tested: true,
        ..PLAIN
    },
    Builtin {
        id: "copilot",
        name: "GitHub Copilot",
        command: &["copilot", "--acp"],
        packages: Npm(&[Package::new("@github/copilot-{platform}", "1.0.102")], 0),
        login: "run `copilot login`",
        plan_modes: &[PROTOCOLS_PLAN_MODE],
        credentials: &["COPILOT_GITHUB_TOKEN", "COPILOT_PROVIDER_API_KEY"],
        // A denial is stronger than whatever its user has allowed.
        denies: &[
            ("bash", &["--deny-tool=shell"]),
            ("edit", &["--deny-tool=write"]),
        ],
        error_texts: &["Error: ", "Info: Request failed"],
        tested: true,
        ..PLAIN
    },
    Builtin {
        id: "vibe",
        name: "Mistral Vibe",
        command: &["vibe-acp"],
        packages: Pip(&[Package::new("mistral-vibe", "3.0.2")], 12),
        login: "run `vibe --setup`",
        // Its modes only differ in what they ask about.
        plan_modes: &[],
        credentials: &["MISTRAL_API_KEY"],
        // In a process that sessions share, it repeats pieces of the answer that follows a failure.
        shared_process: false,
        token_count: TokenCount::NativeSession,
        tested: true,
        ..PLAIN
    },
    Builtin {
        id: "kilo",
        name: "Kilo Code",
        command: &["kilo", "acp"],
        packages: Npm(&[Package::new("@kilocode/cli-{platform}", "7.7.9")], 0),
        login: "run `kilo auth login`",
        credentials: &["KILO_API_KEY"],
        shared_process: true,
        keeps: Keeps::OpencodeConfig("KILO_CONFIG_CONTENT"),
        removal: REMOVED_AS_BY_OPENCODE,
        tested: true,
        ..PLAIN
    },
    Builtin {
        id: "cline",
        name: "Cline",
        command: &["cline", "--acp"],
        packages: Npm(&[Package::new("cline", "3.0.65")], 0),
        login: "run `cline auth`",
        credentials: &["CLINE_API_KEY"],
        // It confirms another model and goes on with the first; opened again, with its own default.
        keeps_first_model: true,
        tested: true,
        ..PLAIN
    },
    Builtin {
        id: "hermes",
        name: "Hermes Agent",
        command: &["hermes-acp"],
        packages: Pip(&[Package::new("hermes-agent[acp]", "0.19.0")], 11),
        login: "run `hermes acp --setup`",
        // Its modes only differ in what they ask about.
        plan_modes: &[],
        // Another model is another agent to it, which counts from the beginning.
        token_count: TokenCount::SinceChoice,
        tested: true,
        ..PLAIN
    },
    Builtin {
        id: "deepagents",
        name: "Deep Agents Code",
        command: &["dcode", "--acp"],
        packages: Pip(&[Package::new("deepagents-code", "0.1.88")], 11),
        login: "start `dcode` in a terminal and type /auth",
        // It has no modes.
        plan_modes: &[],
        // Its process has the conversation of one native session in hand, and the model of the last one that was asked.
        shared_process: false,
        tested: true,
        ..PLAIN
    },
    Builtin {
        id: "auggie",
        name: "Auggie",
        command: &["auggie", "--acp"],
        env: &[("AUGMENT_DISABLE_AUTO_UPDATE", "1")],
        packages: Npm(&[Package::untested("@augmentcode/auggie")], 22),
        login: "run `auggie login`",
        credentials: &["AUGMENT_API_TOKEN", "AUGMENT_SESSION_AUTH"],
        one_vendor: true,
        ..PLAIN
    },
    Builtin {
        id: "cursor",
        name: "Cursor",
        command: &["cursor-agent", "acp"],
        packages: Elsewhere("see https://cursor.com/docs/cli"),
        login: "run `cursor-agent login`",
        credentials: &["CURSOR_API_KEY"],
        one_vendor: true,
        ..PLAIN
    },
    Builtin {
        id: "droid",
        name: "Factory Droid",
        command: &["droid", "exec", "--output-format", "acp-daemon"],
        env: &[
            ("DROID_DISABLE_AUTO_UPDATE", "true"),
            ("FACTORY_DROID_AUTO_UPDATE_ENABLED", "false"),
        ],
        packages: Npm(&[Package::untested("droid")], 20),
        login: "start `droid` in a terminal and type /login",
        credentials: &["FACTORY_API_KEY"],
        ..PLAIN
    },
    Builtin {
        id: "grok",
        name: "Grok Build",
        command: &["grok", "agent", "stdio"],
        packages: Npm(&[Package::untested("@xai-official/grok")], 20),
        login: "run `grok login`",
        credentials: &["XAI_API_KEY"],
        one_vendor: true,
        ..PLAIN
    },
    Builtin {
        id: "codebuddy",
        name: "CodeBuddy Code",
        command: &["codebuddy", "--acp"],
        packages: Npm(&[Package::untested("@tencent-ai/codebuddy-code")], 20),
        login: "start `codebuddy` in a terminal and type /login",
        credentials: &["CODEBUDDY_API_KEY"],
        one_vendor: true,
        ..PLAIN
    },
    Builtin {
        id: "junie",
        name: "Junie",
        command: &["junie", "--acp=true"],
        packages: Elsewhere("see https://junie.jetbrains.com"),
        login: "start `junie` in a terminal and sign in",
        credentials: &["JUNIE_API_KEY"],
        ..PLAIN
    },
    Builtin {
        id: "devin",
        name: "Devin",
        command: &["devin", "acp"],
        packages: Elsewhere("see https://docs.devin.ai/cli"),
        login: "run `devin auth login`",
        credentials: &["DEVIN_API_KEY"],
        one_vendor: true,
        ..PLAIN
    },
    Builtin {
        id: "amp",
        name: "Amp",
        command: &["amp-acp"],
        packages: Elsewhere(
            "install Amp, and amp-acp from https://github.com/tao12345666333/amp-acp",
        ),
        login: "run `amp login`",
        credentials: &["AMP_API_KEY"],
        one_vendor: true,
        ..PLAIN
    },
];
