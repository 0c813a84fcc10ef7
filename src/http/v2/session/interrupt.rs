//! `POST /api/session/{sessionID}/interrupt`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::error::Problem;
use crate::http::extract::SessionPath;
use crate::http::responses::{TaggedInvalid, TaggedNotThere};
use crate::http::session::abort::telling;
use crate::http::state::Shared;

/// Interrupt a session
///
/// The same as `session.abort`: stops the answer that is being written, and takes the prompts that wait out of the queue.
#[utoipa::path(
    post,
    path = "/api/session/{sessionID}/interrupt",
    operation_id = "api.session.interrupt",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 204, description = "It was told to stop."),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn interrupt(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Response, Problem> {
    let aborted = state.sessions.abort(&path.session, None).await?;
    Ok(telling(&aborted, StatusCode::NO_CONTENT))
}
