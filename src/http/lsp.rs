//! `GET /lsp`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// Whether a language server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LspState {
    /// It runs.
    Connected,
    /// It has failed.
    Error,
}

/// A language server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LspServerStatus)]
pub struct LspStatus {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The folder that it works in, relative to the project.
    pub root: String,
    /// Whether it runs.
    pub status: LspState,
}

/// List language servers
///
/// Empty, as OpenCode answers when none runs.
///
/// Stub: each agent runs the language servers that it wants, and ACP does not tell which ones.
#[utoipa::path(
    get,
    path = "/lsp",
    operation_id = "lsp.status",
    tag = "config",
    responses((status = 200, description = "The language servers.", body = Vec<LspStatus>))
)]
pub async fn status() -> Json<Vec<LspStatus>> {
    Json(Vec::new())
}
