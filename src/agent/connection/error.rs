//! Why a call to an agent has no result.

use std::time::Duration;

use serde_json::Value;

use crate::secret;

/// JSON-RPC's "parse error": stands for a reply that cannot be read.
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

    /// The message with what `data` adds to it, for a person.
    pub fn describe(&self) -> String {
        let detail = match &self.data {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Object(map)) => ["details", "message", "reason"]
                .iter()
                .find_map(|key| map.get(*key)?.as_str().map(str::to_owned)),
            _ => None,
        };
        match detail {
            Some(detail) if !self.message.contains(&detail) => {
                format!("{}: {detail}", self.message)
            }
            _ => self.message.clone(),
        }
    }
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
    #[error("the agent did not answer {method} within {after:?}")]
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
