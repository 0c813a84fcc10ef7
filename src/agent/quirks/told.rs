//! Where agents put what the protocol has no field for: JSON pointers into what they send. They are looked for in what
//! any agent sends, since an agent of the config file may be one of these under another name.

/// In the reply to `session/new`: a text that pi's adapter also sends as if it were an answer, before any prompt.
pub const GREETING: &[&str] = &["/_meta/piAcp/startupInfo"];

/// In a tool call: the tool's name, where the protocol's own field is left out.
pub const TOOL_NAME: &[&str] = &[
    "/_meta/claudeCode/toolName",
    "/_meta/goose/toolCall/toolName",
    "/_meta/toolName",
];

/// In a tool call: the next piece of what a command prints, which is nowhere else. A convention of Zed's for clients
/// without terminals.
pub const TERMINAL_OUTPUT: &[&str] = &[
    "/_meta/terminal_output/data",
    "/_meta/terminal_output_delta/data",
];

/// In the same place: the exit status of the command.
pub const TERMINAL_EXIT: &str = "/_meta/terminal_exit/exit_code";

/// In the reply to a prompt: the tokens that went in; `usage` is of the unstable schema, the other is Gemini CLI's.
pub const INPUT_TOKENS: &[&str] = &[
    "/usage/inputTokens",
    "/_meta/quota/token_count/input_tokens",
];

/// The same for those that came out.
pub const OUTPUT_TOKENS: &[&str] = &[
    "/usage/outputTokens",
    "/_meta/quota/token_count/output_tokens",
];

/// In the reply to a prompt, in a chunk of an answer and in an update of what it has cost: the id of the model that has
/// answered.
pub const MODEL: &[&str] = &[
    "/_meta/model",
    "/_meta/modelId",
    "/_meta/modelID",
    "/_meta/currentModelId",
    "/_meta/usage/model",
    "/usage/model",
    "/models/currentModelId",
    "/modelId",
    "/model",
];

/// In the reply to a prompt: the models that were used, Gemini CLI's list.
pub const MODELS_USED: &str = "/_meta/quota/model_usage";
