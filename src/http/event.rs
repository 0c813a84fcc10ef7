//! `/event` and `/global/event`.

use axum::response::Response;

use crate::http::handler::*;
use crate::http::sse::{After, View, respond};
use crate::opencode::event::{Event, GlobalEvent};

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

/// Subscribe to the events of all directories
///
/// Never ends: a client has to read it as a stream. As `event.subscribe`, with all events, each wrapped with the directory that it belongs to.
#[utoipa::path(
    get,
    path = "/global/event",
    operation_id = "event.subscribeAll",
    tag = "event",
    params(After),
    responses(
        (status = 200, description = "A stream of events, which ends only when the server stops.",
            body = GlobalEvent, content_type = "text/event-stream"),
        Invalid,
    )
)]
pub async fn event(State(state): State<Shared>, after: After) -> Result<Response, Problem> {
    Ok(respond(&state, View::Global, after))
}
