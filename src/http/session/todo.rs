//! `GET /session/{sessionID}/todo`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::SessionPath;
use crate::http::responses::{Invalid, NotThere};
use crate::http::state::Shared;
use crate::opencode::event::Todo;

/// Get a session's todo list
///
/// The plan that the agent has made last.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/todo",
    operation_id = "session.todo",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "The entries.", body = Vec<Todo>),
        Invalid, NotThere,
    )
)]
pub async fn todo(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<Vec<Todo>>, Problem> {
    Ok(Json(state.sessions.todos(&path.session).await?))
}
