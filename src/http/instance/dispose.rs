//! `POST /instance/dispose`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::event::{EventPayload, InstanceDisposed};

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
pub async fn dispose(
    State(state): State<Shared>,
    Directory(directory): Directory,
) -> Result<Json<bool>, Problem> {
    state.sessions.refresh_agents();
    announce(&state, directory);
    Ok(Json(true))
}

/// Tells the clients of a directory to read everything again.
pub(in crate::http) fn announce(state: &Shared, directory: String) {
    let event = EventPayload::InstanceDisposed(InstanceDisposed {
        directory: directory.clone(),
    });
    state.bus.publish(&directory.into(), &[event]);
}
