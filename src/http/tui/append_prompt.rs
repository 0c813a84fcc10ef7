//! `POST /tui/append-prompt`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::tell;
use crate::http::error::Problem;
use crate::http::extract::{Body, Directory};
use crate::http::responses::{Invalid, NotJson, TooLarge};
use crate::http::state::Shared;
use crate::opencode::bounded;
use crate::opencode::event::{EventPayload, TuiPromptAppend};

/// A text for the prompt of a terminal UI.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AppendPromptInput)]
pub struct AppendPrompt {
    /// The text; at most 1 MiB.
    #[serde(deserialize_with = "bounded::tui_text")]
    #[schema(format = "bound:tui-text")]
    pub text: String,
}

/// Append to the prompt
///
/// Appends a text to the prompt of the terminal UIs of the directory, with the event `tui.prompt.append`.
#[utoipa::path(
    post,
    path = "/tui/append-prompt",
    operation_id = "tui.appendPrompt",
    tag = "tui",
    params(Directory),
    request_body(content = AppendPrompt, description = "The text."),
    responses(
        (status = 200, description = "`true`: the event was published.", body = bool),
        Invalid, TooLarge, NotJson,
    )
)]
pub async fn append_prompt(
    State(state): State<Shared>,
    Directory(directory): Directory,
    Body(input): Body<AppendPrompt>,
) -> Result<Json<bool>, Problem> {
    let append = TuiPromptAppend { text: input.text };
    let request = json!({ "text": append.text });
    let event = EventPayload::TuiPromptAppend(append);
    Ok(tell(
        &state,
        directory,
        "/tui/append-prompt",
        request,
        event,
    ))
}
