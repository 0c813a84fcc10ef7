//! Cursors: places that clients get as opaque text, JSON in base64.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json;

/// A place as text.
pub(super) fn write(place: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(json::text(place))
}

/// The place that a text encodes, if it is a cursor.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}
