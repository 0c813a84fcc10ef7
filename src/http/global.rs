//! The server itself: its health, and that clients are to read everything again.

use crate::http::handler::*;
use crate::opencode::event::{EventPayload, InstanceDisposed};

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
    Json(Health {
        healthy: true,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
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
    health().await
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

/// The directory that OpenCode puts on events of the whole server on `/global/event`. It keeps them off the
/// streams of single directories, as OpenCode does.
const GLOBAL: &str = "global";

/// Drop everything that is cached
///
/// The same as `instance.dispose` for all directories; clients are told with the event `global.disposed`.
#[utoipa::path(
    post,
    path = "/global/dispose",
    operation_id = "global.dispose",
    tag = "global",
    responses((status = 200, description = "`true`: the processes were told to end.", body = bool))
)]
pub async fn dispose(State(state): State<Shared>) -> Json<bool> {
    state.sessions.refresh_agents();
    announce(&state);
    Json(true)
}

/// Tells all clients to read everything again.
pub(in crate::http) fn announce(state: &Shared) {
    state
        .bus
        .publish(&GLOBAL.into(), &[EventPayload::GlobalDisposed {}]);
}

/// Drop what is cached for a directory
///
/// Ends the agent processes that are not at work and probes the backends anew in the background, so that agents see
/// a changed configuration or sign-in. Sessions lose nothing: their next prompt starts the agent again. Processes
/// are shared between directories, so the other directories' idle ones end, too. Clients are told with the event
/// `server.instance.disposed` and read everything again.
#[utoipa::path(
    post,
    path = "/instance/dispose",
    operation_id = "instance.dispose",
    tag = "global",
    params(Directory),
    responses(
        (status = 200, description = "`true`: the processes were told to end.", body = bool),
        Invalid,
    )
)]
pub async fn dispose_instance(
    State(state): State<Shared>,
    Directory(directory): Directory,
) -> Result<Json<bool>, Problem> {
    state.sessions.refresh_agents();
    announce_instance(&state, directory);
    Ok(Json(true))
}

/// Tells the clients of a directory to read everything again.
pub(in crate::http) fn announce_instance(state: &Shared, directory: String) {
    let event = EventPayload::InstanceDisposed(InstanceDisposed {
        directory: directory.clone(),
    });
    state.bus.publish(&directory.into(), &[event]);
}
