//! Text that is almost JSON in UTF-8: what a program writes that has cut a string in the middle of a character.
//!
//! JavaScript's strings can hold half of a surrogate pair, and `JSON.stringify` writes it as an escape of its own.
//! Rust's strings cannot; a parser refuses the whole line for it. Here it becomes U+FFFD, as in a browser.
//!
//! Python writes numbers that JSON does not have (`NaN`, `Infinity`), which become null; and who makes JSON without a
//! library forgets to escape control characters.

mod halves;
mod strict;

use std::borrow::Cow;

pub use halves::Halves;

/// Replaces half a character, as an escape.
const REPLACEMENT: &[u8] = br"\ufffd";
/// Bytes of an escape such as `\ud83d`.
const ESCAPE_BYTES: usize = 6;

/// The same text with every half of a character replaced, and what else is almost JSON. Almost always it is the same bytes.
pub fn json(bytes: &[u8]) -> Cow<'_, [u8]> {
    let valid = String::from_utf8_lossy(bytes);
    let valid = match strict::is_needed(&valid) {
        true => Cow::Owned(strict::strict(&valid)),
        false => match valid {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        },
    };
    match first_half(&valid, 0) {
        None => valid,
        Some(at) => Cow::Owned(without_halves(&valid, at)),
    }
}

fn without_halves(bytes: &[u8], first: usize) -> Vec<u8> {
    let mut repaired = Vec::with_capacity(bytes.len());
    let (mut copied, mut next) = (0, Some(first));
    while let Some(at) = next {
        repaired.extend_from_slice(&bytes[copied..at]);
        repaired.extend_from_slice(REPLACEMENT);
        copied = at + ESCAPE_BYTES;
        next = first_half(bytes, copied);
    }
    repaired.extend_from_slice(&bytes[copied..]);
    repaired
}

/// Where the first escape begins, from a place on, that is half of a pair without the other half.
fn first_half(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = bytes.get(at..)?.iter().position(|byte| *byte == b'\\') {
        at += found;
        match unit(bytes, at) {
            Some(0xD800..=0xDBFF) => match unit(bytes, at + ESCAPE_BYTES) {
                Some(0xDC00..=0xDFFF) => at += 2 * ESCAPE_BYTES,
                _ => return Some(at),
            },
            Some(0xDC00..=0xDFFF) => return Some(at),
            Some(_) => at += ESCAPE_BYTES,
            // The character after it belongs to it, also if that is another backslash.
            None => at += 2,
        }
    }
    None
}

/// The number in an escape `\uXXXX` that begins here.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let escape = bytes.get(at..at + ESCAPE_BYTES)?;
    let digits = escape.strip_prefix(br"\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_are_replaced_and_nothing_else() {
        for (given, expected) in [
            (
                r#""plain \n \u00e9 \ud83d\ude00""#,
                r#""plain \n \u00e9 \ud83d\ude00""#,
            ),
            (r#""a\ud83d""#, r#""a\ufffd""#),
            (r#""\ude00b""#, r#""\ufffdb""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\ud83dx\ude00""#, r#""\ufffdx\ufffd""#),
            (r#""\ud8"#, r#""\ud8"#),
            ("\\", "\\"),
        ] {
            let repaired = json(given.as_bytes());
            assert_eq!(String::from_utf8_lossy(&repaired), expected);
        }
        assert_eq!(&*json(b"\"a\xff\""), "\"a\u{fffd}\"".as_bytes());
    }

    proptest! {
        #[test]
        fn what_a_javascript_program_writes_can_be_read(units in prop::collection::vec(any::<u16>(), 0..40), plain in ".*") {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let line = format!("[{}, \"{escaped}\"]", serde_json::to_string(&plain).expect("text"));
            let read: [String; 2] = serde_json::from_slice(&json(line.as_bytes())).expect("JSON");
            prop_assert_eq!(&read[0], &plain);
            prop_assert_eq!(&read[1], &String::from_utf16_lossy(&units));
        }

        #[test]
        fn any_bytes_are_taken(bytes in any::<Vec<u8>>()) {
            let repaired = json(&bytes);
            prop_assert!(std::str::from_utf8(&repaired).is_ok());
        }
    }
}
