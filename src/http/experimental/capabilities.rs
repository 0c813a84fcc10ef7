//! `GET /experimental/capabilities`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// Which experiments the server takes part in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExperimentalCapabilities {
    /// `false`: subagents run inside their agent, which ends its turn when they are done.
    #[serde(rename = "backgroundSubagents")]
    pub background_subagents: bool,
}

/// Get experimental capabilities
///
/// None.
///
/// Stub: they are features of OpenCode's own agent.
#[utoipa::path(
    get,
    path = "/experimental/capabilities",
    operation_id = "experimental.capabilities.get",
    tag = "experimental",
    responses((status = 200, description = "The capabilities.", body = ExperimentalCapabilities))
)]
pub async fn get() -> Json<ExperimentalCapabilities> {
    Json(ExperimentalCapabilities {
        background_subagents: false,
    })
}
