//! `/tui`: drives the terminal UIs that are attached to the server.
//!
//! Each command becomes an event on the streams, which an attached terminal UI follows. A client without
//! an event stream can poll [`control`] instead: it hands out the same commands one by one.

pub mod append_prompt;
pub mod clear_prompt;
pub mod control;
pub mod execute_command;
pub mod open_help;
pub mod open_models;
pub mod open_sessions;
pub mod open_themes;
pub mod publish;
pub mod queue;
pub mod select_session;
pub mod show_toast;
pub mod submit_prompt;

use axum::Json;
use serde_json::Value;

use super::state::Shared;
use crate::opencode::event::{EventPayload, TuiCommandExecute};

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
    state.bus.publish(&directory.into(), &[event]);
    Json(true)
}

/// Tells the terminal UIs of a directory to execute a command that has a route of its own.
fn execute(state: &Shared, directory: String, path: &str, command: &str) -> Json<bool> {
    let event = EventPayload::TuiCommandExecute(TuiCommandExecute {
        command: command.to_owned(),
    });
    tell(state, directory, path, Value::Null, event)
}
