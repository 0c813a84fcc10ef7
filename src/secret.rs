//! Values that must not be quoted: what variables with telling names hold, and Baton's own password.
//!
//! Agents print their environment, or the key that a provider refused, when something fails. What Baton quotes of
//! that in an error, an event or its log goes through [`mask`]. The conversation itself is kept as it was said.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use parking_lot::RwLock;
use serde_json::Value;

/// Stands where a value was.
pub const MASK: &str = "[masked]";
/// A shorter value is not masked, in bytes: it would be found in the middle of ordinary words.
pub const VALUE_MIN_BYTES: usize = 8;
/// How deep in JSON strings a value is found: an object that is logged as text, with quotation marks, in a log of JSON has
/// it in the third.
const QUOTED_TIMES: usize = 4;
/// How names of variables end whose values are secret.
const SECRET_ENDINGS: [&str; 8] = [
    "_KEY",
    "_APIKEY",
    "_TOKEN",
    "_SECRET",
    "_PASS",
    "_PASSWD",
    "_PASSPHRASE",
    "_CREDENTIALS",
];
/// Words that mark a name as a secret's, anywhere in it.
const SECRET_WORDS: [&str; 2] = ["PASSWORD", "SECRET_"];

/// The values that are known, and what finds them.
#[derive(Debug)]
struct Known {
    values: Vec<String>,
    finder: Option<Arc<AhoCorasick>>,
}

static KNOWN: RwLock<Known> = RwLock::new(Known {
    values: Vec::new(),
    finder: None,
});

/// Whether a variable of this name holds a secret.
pub fn is_secret_name(name: &OsStr) -> bool {
    let name = format!("_{}", name.to_string_lossy().to_ascii_uppercase());
    SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending))
        || SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Masks the values of telling variables of this process from now on.
pub fn learn_environment() {
    let telling = std::env::vars_os().filter(|(name, _)| is_secret_name(name));
    learn(telling.filter_map(|(_, value)| value.into_string().ok()));
}

/// Masks these values from now on; those that are too short stay visible.
pub fn learn(values: impl IntoIterator<Item = String>) {
    let spellings = values.into_iter().flat_map(|value| spellings(&value));
    let long_enough = spellings.filter(|value| value.len() >= VALUE_MIN_BYTES);
    let mut known = KNOWN.write();
    let before = known.values.len();
    known.values.extend(long_enough);
    known.values.sort_unstable();
    known.values.dedup();
    if known.values.len() != before {
        known.finder = finder(&known.values);
    }
}

/// The spellings of a value in a text: as it is, without white space around it, and as a JSON string writes it, also one
/// within another.
fn spellings(value: &str) -> Vec<String> {
    let mut spellings = vec![value.to_owned(), value.trim().to_owned()];
    for _ in 0..QUOTED_TIMES {
        let inner = spellings.last().map_or("", String::as_str);
        let json = Value::from(inner).to_string();
        // Exactly one on each side: those inside are the value's own.
        let json = json.strip_prefix('"').and_then(|j| j.strip_suffix('"'));
        spellings.push(json.unwrap_or_default().to_owned());
    }
    spellings
}

fn finder(values: &[String]) -> Option<Arc<AhoCorasick>> {
    let built = AhoCorasick::new(values);
    // It fails only beyond what an environment can hold.
    built.ok().map(Arc::new)
}

/// A text with every known secret in it replaced by [`MASK`].
pub fn mask(text: &str) -> Cow<'_, str> {
    let finder = {
        let known = KNOWN.read();
        known.finder.clone()
    };
    match finder {
        Some(finder) => masked_by(&finder, text),
        None => Cow::Borrowed(text),
    }
}

fn masked_by<'a>(finder: &AhoCorasick, text: &'a str) -> Cow<'a, str> {
    let places = places(finder, text);
    if places.is_empty() {
        return Cow::Borrowed(text);
    }
    let (mut masked, mut copied) = (String::with_capacity(text.len()), 0);
    for place in places {
        masked.push_str(&text[copied..place.start]);
        masked.push_str(MASK);
        copied = place.end;
    }
    masked.push_str(&text[copied..]);
    Cow::Owned(masked)
}

