//! `POST /tui/append-prompt`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{TEXT_MAX_BYTES, tell};
use crate::http::bounds::Bound;
use crate::http::error::Problem;
use crate::http::extract::{Body, Directory};
use crate::http::fields::Fields;
use crate::http::responses::{Invalid, NotJson, TooLarge};
use crate::http::state::Shared;
use crate::opencode::event::{EventPayload, TuiPromptAppend};

/// A text for the prompt of a terminal UI.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AppendPromptInput)]
pub struct AppendPrompt {
    /// The text; at most 1 MiB.
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
    body: Body,
) -> Result<Json<bool>, Problem> {
    let append = parse(&body.fields(&["text"])?)?;
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

/// Reads what is to be appended.
pub(super) fn parse(fields: &Fields<'_>) -> Result<TuiPromptAppend, Problem> {
    let text = bounded(fields, "text", fields.required_text("text", Bound::Text)?)?;
    Ok(TuiPromptAppend { text })
}

/// A text that an event can carry.
pub(super) fn bounded(fields: &Fields<'_>, name: &str, text: &str) -> Result<String, Problem> {
    if text.len() > TEXT_MAX_BYTES {
        let message = format!(
            "Expected at most {TEXT_MAX_BYTES} bytes, got {}",
            text.len()
        );
        return Err(fields.refuse(name, &message));
    }
    Ok(text.to_owned())
}
