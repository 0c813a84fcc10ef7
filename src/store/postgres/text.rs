//! Texts as PostgreSQL takes them: it refuses U+0000 in `text`, which SQLite and JSON do not.

use std::borrow::Cow;

use crate::store::StoreError;

/// Begins the two characters that stand for U+0000 and for itself.
const ESCAPE: char = '\u{1}';

/// A text as a column of `text` has it. Different texts stay different, and one that begins with another still does.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        match c {
            '\0' => escaped.push_str("\u{1}0"),
            ESCAPE => escaped.push_str("\u{1}1"),
            plain => escaped.push(plain),
        }
    }
    Cow::Owned(escaped)
}

/// The text that was escaped.
pub(super) fn unescaped(text: String) -> String {
    if !text.contains(ESCAPE) {
        return text;
    }
    let mut chars = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        if c != ESCAPE {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('0') => plain.push('\0'),
            _ => plain.push(ESCAPE),
        }
    }
    plain
}

/// A body as it was stored.
///
/// # Errors
/// When somebody else has written what is no text.
pub(super) fn body(bytes: Vec<u8>) -> Result<String, StoreError> {
    String::from_utf8(bytes)
        .map_err(|_| StoreError::Database("a body in the database is not UTF-8".to_owned()))
}

/// PostgreSQL's integers are signed; nothing that is stored is larger than the largest of them.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// What was stored as [`integer`].
pub(super) fn natural(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_escaped_comes_back_and_keeps_its_beginning(text in "[\u{0}-\u{2}01a]{0,8}", other in "[\u{0}-\u{2}01a]{0,4}") {
            let stored = escaped(&text);
            prop_assert!(!stored.contains('\0'));
            prop_assert_eq!(unescaped(stored.to_string()), text.clone());
            prop_assert_eq!(stored.starts_with(&*escaped(&other)), text.starts_with(&other));
        }
    }
}