/// Where secrets are. Overlapping ones are one place: otherwise the rest of the second would stay readable.
fn places(finder: &AhoCorasick, text: &str) -> Vec<Range<usize>> {
    let mut places: Vec<Range<usize>> = Vec::new();
    // They come in the order of their ends.
    for found in finder.find_overlapping_iter(text) {
        let mut place = found.range();
        while let Some(last) = places.pop_if(|last| last.end > place.start) {
            place.start = place.start.min(last.start);
        }
        places.push(place);
    }
    places
}

/// A JSON value with its strings masked; also the keys, which an agent chooses as freely.
pub fn mask_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::from(mask(&text)),
        Value::Array(items) => items.into_iter().map(mask_json).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (mask(&key).into_owned(), mask_json(value)))
            .collect(),
        plain => plain,
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz;

    /// Of each place of a value not one character is left, and of the rest each.
    #[test]
    fn no_piece_of_a_value_is_left_and_nothing_else_is_gone() {
        let value = "[ab\"\\\\é]{8,12}";
        let piece = prop_oneof!["[ab\"\\\\é]{0,9}", "\\PC{0,4}"];
        let values = (
            prop::collection::vec(value, 1..4),
            prop::collection::vec((piece, any::<prop::sample::Index>()), 0..6),
        );
        fuzz::check("secrets", values, |(values, pieces)| {
            let text: String = pieces
                .iter()
                .map(|(piece, at)| format!("{piece}{}", at.get(&values)))
                .collect();
            let mut hidden = vec![false; text.len()];
            for value in &values {
                let starts = (0..text.len()).filter(|at| text.is_char_boundary(*at));
                for at in starts.filter(|at| text[*at..].starts_with(value.as_str())) {
                    hidden[at..at + value.len()].fill(true);
                }
            }
            let left: String = text
                .char_indices()
                .filter(|(at, _)| !hidden[*at])
                .map(|(_, c)| c)
                .collect();
            let masked = masked_by(&finder(&values).expect("built"), &text);
            prop_assert_eq!(masked.replace(MASK, ""), left, "{:?} in {:?}", values, text);
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(values: &[&str], text: &str) -> String {
        let values: Vec<_> = values.iter().map(|&v| v.to_owned()).collect();
        let finder = finder(&values).expect("built");
        masked_by(&finder, text).into_owned()
    }

    #[test]
    fn telling_names_are_told_from_others() {
        for telling in [
            "ANTHROPIC_API_KEY",
            "key_of_mine_KEY",
            "GITHUB_TOKEN",
            "TOKEN",
            "client_secret",
            "PGPASSWORD",
            "BATON_PASSWORD",
            "DB_PASSWORD_FILE",
            "AWS_SECRET_ACCESS_KEY",
            "MYAPP_APIKEY",
        ] {
            assert!(is_secret_name(OsStr::new(telling)), "{telling}");
        }
        for other in ["PATH", "KEYBOARD", "TOKENIZER", "HOME", "SSH_AUTH_SOCK", ""] {
            assert!(!is_secret_name(OsStr::new(other)), "{other}");
        }
    }

    #[test]
    fn the_longest_of_several_values_is_masked_wherever_it_stands() {
        let values = ["sk-12345", "sk-12345-and-more", "other-secret"];
        assert_eq!(
            masked(
                &values,
                "a sk-12345-and-more, sk-12345 and [other-secret]other-secret"
            ),
            "a [masked], [masked] and [[masked]][masked]"
        );
        assert_eq!(masked(&values, "sk-1234"), "sk-1234");
        // Two that overlap are one.
        assert_eq!(
            masked(&["abcdefgh", "efghijkl"], "-abcdefghijkl-"),
            "-[masked]-"
        );
    }

    #[test]
    fn what_was_learned_is_masked_and_what_is_short_is_not() {
        learn(["short".to_owned(), " quoted\"unit-test-value \n".to_owned()]);
        assert_eq!(mask("a short quoted\"unit-test-value"), "a short [masked]");
        let value =
            serde_json::json!({ "quoted\"unit-test-value": ["quoted\"unit-test-value", 1] });
        assert_eq!(mask(&value.to_string()), r#"{"[masked]":["[masked]",1]}"#);
        assert_eq!(
            mask_json(value),
            serde_json::json!({ "[masked]": ["[masked]", 1] })
        );
        let mut text = "\"quoted\"unit-test-value".to_owned();
        for depth in 0..QUOTED_TIMES {
            text = Value::from(text).to_string();
            assert!(!mask(&text).contains("unit-test"), "{depth}: {text}");
        }
    }
}
