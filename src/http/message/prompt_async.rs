//! `POST /session/{sessionID}/prompt_async`.

use axum::extract::State;
use axum::http::StatusCode;

use super::prompt::PromptInput;
use crate::http::error::Problem;
use crate::http::extract::{Body, Client, SessionPath};
use crate::http::responses::{
    MessageExists, NotJson, NotThere, QueueFull, Stopping, TooLarge, Unselectable,
};
use crate::http::state::Shared;
use crate::opencode::event::Source;

/// Send a message without waiting
///
/// The same as `session.prompt`, answered as soon as the prompt is stored. The answer comes as events; a prompt that is
/// refused is told as `session.error`, too.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/prompt_async",
    operation_id = "session.queuePrompt",
    tag = "message",
    params(SessionPath, Client),
    request_body(
        content = PromptInput,
        description = "The prompt.",
    ),
    responses(
        (status = 204, description = "The prompt is stored."),
        Unselectable, NotThere, MessageExists, TooLarge, NotJson, QueueFull, Stopping,
    )
)]
pub async fn prompt_async(
    State(state): State<Shared>,
    path: SessionPath,
    client: Client,
    Body(input): Body<PromptInput>,
) -> Result<StatusCode, Problem> {
    let prompt = input.into_prompt(&state.settings.sizes)?;
    let caller = client.by(Source::Message);
    let prompted = state.sessions.prompt(&path.session, prompt, caller).await;
    if let Err(error) = &prompted {
        // Its clients look at the stream, as OpenCode tells it there and nowhere else.
        state.sessions.tell_refused(&path.session, error).await;
    }
    prompted?;
    Ok(StatusCode::NO_CONTENT)
}
