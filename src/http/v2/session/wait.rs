//! `POST /api/session/{sessionID}/wait`.

use axum::extract::State;
use axum::http::StatusCode;

use crate::http::error::Problem;
use crate::http::extract::SessionPath;
use crate::http::responses::{TaggedInvalid, TaggedNotThere, TaggedStopping};
use crate::http::state::Shared;

/// Wait for a session
///
/// Answers when the session has nothing left to do: at once when it is idle. (OpenCode 1.18 has the route and
/// answers that waiting is not available yet.)
#[utoipa::path(
    post,
    path = "/api/session/{sessionID}/wait",
    operation_id = "api.session.wait",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 204, description = "It is idle."),
        TaggedInvalid, TaggedNotThere, TaggedStopping,
    )
)]
pub async fn wait(State(state): State<Shared>, path: SessionPath) -> Result<StatusCode, Problem> {
    let mut stopping = state.stopping.clone();
    // Before the first look, so that no end of a turn is missed between the two.
    let mut events = state.bus.subscribe(None);
    while state.sessions.is_busy(&path.session).await? {
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return Err(Problem::shutting_down()),
            _ = events.next() => {}
        }
    }
    Ok(StatusCode::NO_CONTENT)
}
