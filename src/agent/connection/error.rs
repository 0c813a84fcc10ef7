//! Why a call to an agent has no result.

use std::time::Duration;

use serde_json::Value;

use crate::secret;

/// Words that say no more than that something has failed, in small letters. Agents put them in front of the reason.
const EMPTY_WORDS: [&str; 5] = [
    "internal error",
    "internal server error",
    "server error",
    "unknown error",
    "error",
];
/// Where agents put the reason in `data`, and providers in their answers.
const REASONS: [&str; 8] = [
    "/details",
    "/message",
    "/reason",
    "/error/message",
    "/error/data/message",
    "/data/message",
    "/error",
    "/detail",
];
/// Said where nothing else is.
const NO_REASON: &str = "it has failed without giving a reason";

/// JSON-RPC's "parse error": reported for an unreadable reply.
pub(super) const PARSE_ERROR: i64 = -32700;

/// An error that an agent answered with.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcError {
    /// JSON-RPC's code.
    pub code: i64,
    /// What the agent says.
    pub message: String,
    /// What else it says.
    pub data: Option<Value>,
}

impl RpcError {
    /// Reads the `error` of a reply, with secrets masked; what is missing gets a default.
    pub(super) fn read(error: &Value) -> Self {
        let message = error.get("message").and_then(Value::as_str);
        Self {
            code: error
                .get("code")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            message: secret::mask(message.unwrap_or("unknown error")).into_owned(),
            data: error.get("data").cloned().map(secret::mask_json),
        }
    }

    /// The message with what `data` adds to it, for a person: each reason once, and without words that say nothing.
    pub fn describe(&self) -> String {
        let message = plain(&self.message);
        let detail = match &self.data {
            Some(Value::String(text)) => Some(plain(text)),
            Some(data) => reason_in(data).map(plain),
            None => None,
        };
        let said: Vec<String> = [Some(message), detail].into_iter().flatten().collect();
        let said: Vec<&str> = said
            .iter()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
            .collect();
        match said.as_slice() {
            [] => NO_REASON.to_owned(),
            [one] => (*one).to_owned(),
            [first, second, ..] if contains(first, second) => (*first).to_owned(),
            [first, second, ..] if contains(second, first) => (*second).to_owned(),
            [first, second, ..] => format!("{}: {second}", first.trim_end_matches(['.', ':'])),
        }
    }
}

/// Whether a text says what another one says, too.
fn contains(text: &str, other: &str) -> bool {
    let bare = |text: &str| text.trim_end_matches('.').to_lowercase();
    bare(text).contains(&bare(other))
}

fn reason_in(data: &Value) -> Option<&str> {
    REASONS
        .iter()
        .find_map(|place| data.pointer(place)?.as_str())
}

/// A text without empty words in front, and of a provider's JSON in it only the reason.
fn plain(text: &str) -> String {
    let mut rest = text.trim();
    while let Some((first, behind)) = rest.split_once(':')
        && is_empty_word(first)
    {
        rest = behind.trim();
    }
    if is_empty_word(rest) {
        return String::new();
    }
    // "400 {"error": {"message": "…"}}"
    if let Some(at) = rest.find('{')
        && let Ok(body) = serde_json::from_str::<Value>(&rest[at..])
        && let Some(reason) = reason_in(&body)
    {
        let before = rest[..at].trim().trim_end_matches(':');
        return match before.is_empty() {
            true => reason.to_owned(),
            false => format!("{before}: {reason}"),
        };
    }
    rest.to_owned()
}

fn is_empty_word(text: &str) -> bool {
    let text = text.trim().trim_end_matches('.').to_lowercase();
    EMPTY_WORDS.contains(&text.as_str())
}

/// Why a call to an agent has no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The agent answered with an error.
    #[error("{}", .0.describe())]
    Rpc(RpcError),
    /// The agent's process has ended or closed its stdout.
    #[error("the agent's process has ended")]
    Closed,
    /// Baton has closed the connection, because the agent cannot be talked to any more.
    #[error("Baton has disconnected the agent: {why}")]
    Disconnected {
        /// What was wrong with it.
        why: String,
    },
    /// The agent did not answer in time.
    #[error("the agent did not answer {method} within {} s", .after.as_secs_f32())]
    Timeout {
        /// The method that was called.
        method: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The agent answered with a result that lacks what the protocol requires.
    #[error("the agent's reply to {method} is malformed: {what}")]
    Malformed {
        /// The method that was called.
        method: &'static str,
        /// What is wrong with the reply.
        what: String,
    },
}

impl CallError {
    /// Whether the connection is closed, so that another process has to be started to try again.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Closed | Self::Disconnected { .. })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(message: &str, data: Value) -> String {
        let data = Some(data).filter(|data| !data.is_null());
        let error = RpcError {
            code: -32603,
            message: message.to_owned(),
            data,
        };
        error.describe()
    }

    #[test]
    fn the_reason_is_told_once_and_without_empty_words() {
        let body = r#"400 {"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too large"}}"#;
        for (message, data, expected) in [
            (
                "Internal error",
                json!({"details": "no such model"}),
                "no such model",
            ),
            (
                "Internal error: API Error: 400 bad",
                Value::Null,
                "API Error: 400 bad",
            ),
            (
                "Internal error",
                json!({"error": {"message": "quota"}}),
                "quota",
            ),
            ("Internal error", json!(body), "400: max_tokens: too large"),
            ("Internal Server Error.", Value::Null, NO_REASON),
            ("No quota.", json!({"message": "no quota"}), "No quota."),
            ("no quota", json!("No quota is left."), "No quota is left."),
            (
                "Invalid params.",
                json!({"reason": "no cwd"}),
                "Invalid params: no cwd",
            ),
            ("Error: Internal error: x", json!({"a": 1}), "x"),
            ("odd {brace", Value::Null, "odd {brace"),
        ] {
            assert_eq!(told(message, data), expected, "{message}");
        }
    }
}
