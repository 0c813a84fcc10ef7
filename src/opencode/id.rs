//! OpenCode's ids: a prefix, twelve hex digits of time and counter, fourteen random characters.
//!
//! Message, part, permission, question and event ids ascend with time, session ids descend, so that
//! a client that sorts by id sees messages oldest first and sessions newest first.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::RngExt;
use rand::distr::Alphanumeric;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::now_ms;

/// The longest id that is accepted from a client, in bytes.
pub const ID_MAX_BYTES: usize = 128;
/// Random characters at the end of an id.
const RANDOM_CHARS: usize = 14;
/// Ids that one millisecond has room for; more spill into the next one.
const IDS_PER_MS: u64 = 0x1000;
/// The time part keeps the low 48 bits.
const TIME_MASK: u64 = 0xffff_ffff_ffff;

/// An id that a client sent and that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Expected an id that starts with \"{prefix}\" (letters, digits, _ and -, at most {ID_MAX_BYTES} bytes), got \"{got}\""
)]
pub struct InvalidId {
    /// What the id has to start with.
    pub prefix: &'static str,
    /// The beginning of what came.
    pub got: String,
}

/// The next value of the process-wide id clock: never twice the same, never backwards.
fn tick() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = now_ms().wrapping_mul(IDS_PER_MS) + 1;
    let next = |last: u64| Some(now.max(last + 1));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    // The closure never returns None, so both arms carry the previous value.
    now.max(last.unwrap_or_else(|l| l) + 1)
}

fn random_suffix() -> String {
    let mut rng = rand::rng();
    (0..RANDOM_CHARS)
        .map(|_| char::from(rng.sample(Alphanumeric)))
        .collect()
}

fn render(prefix: &str, time: u64) -> String {
    format!("{prefix}_{:012x}{}", time & TIME_MASK, random_suffix())
}

fn check(prefix: &'static str, text: &str) -> Result<(), InvalidId> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if text.starts_with(prefix)
        && text.len() > prefix.len()
        && text.len() <= ID_MAX_BYTES
        && text.bytes().all(plain)
    {
        return Ok(());
    }
    Err(InvalidId {
        prefix,
        got: text.chars().take(ID_MAX_BYTES).collect(),
    })
}

/// What [`check`] takes, for the OpenAPI document.
fn schema(prefix: &str, doc: &str) -> RefOr<Schema> {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(format!("^{prefix}[0-9A-Za-z_-]+$")))
        .max_length(Some(ID_MAX_BYTES))
        .description(Some(doc.trim()));
    text.into()
}

macro_rules! id {
    (#[doc = $doc:literal] $name:ident, $prefix:literal, |$time:ident| $render:expr) => {
        #[doc = $doc]
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                schema($prefix, $doc)
            }
        }

        impl ToSchema for $name {}

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id, later than every one made before by this process.
            #[expect(
                clippy::new_without_default,
                reason = "a new id is never a default value"
            )]
            pub fn new() -> Self {
                let $time = tick();
                Self(render($prefix, $render))
            }

            /// Takes an id from a client.
            ///
            /// # Errors
            /// When the text does not start with the prefix, is too long, or has characters other
            /// than letters, digits, `_` and `-`.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                check($prefix, text)?;
                Ok(Self(text.to_owned()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A session's id, `ses_…`; later ones sort first.
    SessionId, "ses", |time| !time
);
id!(
    /// A message's id, `msg_…`.
    MessageId, "msg", |time| time
);
id!(
    /// A message part's id, `prt_…`.
    PartId, "prt", |time| time
);
id!(
    /// A permission request's id, `per_…`.
    PermissionId, "per", |time| time
);
id!(
    /// A question's id, `que_…`.
    QuestionId, "que", |time| time
);
id!(
    /// An event's id, `evt_…`.
    EventId, "evt", |time| time
);

impl MessageId {
    /// A new id that sorts after `other`, also when a client with a fast clock made `other`.
    ///
    /// OpenCode's terminal UI sorts messages by id; an answer must come after its question.
    pub fn after(other: &Self) -> Self {
        let fresh = Self::new();
        if fresh > *other {
            return fresh;
        }
        let digits = other.0.get(4..16).unwrap_or_default();
        match u64::from_str_radix(digits, 16) {
            Ok(time) if time < TIME_MASK => Self(render(Self::PREFIX, time + 1)),
            _ => fresh,
        }
    }

    /// A new id that sorts before `other` where that is an id with a time in it, and is later than all others otherwise.
    pub fn before(other: &Self) -> Self {
        let digits = other.0.get(4..16).unwrap_or_default();
        match u64::from_str_radix(digits, 16) {
            Ok(time) if time > 0 => Self(render(Self::PREFIX, time - 1)),
            _ => Self::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_sorts_before_another() {
        for other in [
            "msg_202251794001T5xuqPOlqRuPz6",
            "msg_0000000000010",
            "msg_ffffffffffffzz",
        ] {
            let other = MessageId::parse(other).expect("an id");
            assert!(MessageId::before(&other) < other, "{other}");
        }
        let odd = MessageId::parse("msg_mine").expect("an id");
        assert!(MessageId::parse(MessageId::before(&odd).as_str()).is_ok());
    }

    #[test]
    fn ids_ascend_and_session_ids_descend() {
        let messages: Vec<_> = (0..5000).map(|_| MessageId::new()).collect();
        assert!(messages.is_sorted());
        let sessions: Vec<_> = (0..5000).map(|_| SessionId::new()).collect();
        assert!(sessions.iter().rev().is_sorted());
        assert_eq!(
            messages[0].as_str().len(),
            "msg_202251794001T5xuqPOlqRuPz6".len()
        );
    }

    #[test]
    fn foreign_ids_are_checked() {
        assert!(SessionId::parse("ses_dfddb6b03ffejCKZl5g150k3xK").is_ok());
        for bad in [
            "",
            "ses",
            "msg_1",
            "ses_a b",
            "ses_\u{e9}",
            &format!("ses_{}", "x".repeat(200)),
        ] {
            assert!(SessionId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_sorts_after_a_question_from_the_future() {
        let question = MessageId::parse("msg_f02251794001T5xuqPOlqRuPz6").expect("valid");
        assert!(MessageId::after(&question) > question);
        let odd = MessageId::parse("msg-zzz").expect("valid");
        assert!(MessageId::after(&odd).as_str().starts_with("msg_"));
    }
}
