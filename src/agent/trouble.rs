//! What keeps a model from answering for now, as agents tell it: in an error, or in place of an answer. Another model may
//! answer meanwhile; nothing here is about the prompt itself, which would fail elsewhere, too.

use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use super::connection::RpcError;
use super::refusal::{Refusal, words};
use crate::opencode::event::FallbackCause;

/// Nobody is left out for longer, whatever was named.
const PAUSE_MOST: Duration = Duration::from_secs(8 * 24 * 60 * 60);
/// Between a word for waiting and its time stand at most so many characters that belong to neither, as in JSON.
const GAP_CHARS: usize = 6;
/// A text that stands in place of an answer is no longer, in bytes.
const TEXT_BYTES: usize = 2_000;

/// Ways of saying that what was paid for is used up.
const QUOTA: [&str; 16] = [
    "quota",
    "usage limit",
    "usage_limit",
    "hit your limit",
    "credit",
    "billing",
    "payment required",
    "payment_required",
    "insufficient funds",
    "insufficient balance",
    "balance is too low",
    "spending limit",
    "spend limit",
    "out of extra usage",
    "plan limit",
    "daily limit",
];
/// Ways of saying that too much was asked lately.
const RATE: [&str; 8] = [
    "rate limit",
    "rate_limit",
    "ratelimit",
    "rate-limit",
    "rate increased too quickly",
    "too many requests",
    "too_many_requests",
    "resource_exhausted",
];
/// Ways of saying that others ask too much.
const OVERLOADED: [&str; 4] = [
    "overloaded",
    "at capacity",
    "high demand",
    "try again later",
];
/// Ways of saying that the provider cannot be reached, or has failed.
const OUTAGE: [&str; 17] = [
    "service unavailable",
    "bad gateway",
    "gateway timeout",
    "internal server error",
    "econnrefused",
    "econnreset",
    "enotfound",
    "etimedout",
    "connection refused",
    "connection reset",
    "connection error",
    "unable to connect",
    "fetch failed",
    "network error",
    "stream disconnected",
    "retrying (attempt",
    "api_error",
];
/// The statuses of HTTP that say the same, as numbers of their own in a text.
const STATUSES: [(&str, FallbackCause); 9] = [
    ("402", FallbackCause::Quota),
    ("429", FallbackCause::RateLimit),
    ("529", FallbackCause::Overloaded),
    ("500", FallbackCause::Outage),
    ("502", FallbackCause::Outage),
    ("503", FallbackCause::Overloaded),
    ("504", FallbackCause::Outage),
    ("401", FallbackCause::SignedOut),
    ("403", FallbackCause::SignedOut),
];
/// What a time to wait stands behind.
const PAUSES: [&str; 12] = [
    "try again in",
    "retry in",
    "retry after",
    "retry-after",
    "retry_after",
    "retryafter",
    "retrydelay",
    "resets in",
    "reset in",
    "resets_in_seconds",
    "resets_in",
    "available in",
];

/// Why a model does not answer, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What it is.
    pub cause: FallbackCause,
    /// For how long, where that was told.
    pub pause: Option<Duration>,
}

impl Trouble {
    /// What an agent's error to a prompt says; `None` where another model would fare no better.
    pub fn of(error: &RpcError) -> Option<Self> {
        let text = words(error);
        let cause = match Refusal::of(error) {
            Refusal::TooLong(_) | Refusal::SessionGone => return None,
            Refusal::SignedOut => FallbackCause::SignedOut,
            Refusal::Provider | Refusal::Other => cause_in(&text)?,
        };
        Some(Self::told(cause, &text))
    }

    /// What a text says that an agent has made of its provider's error.
    pub fn in_words(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        Some(Self::told(cause_in(&text)?, &text))
    }

    /// What a whole answer says that is no answer: it begins as its agent words such an error.
    pub fn in_answer(text: &str, beginnings: &[&str]) -> Option<Self> {
        let text = text.trim();
        let is_one = text.len() <= TEXT_BYTES && beginnings.iter().any(|b| text.starts_with(b));
        is_one.then(|| Self::in_words(text)).flatten()
    }

    fn told(cause: FallbackCause, text: &str) -> Self {
        let pause = pause_in(text, &Zoned::now()).map(|pause| pause.min(PAUSE_MOST));
        Self { cause, pause }
    }
}

/// What a text in small letters tells of.
fn cause_in(text: &str) -> Option<FallbackCause> {
    let says = |ways: &[&str]| ways.iter().any(|way| text.contains(way));
    match () {
        () if says(&QUOTA) => Some(FallbackCause::Quota),
        () if says(&RATE) => Some(FallbackCause::RateLimit),
        () if says(&OVERLOADED) => Some(FallbackCause::Overloaded),
        () if says(&OUTAGE) => Some(FallbackCause::Outage),
        () => status_in(text),
    }
}

