//! `POST /session/{sessionID}/unrevert`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::SessionPath;
use crate::http::responses::{Busy, Invalid, NotThere, Stopping};
use crate::http::state::Shared;
use crate::opencode::Session;

/// Bring back what was reverted
///
/// Brings the messages back, and the files that reverting has changed. A session that is not reverted
/// stays as it is.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/unrevert",
    operation_id = "session.unrevert",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "The session, without `revert`.", body = Session),
        Invalid, NotThere, Busy, Stopping,
    )
)]
pub async fn unrevert(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<Session>, Problem> {
    Ok(Json(state.sessions.unrevert(&path.session).await?))
}
