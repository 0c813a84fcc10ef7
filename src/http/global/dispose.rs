//! `POST /global/dispose`.

use axum::Json;
use axum::extract::State;

use crate::http::state::Shared;
use crate::opencode::event::EventPayload;

/// The directory that OpenCode puts beside events of the whole server on `/global/event`. It keeps them off the
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
