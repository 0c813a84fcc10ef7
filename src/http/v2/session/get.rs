//! `GET /api/session/{sessionID}`.

use axum::Json;
use axum::extract::State;

use super::V2SessionAnswer;
use crate::http::error::Problem;
use crate::http::extract::SessionPath;
use crate::http::responses::{TaggedInvalid, TaggedNotThere};
use crate::http::state::Shared;

/// Get a session
///
/// The same session as `session.get` shows.
#[utoipa::path(
    get,
    path = "/api/session/{sessionID}",
    operation_id = "api.session.get",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "The session.", body = V2SessionAnswer),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn get(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<V2SessionAnswer>, Problem> {
    let data = state.sessions.info(&path.session).await?.into();
    Ok(Json(V2SessionAnswer { data }))
}
