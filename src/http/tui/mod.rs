//! `/tui`: drives the terminal UIs that are attached to the server.
//!
//! Each command becomes an event on the streams, which an attached terminal UI follows. A client without
//! an event stream can poll [`control`] instead: it hands out the same commands one by one.

pub mod commands;
pub mod control;
pub mod execute_command;
pub mod publish;
pub mod queue;

use axum::Json;
use serde_json::Value;

use super::state::Shared;
use crate::opencode::event::EventPayload;

/// Publishes a command for the terminal UIs of a directory. `true`: it was published; whether a terminal UI is there to
/// follow it is not known.
fn tell(
    state: &Shared,
    directory: String,
    path: &str,
    body: Value,
    event: EventPayload,
) -> Json<bool> {
    state.tui.push(path, body);
    state.sessions.tell(directory, event);
    Json(true)
}
