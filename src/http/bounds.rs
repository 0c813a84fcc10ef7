//! How large a field of a request may be, and what is said of one that is larger.

use serde_json::Value;

use crate::session::{Sizes, fits};

/// The longest text that a command may carry into a terminal UI, in bytes.
const TUI_TEXT_MAX_BYTES: usize = 1024 * 1024;
/// Questions of one request, and what is chosen in one.
pub const ANSWERS_MAX: usize = 100;

/// The kinds of texts in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// A name, an id, or another short text.
    Name,
    /// The title of a session.
    Title,
    /// What a model is told beside a handover.
    Note,
    /// The pattern of a permission rule.
    Pattern,
    /// A path.
    Path,
    /// What clients keep for themselves, such as the icon of a project.
    Metadata,
    /// A text that is said, a command line, arguments.
    Text,
    /// A file as a URL, or a patch.
    Attachment,
    /// A text for a terminal UI.
    TuiText,
}

impl Bound {
    /// The bound that a mark means ([`bounded`](crate::opencode::bounded)).
    pub fn marked(mark: &str) -> Option<Self> {
        Some(match mark {
            "bound:name" => Self::Name,
            "bound:title" => Self::Title,
            "bound:note" => Self::Note,
            "bound:pattern" => Self::Pattern,
            "bound:path" => Self::Path,
            "bound:metadata" => Self::Metadata,
            "bound:text" | "list:answers" => Self::Text,
            "bound:attachment" => Self::Attachment,
            "bound:tui-text" => Self::TuiText,
            _ => return None,
        })
    }

    /// The bytes of such a text, and the setting; empty where none changes it.
    pub fn of(self, sizes: &Sizes) -> (usize, &'static str) {
        match self {
            Self::Name => (sizes.name_bytes, "limits.name_bytes"),
            Self::Title => (sizes.title_bytes, "limits.title_bytes"),
            Self::Note => (sizes.note_bytes, "limits.note_bytes"),
            Self::Pattern => (sizes.pattern_bytes, "limits.pattern_bytes"),
            Self::Path => (sizes.path_bytes, "limits.path_bytes"),
            Self::Metadata => (sizes.metadata_bytes, "limits.metadata_bytes"),
            Self::TuiText if sizes.text_bytes > TUI_TEXT_MAX_BYTES => (TUI_TEXT_MAX_BYTES, ""),
            Self::Text | Self::TuiText => (sizes.text_bytes, "limits.text_bytes"),
            Self::Attachment => (sizes.attachment_bytes, "limits.attachment_bytes"),
        }
    }

    /// What is wrong with a text, if it is too long.
    pub fn exceeded(self, sizes: &Sizes, text: &str) -> Option<String> {
        if self == Self::TuiText && text.len() > sizes.text_bytes {
            return Self::Text.exceeded(sizes, text);
        }
        let (limit, setting) = self.of(sizes);
        (text.len() > limit).then(|| too_large(limit, "bytes", text.len(), setting))
    }
}

/// The kinds of lists in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Parts of a prompt.
    Parts,
    /// Permission rules.
    Rules,
    /// Answers to questions.
    Answers,
}

impl List {
    /// The kind that a mark means.
    pub fn marked(mark: &str) -> Option<Self> {
        match mark {
            "list:parts" => Some(Self::Parts),
            "list:rules" => Some(Self::Rules),
            "list:answers" => Some(Self::Answers),
            _ => None,
        }
    }

    fn of(self, sizes: &Sizes) -> (usize, &'static str) {
        match self {
            Self::Parts => (sizes.prompt_parts, "limits.prompt_parts"),
            Self::Rules => (sizes.permission_rules, "limits.permission_rules"),
            Self::Answers => (ANSWERS_MAX, ""),
        }
    }

    /// What is wrong with a list, if it is too long.
    pub fn exceeded(self, sizes: &Sizes, length: usize, counted: &str) -> Option<String> {
        let (limit, setting) = self.of(sizes);
        (length > limit).then(|| too_large(limit, counted, length, setting))
    }
}

/// What is wrong with free data, if it is too large.
pub fn data_exceeded(sizes: &Sizes, data: &Value) -> Option<String> {
    let depth = depth(data);
    if depth > sizes.metadata_depth {
        let (limit, setting) = (sizes.metadata_depth, "limits.metadata_depth");
        return Some(too_large(limit, "levels", depth, setting));
    }
    let limit = sizes.metadata_bytes;
    (!fits(data, limit)).then(|| {
        format!("Expected at most {limit} bytes of JSON, got more (limits.metadata_bytes)")
    })
}

/// What is said of something that is too large. `setting` is empty where none changes the limit.
pub fn too_large(limit: usize, counted: &str, got: usize, setting: &str) -> String {
    let mut said = format!("Expected at most {limit} {counted}, got {got}");
    if !setting.is_empty() {
        said.push_str(&format!(" ({setting})"));
    }
    said
}

/// Objects and arrays within each other. What a body has was bounded before.
fn depth(data: &Value) -> usize {
    match data {
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_measured_in_bytes() {
        let sizes = Sizes {
            title_bytes: 3,
            ..Sizes::default()
        };
        assert_eq!(Bound::Title.exceeded(&sizes, "aä"), None);
        assert_eq!(
            Bound::Title.exceeded(&sizes, "ääb").as_deref(),
            Some("Expected at most 3 bytes, got 5 (limits.title_bytes)")
        );
    }

    #[test]
    fn data_is_measured_by_its_json_and_by_its_depth() {
        let sizes = Sizes {
            metadata_bytes: 20,
            metadata_depth: 2,
            ..Sizes::default()
        };
        assert_eq!(data_exceeded(&sizes, &json!({"a": [1, 2], "b": 1})), None);
        let deep = data_exceeded(&sizes, &json!({"a": [[]]})).expect("refused");
        assert!(deep.contains("limits.metadata_depth"), "{deep}");
        let large = data_exceeded(&sizes, &json!({"a": "x".repeat(13)})).expect("refused");
        assert!(large.contains("limits.metadata_bytes"), "{large}");
        assert!(fits(&json!({"a": "x".repeat(12)}), 20));
    }
}
