//! `GET /session/{sessionID}/children`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::SessionPath;
use crate::http::responses::{Invalid, NotThere};
use crate::http::state::Shared;
use crate::opencode::Session;

/// Get a session's children
///
/// The sessions whose parent this one is.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/children",
    operation_id = "session.children",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "The children.", body = Vec<Session>),
        Invalid, NotThere,
    )
)]
pub async fn children(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<Vec<Session>>, Problem> {
    Ok(Json(state.sessions.children(&path.session).await?))
}
