//! `GET /global/event`.

use axum::extract::State;
use axum::response::Response;

use crate::http::error::Problem;
use crate::http::openapi::GlobalEvent;
use crate::http::responses::Invalid;
use crate::http::sse::{After, View, respond};
use crate::http::state::Shared;

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
