//! `GET /command`.

use axum::Json;
use axum::extract::State;

use crate::http::directory::Asked;
use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::provider::settled_at;
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::command::CommandInfo;

/// List slash commands
///
/// Everything that can be typed behind a slash in this directory: first what the backend advertises whose model the session
/// that was used last there has selected; then commands of Baton, of its config file and of OpenCode's command files; then
/// those of the other connected backends, whose descriptions begin with the backend's id.
#[utoipa::path(
    get,
    path = "/command",
    operation_id = "command.list",
    tag = "command",
    params(Directory),
    responses(
        (status = 200, description = "The commands, in each of these groups by name.", body = Vec<CommandInfo>),
        Invalid,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    asked: Asked,
) -> Result<Json<Vec<CommandInfo>>, Problem> {
    settled_at(&state, &asked).await;
    Ok(Json(state.sessions.commands(&asked.directory).await))
}
