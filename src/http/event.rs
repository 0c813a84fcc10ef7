//! `GET /event`.

use axum::extract::State;
use axum::response::Response;

use super::error::Problem;
use super::extract::Directory;
use super::openapi::Event;
use super::responses::Invalid;
use super::sse::{After, View, respond};
use super::state::Shared;

/// Subscribe to events
///
/// Never ends: a client has to read it as a stream. The events of one directory, as `text/event-stream`: each frame's `data` is an `Event`, and its `id`
/// the event's number. `server.connected` comes first, `server.heartbeat` every ten seconds. A client
/// that comes back with `Last-Event-ID` gets what it missed; when that is gone, `server.resync` tells
/// it to read sessions and messages again.
#[utoipa::path(
    get,
    path = "/event",
    operation_id = "event.subscribe",
    tag = "event",
    params(Directory, After),
    responses(
        (status = 200, description = "A stream of events, which ends only when the server stops.",
            body = Event, content_type = "text/event-stream"),
        Invalid,
    )
)]
pub async fn subscribe(
    State(state): State<Shared>,
    Directory(directory): Directory,
    after: After,
) -> Result<Response, Problem> {
    Ok(respond(&state, View::Directory(directory), after))
}
