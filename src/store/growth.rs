//! What a stored part has grown by since it was written, put together with it.

use serde_json::Value;

/// A part whose text goes on. One that has no text stays as it is: what is wrong with it is for its reader to say.
pub(super) fn grown(part: &str, more: &str) -> String {
    if more.is_empty() {
        return part.to_owned();
    }
    let Ok(mut grown) = serde_json::from_str::<Value>(part) else {
        return part.to_owned();
    };
    match grown.get_mut("text") {
        Some(Value::String(text)) => text.push_str(more),
        _ => return part.to_owned(),
    }
    grown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_goes_on_and_nothing_else_changes() {
        let part = r#"{"type":"text","id":"p","text":"Once \"upon\"","time":{"start":1}}"#;
        let whole = r#"{"type":"text","id":"p","text":"Once \"upon\"\na time","time":{"start":1}}"#;
        assert_eq!(grown(part, "\na time"), whole);
        for other in ["", "p", "{}", r#"{"text":7}"#, r#"["text"]"#, "{\"text\":"] {
            assert_eq!(grown(other, "more"), other);
        }
    }
}
