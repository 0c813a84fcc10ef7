//! Whether the server runs. OpenCode's web UI asks at the root, whatever path it was given.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// The server runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// `true`.
    pub healthy: bool,
    /// Baton's version.
    #[schema(example = "0.1.0")]
    pub version: String,
}

/// The server runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApiHealth {
    /// `true`.
    pub healthy: bool,
}

fn healthy() -> Json<Health> {
    Json(Health {
        healthy: true,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Get the server's health
///
/// Answers as soon as the server listens; the backends may still be probed then.
#[utoipa::path(
    get,
    path = "/global/health",
    operation_id = "global.health",
    tag = "global",
    responses((status = 200, description = "The server runs.", body = Health))
)]
pub async fn health() -> Json<Health> {
    healthy()
}

/// Get the server's health, at the root
///
/// The same as `global.health`, where OpenCode's web UI looks for it.
#[utoipa::path(
    get,
    path = "/global/health",
    operation_id = "root.health",
    tag = "global",
    responses((status = 200, description = "The server runs.", body = Health))
)]
pub async fn root() -> Json<Health> {
    healthy()
}

/// Get the server's health, as OpenCode 2 does
///
/// What OpenCode 2's clients poll.
#[utoipa::path(
    get,
    path = "/api/health",
    operation_id = "api.health.get",
    tag = "global",
    responses((status = 200, description = "The server runs.", body = ApiHealth))
)]
pub async fn api() -> Json<ApiHealth> {
    Json(ApiHealth { healthy: true })
}

/// Get the server's health at the root, as OpenCode 2 does
///
/// The same as `api.health.get`, where OpenCode's web UI polls it.
#[utoipa::path(
    get,
    path = "/api/health",
    operation_id = "root.api.health",
    tag = "global",
    responses((status = 200, description = "The server runs.", body = ApiHealth))
)]
pub async fn root_api() -> Json<ApiHealth> {
    api().await
}
