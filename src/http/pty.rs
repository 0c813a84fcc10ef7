//! `GET /pty/shells`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Directory;
use super::responses::Invalid;

/// A shell for terminals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ShellProgram)]
pub struct Shell {
    /// Its program.
    pub path: String,
    /// Its name.
    pub name: String,
    /// OpenCode can use it for its tools, too.
    pub acceptable: bool,
}

/// List available shells
///
/// Stub: Baton opens no terminals, and agents choose the shells of their tools themselves, so the list is
/// always empty. OpenCode's web UI cannot show its settings without an answer.
#[utoipa::path(
    get,
    path = "/pty/shells",
    operation_id = "pty.shells",
    tag = "config",
    params(Directory),
    responses(
        (status = 200, description = "The shells.", body = Vec<Shell>),
        Invalid,
    )
)]
pub async fn shells(_: Directory) -> Json<Vec<Shell>> {
    Json(Vec::new())
}
