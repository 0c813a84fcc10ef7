//! `POST` and `DELETE /session/{sessionID}/share`.

use axum::Json;
use axum::extract::State;

use crate::http::error::{BadKind, Problem};
use crate::http::extract::SessionPath;
use crate::http::responses::{Invalid, NotThere};
use crate::http::state::Shared;
use crate::opencode::Session;

/// What is said instead of sharing.
const REFUSAL: &str = "Baton shares nothing: a session never leaves the machine that it runs on. Give others \
                       access to this server instead (--host and --password).";

/// Share a session
///
/// Always refused: a session never leaves the machine that it runs on.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/share",
    operation_id = "session.share",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "Never sent: the session with the place where it is shared.", body = Session),
        Invalid, NotThere,
    )
)]
pub async fn share(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<Session>, Problem> {
    state.sessions.info(&path.session).await?;
    Err(Problem::bad(BadKind::Params, REFUSAL))
}

/// Stop sharing a session
///
/// Stub: no session is ever shared, so the session comes back as it is. OpenCode answers the same for one
/// that is not shared.
#[utoipa::path(
    delete,
    path = "/session/{sessionID}/share",
    operation_id = "session.unshare",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "The session.", body = Session),
        Invalid, NotThere,
    )
)]
pub async fn unshare(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<Session>, Problem> {
    Ok(Json(state.sessions.info(&path.session).await?))
}
