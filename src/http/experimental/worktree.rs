//! `GET /experimental/worktree`.

use axum::Json;

/// List worktrees
///
/// Empty, as OpenCode answers when it has made none.
///
/// Stub: a session works in the directory that its client names, and that may be a worktree that the user has made.
#[utoipa::path(
    get,
    path = "/experimental/worktree",
    operation_id = "worktree.list",
    tag = "experimental",
    responses((status = 200, description = "The directories of the worktrees.", body = Vec<String>))
)]
pub async fn list() -> Json<Vec<String>> {
    Json(Vec::new())
}
