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

/// The tag of an object that begins with it, as Baton writes those of its types that have one: `{"KEY":"TAG",…`.
pub fn leading_tag<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let text = text.strip_prefix("{\"")?.strip_prefix(key)?;
    let (tag, _rest) = text.strip_prefix("\":\"")?.split_once('"')?;
    Some(tag)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_where_it_leads() {
        assert_eq!(
            leading_tag(r#"{"type":"text","text":"{"}"#, "type"),
            Some("text")
        );
        for other in [
            "",
            "{}",
            r#"{ "type":"text"}"#,
            r#"{"type":1}"#,
            r#"{"a":1,"type":"text"}"#,
            r#"{"type":"te"#,
        ] {
            assert_eq!(leading_tag(other, "type"), None, "{other}");
        }
    }
}
