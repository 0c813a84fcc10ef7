//! `GET /session/{sessionID}/diff`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::SessionPath;
use crate::http::responses::{Invalid, NotThere};
use crate::http::state::Shared;

/// What a session has changed in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FileDiff {
    /// The file.
    pub file: String,
    /// The change, as a unified diff.
    pub patch: String,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
}

/// Get a session's file changes
///
/// Always empty: Baton takes no snapshots of the working directory; what an agent has edited is in
/// the tool parts of its messages. OpenCode's clients ask for it when they open a session.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/diff",
    operation_id = "session.diff",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "An empty list.", body = Vec<FileDiff>),
        Invalid, NotThere,
    )
)]
pub async fn diff(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<Vec<FileDiff>>, Problem> {
    state.sessions.info(&path.session).await?;
    Ok(Json(Vec::new()))
}
