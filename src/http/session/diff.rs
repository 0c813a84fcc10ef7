//! `GET /session/{sessionID}/diff`.

use axum::Json;
use axum::extract::State;
use utoipa::IntoParams;

use crate::http::error::Problem;
use crate::http::extract::{Params, SessionPath};
use crate::http::responses::{Invalid, NotThere};
use crate::http::state::Shared;
use crate::opencode::MessageId;
use crate::opencode::session::FileDiff;

/// Whose changes.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DiffQuery {
    /// A prompt: only what was changed while it was answered.
    #[param(rename = "messageID", required = false)]
    pub message_id: Option<MessageId>,
}

/// Get a session's file changes
///
/// What was changed in the working directory since the session's first turn, or by the answer to one prompt.
/// Empty where no snapshots are taken: outside of git repositories, and with `snapshot = false`.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/diff",
    operation_id = "session.diff",
    tag = "session",
    params(SessionPath, DiffQuery),
    responses(
        (status = 200, description = "The changed files.", body = Vec<FileDiff>),
        Invalid, NotThere,
    )
)]
pub async fn diff(
    State(state): State<Shared>,
    path: SessionPath,
    query: Params,
) -> Result<Json<Vec<FileDiff>>, Problem> {
    let message = query.id("messageID", MessageId::parse)?;
    let diffs = state.sessions.diff(&path.session, message.as_ref());
    Ok(Json(diffs.await?))
}
