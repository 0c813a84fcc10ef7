//! `GET /experimental/workspace`, its status and its adapters.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// A workspace of OpenCode: another place where a session can run.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Workspace {
    /// Its id, `wrk…`.
    pub id: String,
    /// Its kind.
    pub r#type: String,
    /// Its name.
    pub name: String,
    /// Its project.
    #[serde(rename = "projectID")]
    pub project_id: String,
    /// When it was used last, in milliseconds since the Unix epoch.
    #[serde(rename = "timeUsed")]
    pub time_used: u64,
}

/// Whether a workspace can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkspaceStatus {
    /// The workspace.
    #[serde(rename = "workspaceID")]
    pub workspace_id: String,
    /// `connected`, `connecting`, `disconnected` or `error`.
    pub status: String,
}

/// A kind of workspace that can be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkspaceAdapter {
    /// The kind.
    pub r#type: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
}

/// List workspaces
///
/// Empty, as OpenCode answers when none was made.
///
/// Stub: Baton's sessions run in directories of this machine, which the client names.
#[utoipa::path(
    get,
    path = "/experimental/workspace",
    operation_id = "experimental.workspace.list",
    tag = "experimental",
    responses((status = 200, description = "The workspaces.", body = Vec<Workspace>))
)]
pub async fn list() -> Json<Vec<Workspace>> {
    Json(Vec::new())
}

/// List the states of workspaces
///
/// Empty, as there are no workspaces.
///
/// Stub: Baton's sessions run in directories of this machine, which the client names.
#[utoipa::path(
    get,
    path = "/experimental/workspace/status",
    operation_id = "experimental.workspace.status",
    tag = "experimental",
    responses((status = 200, description = "The states.", body = Vec<WorkspaceStatus>))
)]
pub async fn status() -> Json<Vec<WorkspaceStatus>> {
    Json(Vec::new())
}

/// List kinds of workspaces
///
/// Empty.
///
/// Stub: Baton makes no workspaces. Its sessions run in directories of this machine, which the client names.
#[utoipa::path(
    get,
    path = "/experimental/workspace/adapter",
    operation_id = "experimental.workspace.adapter.list",
    tag = "experimental",
    responses((status = 200, description = "The kinds.", body = Vec<WorkspaceAdapter>))
)]
pub async fn adapters() -> Json<Vec<WorkspaceAdapter>> {
    Json(Vec::new())
}