/// What the first status of HTTP in a text tells of.
fn status_in(text: &str) -> Option<FallbackCause> {
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    let told = words.find_map(|word| STATUSES.iter().find(|(status, _)| word == *status));
    told.map(|(_, cause)| *cause)
}

/// How long a text in small letters says to wait.
fn pause_in(text: &str, now: &Zoned) -> Option<Duration> {
    let mut after = PAUSES.iter().flat_map(|word| {
        let places = text.match_indices(word);
        places.filter_map(|(at, word)| duration_at(&text[at + word.len()..]))
    });
    after
        .next()
        .or_else(|| until_moment(text, now))
        .or_else(|| until_clock(text, now))
}

/// The duration at the beginning of a text: `20`, `6.2s`, `1m30s`, `2 hours 5 minutes`, `"20s"`; seconds without a unit.
fn duration_at(text: &str) -> Option<Duration> {
    let in_ms = ["-ms", "_ms", "ms"];
    let in_ms = in_ms.iter().find_map(|unit| text.strip_prefix(unit));
    let (mut rest, is_ms) = (in_ms.unwrap_or(text), in_ms.is_some());
    let gap = rest
        .chars()
        .take(GAP_CHARS)
        .position(|c| c.is_ascii_digit());
    rest = &rest[rest.char_indices().nth(gap?)?.0..];
    let (mut seconds, mut is_first) = (0.0, true);
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, behind) = rest.split_at(digits.unwrap_or(rest.len()));
        let Ok(number) = number.trim_end_matches('.').parse::<f64>() else {
            break;
        };
        let behind = behind.trim_start_matches(' ');
        let letters = behind.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, behind) = behind.split_at(letters.unwrap_or(behind.len()));
        let scale = match unit {
            "ms" | "milliseconds" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
            "d" | "day" | "days" => 86_400.0,
            _ if is_first => {
                seconds = number * if is_ms { 0.001 } else { 1.0 };
                break;
            }
            _ => break,
        };
        seconds += number * scale;
        is_first = false;
        rest = behind.trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
    }
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|d| !d.is_zero())
}

/// Until a moment that is told as seconds since 1970, as `…|1763780400`.
fn until_moment(text: &str, now: &Zoned) -> Option<Duration> {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.find_map(|word| {
        let is_moment = word.len() == 10 && word.bytes().all(|b| b.is_ascii_digit());
        let at = is_moment.then(|| word.parse::<i64>().ok()).flatten()?;
        let left = u64::try_from(at.checked_sub(now.timestamp().as_second())?).ok()?;
        let left = Duration::from_secs(left);
        (!left.is_zero() && left <= PAUSE_MOST).then_some(left)
    })
}

/// Until the clock shows what is told: `resets 3pm`, `reset at 11:30 am (Europe/Berlin)`.
fn until_clock(text: &str, now: &Zoned) -> Option<Duration> {
    let (_, behind) = text.split_once("reset")?;
    let behind = behind.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = behind.find(|c: char| !c.is_ascii_digit() && c != ':')?;
    let (clock, behind) = behind.split_at(end);
    let (hour, minute) = clock.split_once(':').unwrap_or((clock, "0"));
    let (hour, minute) = (hour.parse::<i8>().ok()?, minute.parse::<i8>().ok()?);
    let behind = behind.trim_start();
    let hour = match (behind.get(..2)?, hour) {
        ("am", 12) => 0,
        ("am", 1..12) | ("pm", 12) => hour,
        ("pm", 1..12) => hour + 12,
        _ => return None,
    };
    let zone = behind[2..].trim_start().strip_prefix('(');
    let zone = zone.and_then(|zone| zone.split_once(')'));
    let zone = zone.and_then(|(name, _)| zone_named(name));
    let there = now.with_time_zone(zone.unwrap_or_else(|| now.time_zone().clone()));
    let today = there
        .with()
        .time(Time::new(hour, minute, 0, 0).ok()?)
        .build();
    let today = today.ok()?;
    let at = match today > there {
        true => today,
        false => today.checked_add(1.day()).ok()?,
    };
    between(there.timestamp(), at.timestamp())
}

/// A time zone by its name in small letters.
fn zone_named(name: &str) -> Option<TimeZone> {
    let name = name.trim();
    jiff::tz::db()
        .available()
        .find(|known| known.as_str().eq_ignore_ascii_case(name))
        .and_then(|known| TimeZone::get(known.as_str()).ok())
}

