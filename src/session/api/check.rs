//! Whether a stored row can be read, for the checks of the store.

use serde::de::{DeserializeOwned, IgnoredAny};

use crate::opencode::history::{GivenHandover, ModelSwitch};
use crate::opencode::message::{Message, Part};
use crate::session::cell::SessionState;

/// Reads the body of a row of a table of the store, as it will be read when it is needed.
///
/// # Errors
/// What is wrong with it.
pub fn check_body(table: &str, body: &str) -> Result<(), String> {
    match table {
        "session_body" => read::<SessionState>(body),
        "message" => read::<Message>(body),
        "part" => read::<Part>(body),
        // A piece of a text.
        "growth" => Ok(()),
        "switch" => read::<ModelSwitch>(body),
        "handover" => read::<GivenHandover>(body),
        // These are made anew when they cannot be read; it is enough that they are JSON.
        _ => read::<IgnoredAny>(body),
    }
}

fn read<T: DeserializeOwned>(body: &str) -> Result<(), String> {
    let read = serde_json::from_str::<T>(body);
    read.map(drop).map_err(|error| error.to_string())
}
