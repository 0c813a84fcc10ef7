//! `POST /tui/open-help`.

use axum::Json;
use axum::extract::State;

use super::execute;
use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;

/// Open the help dialog
///
/// Opens the help dialog in the terminal UIs of the directory, with the event `tui.command.execute`.
#[utoipa::path(
    post,
    path = "/tui/open-help",
    operation_id = "tui.openHelp",
    tag = "tui",
    params(Directory),
    responses(
        (status = 200, description = "`true`: the event was published.", body = bool),
        Invalid,
    )
)]
pub async fn open_help(
    State(state): State<Shared>,
    Directory(directory): Directory,
) -> Result<Json<bool>, Problem> {
    Ok(execute(&state, directory, "/tui/open-help", "help.show"))
}
