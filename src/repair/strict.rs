//! What parsers of other languages read although JSON does not have it.

/// Numbers that Python writes and JSON does not have. They become null.
const NO_NUMBERS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Whether a text may have something of that: a look that costs little.
pub(super) fn is_needed(text: &str) -> bool {
    let is_control = |byte: u8| byte < b' ' && !matches!(byte, b'\n' | b'\r');
    text.bytes().any(is_control) || text.contains("NaN") || text.contains("Infinity")
}

/// The same text as JSON has it: control characters in strings are escaped, numbers that are none are null.
pub(super) fn strict(text: &str) -> Vec<u8> {
    let mut written = String::with_capacity(text.len());
    let (mut rest, mut in_string) = (text, false);
    while let Some(first) = rest.chars().next() {
        let mut taken = first.len_utf8();
        let no_number = NO_NUMBERS.iter().find(|word| rest.starts_with(**word));
        match (in_string, first) {
            (true, '\\') => {
                // What is behind it belongs to it.
                taken += rest[taken..].chars().next().map_or(0, char::len_utf8);
                written.push_str(&rest[..taken]);
            }
            (true, control) if control < ' ' => {
                written.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            (false, _) if let Some(word) = no_number => {
                taken = word.len();
                written.push_str("null");
            }
            _ => {
                in_string ^= first == '"';
                written.push(first);
            }
        }
        rest = &rest[taken..];
    }
    written.into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    use super::*;

    #[test]
    fn what_other_languages_read_becomes_json() {
        for (given, expected) in [
            ("[NaN,-Infinity, Infinity]", "[null,null, null]"),
            (r#"{"a":"NaN \" Infinity"}"#, r#"{"a":"NaN \" Infinity"}"#),
            ("[\"a\tb\",\t1]", "[\"a\\u0009b\",\t1]"),
            ("[\"\\\\\t\"]", "[\"\\\\\\u0009\"]"),
        ] {
            assert!(is_needed(given), "{given}");
            assert_eq!(String::from_utf8(strict(given)).expect("text"), expected);
        }
        assert!(!is_needed("{\"a\": \"b\"}\r"));
    }

    proptest! {
        #![proptest_config(Config { rng_seed: RngSeed::Fixed(2), ..Config::default() })]

        #[test]
        fn json_stays_as_it_is(text in any::<String>(), more in any::<Vec<String>>()) {
            let json = serde_json::json!({ text: more }).to_string();
            prop_assert_eq!(strict(&json), json.into_bytes());
        }
    }
}
