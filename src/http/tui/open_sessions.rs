//! `POST /tui/open-sessions`.

use axum::Json;
use axum::extract::State;

use super::execute;
use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;

/// Open the session dialog
///
/// Opens the list of sessions in the terminal UIs of the directory, with the event `tui.command.execute`.
#[utoipa::path(
    post,
    path = "/tui/open-sessions",
    operation_id = "tui.openSessions",
    tag = "tui",
    params(Directory),
    responses(
        (status = 200, description = "`true`: the event was published.", body = bool),
        Invalid,
    )
)]
pub async fn open_sessions(
    State(state): State<Shared>,
    Directory(directory): Directory,
) -> Result<Json<bool>, Problem> {
    Ok(execute(
        &state,
        directory,
        "/tui/open-sessions",
        "session.list",
    ))
}
