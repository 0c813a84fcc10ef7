//! `POST /session/{sessionID}/abort`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::SessionPath;
use crate::http::responses::{Invalid, NotThere};
use crate::http::state::Shared;

/// Abort a session
///
/// Stops the turn in flight. What was written so far is kept; the answer has a `MessageAbortedError`.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/abort",
    operation_id = "session.abort",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "`true`: nothing is running any more.", body = bool),
        Invalid, NotThere,
    )
)]
pub async fn abort(State(state): State<Shared>, path: SessionPath) -> Result<Json<bool>, Problem> {
    state.sessions.abort(&path.session).await?;
    Ok(Json(true))
}
