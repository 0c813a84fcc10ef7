//! What an agent's error means for the native session that it came from. ACP has a code for little of it, and agents
//! use others for the rest, so the words count, too.

use serde_json::Value;

use super::client::AUTH_REQUIRED;
use super::connection::RpcError;

/// ACP's "resource not found".
const RESOURCE_NOT_FOUND: i64 = -32002;
/// What precedes the size of a context, the surest first.
const SIZE_WORDS: [&str; 6] = [">", "maximum", "limit", "at most", "up to", "takes"];
/// … and how near to it, in characters.
const SIZE_NEAR_CHARS: usize = 48;
/// The smallest number that counts as the size of a context, in tokens.
const CONTEXT_MIN_TOKENS: u64 = 500;
/// Longer error texts are looked at in their beginning only, in bytes.
const LOOKED_AT_BYTES: usize = 16 * 1024;

/// Ways of saying that a prompt does not fit into a model's context.
const TOO_LONG: [&str; 14] = [
    "context_length_exceeded",
    "context length",
    "context window",
    "context size",
    "contextwindowexceeded",
    "context overflow",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "input length",
    "too many tokens",
    "token limit",
    "token count",
    "request too large",
];
/// Ways of saying that the user is not signed in.
const SIGNED_OUT: [&str; 12] = [
    "authentication required",
    "authentication_required",
    "auth required",
    "not authenticated",
    "unauthenticated",
    "not signed in",
    "not logged in",
    "please log in",
    "please sign in",
    "please run /login",
    "invalid api key",
    "invalid_api_key",
];
/// Ways of saying that the model's provider does not want to now. No other native session would change that.
const PROVIDER: [&str; 12] = [
    "rate limit",
    "rate_limit",
    "ratelimit",
    "too many requests",
    "429",
    "overloaded",
    "529",
    "503",
    "quota",
    "usage limit",
    "billing",
    "credit",
];
/// With one of these, an error that speaks of a session says that it is gone.
const GONE: [&str; 9] = [
    "not found",
    "unknown",
    "no such",
    "does not exist",
    "doesn't exist",
    "expired",
    "invalid",
    "not exist",
    "no longer",
];

/// What an error to a prompt means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its user is not signed in.
    SignedOut,
    /// The prompt does not fit into the model's context, which holds this many tokens, where the error says so.
    TooLong(Option<u64>),
    /// The model's provider does not want to: too many requests, nothing paid, overloaded.
    Provider,
    /// The agent does not have the native session any more.
    SessionGone,
    /// Something else, or nothing that was recognised.
    Other,
}

impl Refusal {
    /// What an agent's error means.
    pub fn of(error: &RpcError) -> Self {
        if error.code == AUTH_REQUIRED {
            return Self::SignedOut;
        }
        let text = words(error);
        let says = |ways: &[&str]| ways.iter().any(|way| text.contains(way));
        match () {
            () if says(&TOO_LONG) => Self::TooLong(context_in(&text)),
            () if says(&SIGNED_OUT) => Self::SignedOut,
            () if error.code == RESOURCE_NOT_FOUND => Self::SessionGone,
            () if (text.contains("session") || text.contains("thread")) && says(&GONE) => {
                Self::SessionGone
            }
            () if says(&PROVIDER) => Self::Provider,
            () => Self::Other,
        }
    }
}

/// The error's text and what its data adds, in small letters.
pub(super) fn words(error: &RpcError) -> String {
    let data = error.data.as_ref().map(Value::to_string);
    let mut text = format!("{} {}", error.message, data.unwrap_or_default());
    let mut end = text.len().min(LOOKED_AT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.to_lowercase()
}

/// The size of the context that an error names, after one of the words for it.
fn context_in(text: &str) -> Option<u64> {
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, ',' | '_' | '\''))
        .collect();
    let sizes = SIZE_WORDS.iter().flat_map(|word| {
        let places = plain.match_indices(word);
        places.filter_map(|(at, word)| number_near(&plain[at + word.len()..]))
    });
    let mut sizes = sizes.filter(|tokens| *tokens >= CONTEXT_MIN_TOKENS);
    sizes.next()
}

/// The first number in the beginning of a text; no part of a word is one.
fn number_near(text: &str) -> Option<u64> {
    let near: String = text.chars().take(SIZE_NEAR_CHARS).collect();
    let is_cut = text.len() > near.len();
    let mut words = near.split(|c: char| !c.is_ascii_alphanumeric()).peekable();
    while let Some(word) = words.next() {
        // The last word may go on after the beginning.
        if let Ok(number) = word.parse()
            && !(is_cut && words.peek().is_none())
        {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(code: i64, message: &str) -> Refusal {
        Refusal::of(&RpcError {
            code,
            message: message.to_owned(),
            data: None,
        })
    }

    #[test]
    fn a_prompt_that_is_too_long_may_say_what_would_fit() {
        let said = [
            (
                "prompt is too long: 212,345 tokens > 200,000 maximum",
                Some(200_000),
            ),
            (
                "This model's maximum context length is 8192 tokens. However, you requested 9001 tokens",
                Some(8192),
            ),
            ("context_length_exceeded", None),
            ("Input is too long for requested model.", None),
            (
                "the input token count (1048577) exceeds the maximum number of tokens allowed (1048576)",
                Some(1_048_576),
            ),
        ];
        for (message, tokens) in said {
            assert_eq!(of(-32603, message), Refusal::TooLong(tokens), "{message}");
        }
        let summed = "input length and max_tokens exceed context limit: 188240 + 21333 > 200000";
        assert_eq!(of(-32603, summed), Refusal::TooLong(Some(200_000)));
        let named = "97405 tokens are too many tokens, the model takes 8000";
        assert_eq!(of(-32603, named), Refusal::TooLong(Some(8_000)));
        // Other numbers are not taken for a size.
        let numbered = "context length exceeded (request 98765 at 1700000000, id req_011abc)";
        assert_eq!(of(-32603, numbered), Refusal::TooLong(None));
        assert_eq!(
            of(-32603, "400: context length exceeded, 9001 tokens"),
            Refusal::TooLong(None)
        );
    }

    #[test]
    fn a_session_that_is_gone_is_told_from_other_things() {
        let gone = [
            (-32002, "nope"),
            (-32602, "Session not found: abc"),
            (-32603, "unknown session"),
            (-32603, "No such thread"),
            (-32600, "The session has expired"),
        ];
        for (code, message) in gone {
            assert_eq!(of(code, message), Refusal::SessionGone, "{message}");
        }
        assert_eq!(of(-32000, "Session not found"), Refusal::SignedOut);
        assert_eq!(of(-32603, "fetch failed"), Refusal::Other);
        assert_eq!(
            of(-32603, "429 rate limit for this session"),
            Refusal::Provider
        );
    }

    #[test]
    fn somebody_who_is_not_signed_in_is_told_by_code_or_words() {
        for message in [
            "Authentication required",
            "You are not logged in",
            "Invalid API key · Please run /login",
        ] {
            assert_eq!(of(-32603, message), Refusal::SignedOut, "{message}");
        }
        assert_eq!(of(-32603, "the login page timed out"), Refusal::Other);
    }

    #[test]
    fn data_counts_as_well() {
        let error = RpcError {
            code: -32603,
            message: "Internal error".into(),
            data: Some(json!({"details": "Unknown session id"})),
        };
        assert_eq!(Refusal::of(&error), Refusal::SessionGone);
    }
}
