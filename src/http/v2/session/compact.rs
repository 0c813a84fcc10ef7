//! `POST /api/session/{sessionID}/compact`.

use axum::extract::State;
use axum::http::StatusCode;

use crate::http::error::Problem;
use crate::http::extract::SessionPath;
use crate::http::responses::{TaggedInvalid, TaggedNotThere, TaggedQueueFull, TaggedStopping};
use crate::http::state::Shared;
use crate::registry::ModelWish;

/// Compact a session
///
/// Has the selected model write a summary of the conversation, from which the session goes on: the same as
/// `session.summarize` with that model. Answers when the summary is in the queue; `api.session.wait` waits for it.
/// (OpenCode 1.18 has the route and answers that it is not available yet.)
#[utoipa::path(
    post,
    path = "/api/session/{sessionID}/compact",
    operation_id = "api.session.compact",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 204, description = "It will be written, or there is nothing to summarize."),
        TaggedInvalid, TaggedNotThere, TaggedQueueFull, TaggedStopping,
    )
)]
pub async fn compact(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<StatusCode, Problem> {
    let session = state.sessions.info(&path.session).await?;
    let model = match session.model {
        Some(model) => ModelWish {
            provider_id: model.provider_id,
            model_id: model.id,
        },
        None => state.registry.snapshot().default_selection()?,
    };
    // Nobody waits for it here: it comes whoever goes away.
    let _summary = state
        .sessions
        .summarize(&path.session, model, false)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
