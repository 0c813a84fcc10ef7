//! The messages in a line of an agent, as far as they have to be understood to know whose they are.
//!
//! A reply that is dropped leaves a turn hanging, so more is taken than JSON-RPC allows. Of several fields with the same
//! name the last one counts, as in JavaScript; a line may have several messages, a batch of them, and text around them,
//! which is what becomes of a banner that has no line end.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// How a message begins that is looked for after something else. It cannot be in a JSON string, where quotation
/// marks have a backslash.
const BEGINNING: &[u8] = br#"{"jsonrpc""#;
/// At most this many pieces of a line that are not JSON are skipped, so that a line takes no more than a few passes.
const SKIPPED_MAX: usize = 8;
/// A broken reply has to say within this many bytes whose it is.
const HEAD_MAX_BYTES: usize = 512;
/// The largest number that JavaScript counts to exactly (2^53 - 1).
const NUMBER_MAX: f64 = 9_007_199_254_740_991.0;

/// A message.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) id: Option<Value>,
    pub(super) method: Option<String>,
    pub(super) params: Option<&'a RawValue>,
    pub(super) result: Option<&'a RawValue>,
    pub(super) error: Option<&'a RawValue>,
}

impl Envelope<'_> {
    /// The id as one of ours: a number, which some agents write with a fraction or in quotes.
    pub(super) fn number(&self) -> Option<u64> {
        match self.id.as_ref()? {
            Value::String(text) => text.parse().ok(),
            id => id.as_u64().or_else(|| {
                let whole = |n: &f64| n.fract() == 0.0 && (0.0..=NUMBER_MAX).contains(n);
                // Within these bounds the conversion is exact.
                id.as_f64().filter(whole).map(|n| n as u64)
            }),
        }
    }
}

/// Takes the messages of a line, one after the other.
///
/// # Errors
/// When some of it was no JSON; the rest was taken.
pub(super) fn messages<'a>(
    line: &'a [u8],
    take: &mut impl FnMut(Envelope<'a>),
) -> serde_json::Result<()> {
    // Almost always it is one message.
    let Err(first) = serde_json::from_slice(line).map(&mut *take) else {
        return Ok(());
    };
    let (mut rest, mut skipped) = (line, 0);
    loop {
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<&RawValue>();
        let mut end = 0;
        let broken = loop {
            let Some(value) = values.next() else {
                break false;
            };
            let Ok(value) = value else { break true };
            end = values.byte_offset();
            // Behind what was skipped, what goes on like this is a piece of a message that is broken.
            if skipped == 0 || !is_inside(&rest[end..]) {
                each(value, take);
            }
        };
        if !broken {
            return if skipped == 0 { Ok(()) } else { Err(first) };
        }
        skipped += 1;
        // Not where the broken one begins.
        let begun = end
            + rest[end..]
                .iter()
                .take_while(|b| b.is_ascii_whitespace())
                .count()
            + 1;
        let next = rest.get(begun..).and_then(|behind| {
            let found = behind
                .windows(BEGINNING.len())
                .position(|piece| piece == BEGINNING);
            found.map(|at| &behind[at..])
        });
        match next {
            Some(next) if skipped < SKIPPED_MAX => rest = next,
            _ => return Err(first),
        }
    }
}

/// The id of a reply that cannot be read, so that its caller does not wait: it comes before the content.
pub(super) fn id_of_broken(line: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(&line[..line.len().min(HEAD_MAX_BYTES)]);
    let (head, _) = text
        .split_once(r#""result""#)
        .or_else(|| text.split_once(r#""error""#))?;
    let object = format!("{}}}", head.trim_end().strip_suffix(',')?);
    let read: Envelope<'_> = serde_json::from_str(&object).ok()?;
    read.method.is_none().then(|| read.number())?
}

fn is_inside(behind: &[u8]) -> bool {
    let next = behind.iter().find(|byte| !byte.is_ascii_whitespace());
    next.is_some_and(|byte| b",]}".contains(byte))
}

/// Takes a message, or those of a batch. What is neither is nothing.
fn each<'a>(value: &'a RawValue, take: &mut impl FnMut(Envelope<'a>)) {
    match value.get().as_bytes().first() {
        Some(b'{') => drop(serde_json::from_str(value.get()).map(take)),
        Some(b'[') => {
            let mut json = serde_json::Deserializer::from_str(value.get());
            let _whole = Batch(take).deserialize(&mut json);
        }
        _ => {}
    }
}

/// Takes the messages of a list without making one.
struct Batch<'f, F>(&'f mut F);

impl<'a, F: FnMut(Envelope<'a>)> DeserializeSeed<'a> for Batch<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a, F: FnMut(Envelope<'a>)> Visitor<'a> for Batch<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of messages")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(value) = list.next_element::<&RawValue>()? {
            if value.get().starts_with('{')
                && let Ok(message) = serde_json::from_str(value.get())
            {
                (self.0)(message);
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Id,
    Method,
    Params,
    Result,
    Error,
    #[serde(other)]
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut message = Envelope::default();
        while let Some(field) = map.next_key()? {
            if let Field::Other = field {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value::<&RawValue>()?;
            let given = (value.get() != "null").then_some(value);
            match field {
                // An id that no number can hold is none.
                Field::Id => message.id = given.and_then(|id| serde_json::from_str(id.get()).ok()),
                Field::Method => {
                    message.method = given.and_then(|m| serde_json::from_str(m.get()).ok());
                }
                Field::Params => message.params = given,
                Field::Result => message.result = given,
                Field::Error => message.error = given,
                Field::Other => {}
            }
        }
        Ok(message)
    }
}
