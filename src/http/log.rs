//! `POST /log`.

use serde_json::{Map, Value};

use crate::http::handler::*;
use crate::opencode::bounded;

/// At most this much of a text goes into the log, in characters.
const TEXT_MAX_CHARS: usize = 2_000;
/// At most this much of a service's name goes into the log, in characters.
const SERVICE_MAX_CHARS: usize = 100;

/// How much a log entry matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For debugging.
    Debug,
    /// Good to know.
    Info,
    /// Something may be wrong.
    Warn,
    /// Something is wrong.
    Error,
}

/// An entry of a client for the log.
#[derive(Debug, Deserialize, ToSchema)]
pub struct LogEntry {
    /// What writes it.
    #[serde(deserialize_with = "bounded::text")]
    #[schema(format = "bound:text")]
    pub service: String,
    /// How much it matters.
    pub level: LogLevel,
    /// What happened.
    #[serde(deserialize_with = "bounded::text")]
    #[schema(format = "bound:text")]
    pub message: String,
    /// Further data.
    #[serde(default, deserialize_with = "bounded::data")]
    #[schema(value_type = Option<Object>)]
    pub extra: Option<Map<String, Value>>,
}

/// Write a log entry
///
/// Writes an entry of a client into the server's log, under the target `baton::client`. Long texts are cut off.
#[utoipa::path(
    post,
    path = "/log",
    operation_id = "app.log",
    tag = "global",
    request_body(content = LogEntry, description = "The entry."),
    responses(
        (status = 200, description = "`true`: it was given to the log, which may be set to leave its level out.", body = bool),
        Invalid,
    )
)]
pub async fn log(Body(entry): Body<LogEntry>) -> Result<Json<bool>, Problem> {
    let service = cut(&entry.service, SERVICE_MAX_CHARS);
    let message = cut(&entry.message, TEXT_MAX_CHARS);
    let extra = entry.extra.map(|data| Value::from(data).to_string());
    let extra = cut(extra.as_deref().unwrap_or_default(), TEXT_MAX_CHARS);
    // As debug output: a line break in a client's text must not look like an entry of our own.
    match entry.level {
        LogLevel::Debug => {
            tracing::debug!(target: "baton::client", ?service, ?extra, "{message:?}")
        }
        LogLevel::Info => tracing::info!(target: "baton::client", ?service, ?extra, "{message:?}"),
        LogLevel::Warn => tracing::warn!(target: "baton::client", ?service, ?extra, "{message:?}"),
        LogLevel::Error => {
            tracing::error!(target: "baton::client", ?service, ?extra, "{message:?}")
        }
    }
    Ok(Json(true))
}

fn cut(text: &str, at_most_chars: usize) -> String {
    match text.char_indices().nth(at_most_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöü", 2), "äö…");
    }
}
