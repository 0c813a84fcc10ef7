//! `GET /mcp`.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// Whether an MCP server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum McpState {
    /// It runs.
    Connected,
    /// It is switched off.
    Disabled,
}

/// An MCP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = McpServerStatus)]
pub struct McpStatus {
    /// Whether it runs.
    pub status: McpState,
}

/// List MCP servers
///
/// Empty, as OpenCode answers when none is configured.
///
/// Stub: each agent starts the MCP servers of its own configuration, and ACP does not tell which ones.
#[utoipa::path(
    get,
    path = "/mcp",
    operation_id = "mcp.status",
    tag = "config",
    responses((status = 200, description = "The MCP servers, by name.", body = BTreeMap<String, McpStatus>))
)]
pub async fn status() -> Json<BTreeMap<String, McpStatus>> {
    Json(BTreeMap::new())
}
