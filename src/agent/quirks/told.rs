//! Where agents put what the protocol has no field for: JSON pointers into what they send. They are looked for in what
//! any agent sends, since an agent of the config file may be one of these under another name.

use serde_json::Value;

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

/// The model that an agent names in what it sends: the id, verbatim.
pub fn model(message: &Value) -> Option<&str> {
    let single = || match message.pointer(MODELS_USED)?.as_array()?.as_slice() {
        [one] => one.get("model")?.as_str(),
        // A helper of the model's own may be among several.
        _ => None,
    };
    let named = MODEL
        .iter()
        .find_map(|place| message.pointer(place)?.as_str());
    named.or_else(single).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_is_found_wherever_agents_put_it() {
        for message in [
            json!({"_meta": {"model": "m"}}),
            json!({"_meta": {"modelId": "m"}}),
            json!({"usage": {"model": "m"}}),
            json!({"models": {"currentModelId": "m"}}),
            json!({"_meta": {"quota": {"model_usage": [{"model": "m", "token_count": {}}]}}}),
        ] {
            assert_eq!(model(&message), Some("m"), "{message}");
        }
    }

    #[test]
    fn what_is_no_model_is_none() {
        for message in [
            json!(null),
            json!({}),
            json!({"_meta": {"model": ""}}),
            json!({"_meta": {"model": 7}}),
            json!({"_meta": {"quota": {"model_usage": []}}}),
            json!({"_meta": {"quota": {"model_usage": [{"model": "m"}, {"model": "helper"}]}}}),
        ] {
            assert_eq!(model(&message), None, "{message}");
        }
    }
}
