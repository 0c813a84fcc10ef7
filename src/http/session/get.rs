//! `GET /session/{sessionID}`.

use axum::extract::State;
use axum::response::Response;

use super::with_etag;
use crate::http::error::Problem;
use crate::http::extract::SessionPath;
use crate::http::responses::{Invalid, NotThere};
use crate::http::state::Shared;
use crate::opencode::Session;

/// Get a session
///
/// The session with its selection, and with how the running agent stands to it.
#[utoipa::path(
    get,
    path = "/session/{sessionID}",
    operation_id = "session.get",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "The session.", body = Session,
            headers(("ETag" = String, description = "The session's revision, in quotes."))),
        Invalid, NotThere,
    )
)]
pub async fn get(State(state): State<Shared>, path: SessionPath) -> Result<Response, Problem> {
    let session = state.sessions.info(&path.session).await?;
    Ok(with_etag(&session))
}
