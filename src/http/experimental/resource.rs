//! `GET /experimental/resource`.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// A resource of an MCP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct McpResource {
    /// Its name.
    pub name: String,
    /// Its address.
    pub uri: String,
    /// The MCP server that has it.
    pub client: String,
}

/// List MCP resources
///
/// Empty, as OpenCode answers without MCP servers.
///
/// Stub: each agent has MCP servers of its own, and ACP does not tell which ones.
#[utoipa::path(
    get,
    path = "/experimental/resource",
    operation_id = "experimental.resource.list",
    tag = "experimental",
    responses((status = 200, description = "The resources, by name.", body = BTreeMap<String, McpResource>))
)]
pub async fn list() -> Json<BTreeMap<String, McpResource>> {
    Json(BTreeMap::new())
}
