//! `/command`, and its twin below `/api`.

use crate::http::directory::Asked;
use crate::http::handler::*;
use crate::http::provider::settled_at;
use crate::http::v2::location::Location;
use crate::opencode::command::CommandInfo;
use crate::opencode::v2::answer::V2Commands;
use crate::opencode::v2::info::V2Command;

/// List slash commands
///
/// Everything that can be typed behind a slash in this directory: first what the backend advertises that the session
/// that most recently used there has selected; then commands of Baton, of its config file and of OpenCode's command files; then
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

/// List commands
///
/// The same slash commands as `command.list`.
#[utoipa::path(
    get,
    path = "/api/command",
    operation_id = "api.command.list",
    tag = "config",
    params(Location),
    responses(
        (status = 200, description = "The commands.", body = V2Commands),
        TaggedInvalid,
    )
)]
pub async fn list_at(
    State(state): State<Shared>,
    Location(location): Location,
) -> Json<V2Commands> {
    let commands = state.sessions.commands(&location.directory).await;
    let data = commands.into_iter().map(V2Command::from).collect();
    Json(V2Commands { location, data })
}
