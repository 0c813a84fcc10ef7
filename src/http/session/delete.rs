//! `DELETE /session/{sessionID}`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::SessionPath;
use crate::http::responses::{Invalid, NotThere};
use crate::http::state::Shared;

/// Delete a session
///
/// Deletes the session with everything that belongs to it. A turn in flight is aborted.
#[utoipa::path(
    delete,
    path = "/session/{sessionID}",
    operation_id = "session.delete",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "`true`: it is gone.", body = bool),
        Invalid, NotThere,
    )
)]
pub async fn delete(State(state): State<Shared>, path: SessionPath) -> Result<Json<bool>, Problem> {
    state.sessions.delete(&path.session).await?;
    Ok(Json(true))
}
