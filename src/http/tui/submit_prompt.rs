//! `POST /tui/submit-prompt`.

use axum::Json;
use axum::extract::State;

use super::execute;
use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;

/// Submit the prompt
///
/// Submits what stands in the prompt in the terminal UIs of the directory, with the event `tui.command.execute`.
#[utoipa::path(
    post,
    path = "/tui/submit-prompt",
    operation_id = "tui.submitPrompt",
    tag = "tui",
    params(Directory),
    responses(
        (status = 200, description = "`true`: the event was published.", body = bool),
        Invalid,
    )
)]
pub async fn submit_prompt(
    State(state): State<Shared>,
    Directory(directory): Directory,
) -> Result<Json<bool>, Problem> {
    Ok(execute(
        &state,
        directory,
        "/tui/submit-prompt",
        "prompt.submit",
    ))
}
