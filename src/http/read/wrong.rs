//! What is wrong with a body: OpenCode's words, and the place.

use std::fmt;

use serde::de::Error;
use serde_json::{Map, Value};

/// The beginning of a wrong string that is quoted in an error, in characters.
const QUOTE_CHARS: usize = 60;

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Wrong {
    message: String,
    /// Like `["parts"][0]`; empty for the body itself.
    path: String,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            path: String::new(),
        }
    }

    pub(super) fn in_field(self, name: &str) -> Self {
        self.within(&Value::from(name))
    }

    pub(super) fn within(mut self, step: &dyn fmt::Display) -> Self {
        self.path = format!("[{step}]{}", self.path);
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.path.is_empty() {
            true => Ok(()),
            false => write!(f, "\n  at {}", self.path),
        }
    }
}

impl std::error::Error for Wrong {}

impl Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new("Missing key").in_field(name)
    }

    fn unknown_variant(got: &str, known: &'static [&'static str]) -> Self {
        Self::new(format!(
            "Expected {}, got {}",
            words(known),
            described(Some(&Value::from(got)))
        ))
    }
}

pub(super) fn words(known: &[&str]) -> String {
    let quoted: Vec<_> = known.iter().map(|word| format!("{word:?}")).collect();
    quoted.join(" | ")
}

/// What a value is, in an error.
pub(super) fn described(value: Option<&Value>) -> String {
    match value {
        None => "undefined".to_owned(),
        Some(Value::Array(_)) => "array".to_owned(),
        Some(Value::Object(_)) => "object".to_owned(),
        Some(Value::String(text)) if text.chars().count() > QUOTE_CHARS => {
            let start: String = text.chars().take(QUOTE_CHARS).collect();
            format!("{} …", Value::from(start))
        }
        Some(plain) => plain.to_string(),
    }
}

pub(super) fn refuse_near_misses(map: &Map<String, Value>, known: &[&str]) -> Result<(), Wrong> {
    let bare = |name: &str| -> String {
        let letters = name.chars().filter(|c| !matches!(c, '_' | '-'));
        letters.flat_map(char::to_lowercase).collect()
    };
    for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
        let name_bare = bare(name);
        if let Some(meant) = known.iter().find(|known| bare(known) == name_bare) {
            let message = format!("Unknown field \"{name}\". Did you mean \"{meant}\"?");
            return Err(Wrong::new(message).in_field(name));
        }
    }
    Ok(())
}
