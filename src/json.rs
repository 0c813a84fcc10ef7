//! JSON of Baton's own types.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Our types are trees of strings, numbers and maps with strings as keys, which always serialise. One that does not is
/// a mistake in Baton: an empty body in its place would be stored.
const ALWAYS: &str = "a type whose JSON can be written";

/// A value as JSON text.
#[expect(clippy::expect_used, reason = "see ALWAYS")]
pub fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect(ALWAYS)
}

/// A value as JSON that is not written again.
#[expect(clippy::expect_used, reason = "see ALWAYS")]
pub fn raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect(ALWAYS)
}

/// A value as a JSON tree.
#[expect(clippy::expect_used, reason = "see ALWAYS")]
pub fn tree(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect(ALWAYS)
}