fn between(now: Timestamp, then: Timestamp) -> Option<Duration> {
    Duration::try_from(then.duration_since(now)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(message: &str, data: serde_json::Value) -> Option<FallbackCause> {
        let data = (!data.is_null()).then_some(data);
        let error = RpcError {
            code: -32603,
            message: message.to_owned(),
            data,
        };
        Trouble::of(&error).map(|trouble| trouble.cause)
    }

    #[test]
    fn what_another_model_would_mend_is_told_from_the_rest() {
        use FallbackCause::{Outage, Overloaded, Quota, RateLimit, SignedOut};
        let null = serde_json::Value::Null;
        for (message, expected) in [
            (
                "Rate limit reached for gpt on tokens per min (TPM): Limit 30000. Please try again in 20s.",
                Some(RateLimit),
            ),
            (
                "This request would exceed your organization's rate limit of 50,000 input tokens per minute.",
                Some(RateLimit),
            ),
            ("API Error: 429 Too Many Requests", Some(RateLimit)),
            (
                "Resource has been exhausted (RESOURCE_EXHAUSTED)",
                Some(RateLimit),
            ),
            (
                "You exceeded your current quota, please check your plan and billing details.",
                Some(Quota),
            ),
            ("Claude AI usage limit reached|1763780400", Some(Quota)),
            (
                "Your credit balance is too low to access the Anthropic API.",
                Some(Quota),
            ),
            ("unexpected status 402 Payment Required", Some(Quota)),
            ("Overloaded", Some(Overloaded)),
            ("API Error 529", Some(Overloaded)),
            (
                "The model is overloaded. Please try again later.",
                Some(Overloaded),
            ),
            ("502 Bad Gateway", Some(Outage)),
            ("fetch failed", Some(Outage)),
            ("connect ECONNREFUSED 127.0.0.1:1", Some(Outage)),
            ("Invalid API key · Please run /login", Some(SignedOut)),
            ("Authentication required", Some(SignedOut)),
            // About the prompt, or about nothing that could be told.
            ("prompt is too long: 212,345 tokens > 200,000 maximum", None),
            (
                "400 invalid_request_error: messages.3: all messages must have non-empty content",
                None,
            ),
            ("Tool 4290 is not known", None),
            ("Internal error", None),
            ("Session not found", None),
        ] {
            assert_eq!(of(message, null.clone()), expected, "{message}");
        }
        let data = json!({"statusCode": 429, "details": "no words"});
        assert_eq!(of("Internal error", data), Some(RateLimit));
    }

    #[test]
    fn the_time_to_wait_is_read_as_it_is_told() {
        // A Sunday noon in UTC.
        let now: Zoned = "2026-11-22T12:00:00+00:00[UTC]".parse().expect("a time");
        let moment = now.timestamp().as_second() + 90;
        for (text, expected) in [
            ("please try again in 20s.", Some(20.0)),
            ("please try again in 6.2s", Some(6.2)),
            ("try again in 1m30s", Some(90.0)),
            ("try again in 2 hours 5 minutes", Some(7_500.0)),
            (
                "try again in 1 hour, 2 minutes and 3 seconds.",
                Some(3_723.0),
            ),
            (r#"{"retry-after":"7"}"#, Some(7.0)),
            (r#"{"retry-after-ms": 1500}"#, Some(1.5)),
            (r#"{"retryafterms":2500}"#, Some(2.5)),
            (r#"{"retry_after_ms": 3500}"#, Some(3.5)),
            (r#"{"retrydelay":"34.5s"}"#, Some(34.5)),
            (r#"{"resets_in_seconds":3600}"#, Some(3_600.0)),
            (&format!("usage limit reached|{moment}"), Some(90.0)),
            (
                "you've hit your limit · resets 3pm (utc)",
                Some(3.0 * 3_600.0),
            ),
            ("resets at 11:30 am", Some(23.5 * 3_600.0)),
            ("resets 12am (europe/berlin)", Some(11.0 * 3_600.0)),
            ("the limit resets on monday", None),
            ("try again later", None),
            ("try again in a moment", None),
            ("request 1234567890 was refused", None),
            ("try again in 99999999999999999999999999 days", None),
        ] {
            let expected = expected.map(Duration::from_secs_f64);
            assert_eq!(pause_in(text, &now), expected, "{text}");
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        for text in [
            "reset",
            "reset 9",
            "reset 9:",
            "reset 99:99pm",
            "resets 3p",
            "retry after ",
            "retry in é1s",
            "resets 1:é",
        ] {
            let _any = Trouble::in_words(text);
            let _any = pause_in(text, &Zoned::now());
        }
    }

    #[test]
    fn an_answer_about_limits_is_an_answer() {
        let beginnings = ["Claude AI usage limit reached", "You've hit your limit"];
        let told = Trouble::in_answer("You've hit your limit · resets 3pm (UTC)", &beginnings);
        assert_eq!(told.map(|t| t.cause), Some(FallbackCause::Quota));
        let answer = "A usage limit is what a provider sets; you've hit your limit when …";
        assert_eq!(Trouble::in_answer(answer, &beginnings), None);
    }
}
