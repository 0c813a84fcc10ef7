//! JSON with comments and commas before a closing bracket, as OpenCode's configuration may have them.

use serde_json::Value;

/// Reads such a text.
///
/// # Errors
/// When it is no JSON even without them.
pub(super) fn read(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(&without_commas(&without_comments(text)))
}

/// The length of the string that begins here, with its quotes.
fn string_len(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn without_comments(text: &str) -> String {
    let mut left = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut plain = String::with_capacity(left.len());
    while let Some(c) = left.chars().next() {
        let len = match c {
            '"' => string_len(left),
            _ if left.starts_with("//") => {
                left = &left[left.find('\n').unwrap_or(left.len())..];
                continue;
            }
            _ if left.starts_with("/*") => {
                left = left.split_once("*/").map_or("", |(_, rest)| rest);
                plain.push(' ');
                continue;
            }
            c => c.len_utf8(),
        };
        plain.push_str(&left[..len]);
        left = &left[len..];
    }
    plain
}

fn without_commas(text: &str) -> String {
    let (mut left, mut plain) = (text, String::with_capacity(text.len()));
    while let Some(c) = left.chars().next() {
        let len = match c {
            '"' => string_len(left),
            c => c.len_utf8(),
        };
        let is_last = c == ',' && left[1..].trim_start().starts_with(['}', ']']);
        if !is_last {
            plain.push_str(&left[..len]);
        }
        left = &left[len..];
    }
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn comments_and_last_commas_are_left_out_and_strings_kept() {
        let text = "\u{feff}{ // one\n \"a\": \"http://x, }\", /* two, \n */ \"b\": [1, 2,\n], \"c\": \"\\\"//\", }";
        let expected = json!({"a": "http://x, }", "b": [1, 2], "c": "\"//"});
        assert_eq!(read(text).expect("reads"), expected);
        for text in ["", "{", "/*", "\"", "//", "{\"a\": 1,, }", "\"\\"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\"\\\\/*,{}\\[\\]a\n é]{0,24}") {
            let _either = read(&text);
        }
    }
}
