//! Bodies, ids and headers: what is taken is what was sent, and what is refused names its place.

use axum::http::Request;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::body;
use super::extract::{IfMatch, Params};
use super::message::prompt::PromptInput;
use super::read::{self, any_json};
use super::session::command::CommandInput;
use super::session::shell::ShellInput;
use super::session::update::SessionUpdateInput;
use super::sse::After;
use super::tui::publish::TuiPublish;
use super::v2::cursor::Page;
use super::v2::session::prompt::V2PromptInput;
use crate::event::{Bus, Next, RingLimits};
use crate::fuzz;
use crate::opencode::event::EventPayload;
use crate::opencode::id::ID_MAX_BYTES;
use crate::opencode::prompt::PartInput;
use crate::opencode::{MessageId, PartId, SessionId};
use crate::repair;
use crate::session::{Prompt, Sizes, Update};

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "1.5",
    "99999999999999999999",
    "\"\"",
    "\\ud800",
    "\\u0000",
    "{}",
    "[]",
    "[{}]",
    "\"x\"",
    "\"type\":\"text\",",
    "\"parts\":[],",
    "\"model\":{},",
    "\"title\":5,",
    "\"metadata\":[],",
    "é",
    "\u{feff}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "\"provider_id\":1,",
    "\"time\":{\"archived\":-1},",
    "\"permission\":[{}],",
];

/// Small bounds, so that they are met.
fn sizes() -> Sizes {
    Sizes {
        title_bytes: 40,
        name_bytes: 40,
        text_bytes: 60,
        metadata_bytes: 80,
        metadata_depth: 3,
        prompt_parts: 3,
        permission_rules: 2,
        note_bytes: 40,
        pattern_bytes: 20,
        ..Sizes::default()
    }
}

/// Bytes of bodies of one kind: those of the corpus with changes, and any JSON.
fn bodies(file: &'static str) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => fuzz::mutated(prop::sample::select(fuzz::corpus(file)), PIECES),
        1 => any_json().prop_map(|body| body.to_string().into_bytes()),
        1 => (0..200_usize, "[\\[{\"a:]").prop_map(|(depth, open)| open.repeat(depth).into_bytes()),
    ]
}

/// What the server makes of a body: nothing if it is no JSON, or too much.
fn value_of(bytes: &[u8]) -> Option<Value> {
    let bounds = body::Bodies::new(body::BodyLimits::default());
    bounds.check(bytes).ok()?;
    serde_json::from_slice(&repair::json(bytes)).ok()
}

/// The place that a refusal names exists in the body, or is what is missing there.
fn check_place(body: &Value, refused: &str) -> Result<(), TestCaseError> {
    let Some((_, path)) = refused.rsplit_once("\n  at ") else {
        // Only the body as a whole has no name.
        prop_assert!(!body.is_object(), "{} of {}", refused, body);
        return Ok(());
    };
    let mut at = Some(body);
    let mut keys = serde_json::Deserializer::from_str(path)
        .into_iter::<Vec<Value>>()
        .peekable();
    while let Some(key) = keys.next() {
        let key = key.map_err(|error| TestCaseError::fail(format!("{path}: {error}")))?;
        let found = match &key[0] {
            Value::String(name) => at.and_then(|at| at.get(name.as_str())),
            Value::Number(index) => {
                at.and_then(|at| at.get(usize::try_from(index.as_u64()?).ok()?))
            }
            other => return Err(TestCaseError::fail(format!("{path} has {other}"))),
        };
        let lacks = refused.contains("Missing key") || refused.contains("is missing");
        let missing = keys.peek().is_none() && lacks;
        let there = found.is_some_and(|value| !missing || !value.is_null());
        prop_assert!(there != missing, "{} of {}", refused, body);
        at = found;
    }
    Ok(())
}

fn update_of(body: &Value) -> Result<Update, String> {
    let input: Result<SessionUpdateInput, _> = read::body(Some(body), &sizes());
    let update = input.and_then(|input| input.into_update(IfMatch(None)));
    update.map_err(|e| e.message())
}

fn prompt_of(body: &Value) -> Result<Prompt, String> {
    let input: Result<PromptInput, _> = read::body(Some(body), &sizes());
    let prompt = input.and_then(|input| input.into_prompt(&sizes()));
    prompt.map_err(|e| e.message())
}

#[test]
fn an_update_is_what_was_sent_or_is_refused_by_name() {
    fuzz::check("bodies: PATCH", bodies("updates.txt"), |bytes| {
        let Some(body) = value_of(&bytes) else {
            return Ok(());
        };
        let update = match update_of(&body) {
            Ok(update) => update,
            Err(refused) => return check_place(&body, &refused),
        };
        prop_assert_eq!(update.title.as_deref(), body["title"].as_str());
        prop_assert!(
            update
                .title
                .is_none_or(|title| title.len() <= sizes().title_bytes)
        );
        prop_assert_eq!(update.wish.agent.as_deref(), body["agent"].as_str());
        let sent = body["permission"].as_array().map_or(0, Vec::len);
        prop_assert_eq!(update.permission.len(), sent);
        let archived = body["time"]["archived"].as_f64().map(f64::trunc);
        prop_assert_eq!(update.archived.map(|n| n as f64), archived);
        let metadata = update.metadata.map(|data| data.as_str().to_owned());
        let metadata = metadata.map(|data| serde_json::from_str::<Value>(&data).expect("JSON"));
        prop_assert_eq!(metadata.unwrap_or_default(), body["metadata"].clone());
        let model = update.wish.model.map(|m| (m.provider_id, m.model_id));
        let of = |at: &Value, id: &str| {
            Some((
                at["providerID"].as_str()?.to_owned(),
                at[id].as_str()?.to_owned(),
            ))
        };
        let nested = &body["model"];
        let sent = of(&body, "modelID")
            .or_else(|| of(nested, "modelID"))
            .or_else(|| of(nested, "id"));
        prop_assert_eq!(model, sent);
        Ok(())
    });
}

#[test]
fn a_prompt_is_what_was_sent_or_is_refused_by_name() {
    fuzz::check("bodies: prompt", bodies("prompts.txt"), |bytes| {
        let Some(body) = value_of(&bytes) else {
            return Ok(());
        };
        let prompt = match prompt_of(&body) {
            Ok(prompt) => prompt,
            Err(refused) => return check_place(&body, &refused),
        };
        let sent = body["parts"].as_array().expect("a prompt has parts");
        prop_assert!(!sent.is_empty() && sent.len() <= sizes().prompt_parts);
        for (part, sent) in prompt.parts.iter().zip(sent) {
            let (text, field) = match part {
                PartInput::Text(part) => (&part.text, "text"),
                PartInput::File(part) => (&part.url, "url"),
                PartInput::Agent(part) => (&part.name, "name"),
                PartInput::Subtask(part) => (&part.prompt, "prompt"),
            };
            prop_assert_eq!(Some(text.as_str()), sent[field].as_str(), "{}", body);
        }
        prop_assert_eq!(prompt.no_reply, body["noReply"] == true);
        prop_assert_eq!(prompt.system.as_deref(), body["system"].as_str());
        prop_assert_eq!(
            prompt.message_id.as_ref().map(MessageId::as_str),
            body["messageID"].as_str()
        );
        Ok(())
    });
}

#[test]
fn no_body_makes_a_reader_panic() {
    fuzz::check("bodies: any", any_json(), |body| {
        let (_, _) = (update_of(&body), prompt_of(&body));
        let (body, sizes) = (Some(&body), sizes());
        let _whatever = read::body::<CommandInput>(body, &sizes);
        let _whatever = read::body::<ShellInput>(body, &sizes);
        let _whatever = read::body::<TuiPublish>(body, &sizes);
        let _whatever = read::body::<V2PromptInput>(body, &sizes);
        Ok(())
    });
}

#[test]
fn an_id_is_plain_and_stays_what_it_is() {
    let known = vec![
        "ses_dfddb6b03ffejCKZl5g150k3xK",
        "msg_202251794001T5xuqPOlqRuPz6",
        "prt_1",
        "msg_ffffffffffff",
        "msg-zzz",
    ];
    let known = prop::sample::select(known).prop_map(str::to_owned);
    let texts = fuzz::mutated_text(
        known,
        &[
            "/",
            "..",
            "%2f",
            "\0",
            "é",
            "_",
            "-",
            "ses",
            "msg",
            "prt",
            "\n",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ],
    );
    fuzz::check("ids", texts, |text| {
        let taken = [
            SessionId::parse(&text).map(|id| ("ses", id.as_str().to_owned())),
            MessageId::parse(&text).map(|id| ("msg", id.as_str().to_owned())),
            PartId::parse(&text).map(|id| ("prt", id.as_str().to_owned())),
        ];
        for (prefix, id) in taken.into_iter().flatten() {
            prop_assert_eq!(&id, &text);
            prop_assert!(id.starts_with(prefix) && id.len() <= ID_MAX_BYTES);
            prop_assert!(
                id.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'),
                "{}",
                id
            );
        }
        let read = serde_json::from_value::<MessageId>(json!(text));
        prop_assert_eq!(read.is_ok(), MessageId::parse(&text).is_ok());
        let digits = text.strip_prefix("msg_").and_then(|rest| rest.get(..12));
        let time = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if let (Ok(id), Some(time)) = (MessageId::parse(&text), time)
            && time < 0xffff_ffff_ffff
        {
            prop_assert!(MessageId::after(&id) > id, "{}", id);
        }
        Ok(())
    });
}

fn after_of(header: &[u8], query: &str) -> Option<Result<Option<u64>, String>> {
    let request = Request::builder()
        .uri(format!("/event{query}"))
        .header("last-event-id", header);
    // What hyper would not take either.
    let (parts, ()) = request.body(()).ok()?.into_parts();
    let params = Params::of(&parts).ok()?;
    Some(
        After::of(&parts, &params)
            .map(|after| after.0)
            .map_err(|error| error.message()),
    )
}

#[test]
fn a_stream_goes_on_after_any_event_or_says_why_not() {
    let number = prop_oneof![
        any::<u64>().prop_map(|n| n.to_string()),
        (0..30_u64).prop_map(|n| n.to_string())
    ];
    let text = fuzz::mutated(
        number,
        &[
            "-",
            "+",
            " ",
            "0",
            ".",
            "e3",
            "é",
            "\"",
            "99999999999999999999",
            "\u{661}",
        ],
    );
    let query = prop::sample::select(vec![
        "",
        "?lastEventID=",
        "?lastEventID=7",
        "?lastEventID=%FF",
        "?lastEventID=x",
        "?lastEventID=%00",
        "?a=1&lastEventID=18446744073709551616",
    ]);
    fuzz::check(
        "Last-Event-ID",
        (text, query, 0..6_usize, 1..4_usize),
        |(header, query, published, kept)| {
            let Some(after) = after_of(&header, query) else {
                return Ok(());
            };
            let after = match after {
                Ok(after) => after,
                Err(refused) => {
                    prop_assert!(refused.contains("last-event-id"), "{}", refused);
                    return Ok(());
                }
            };
            let bus = Bus::new(RingLimits {
                events: kept,
                bytes: 1 << 20,
            });
            let start = bus.subscribe(None).cursor();
            // Small numbers stand for events of this run, any others for those of another one.
            let after = after.map(|n| if n < 30 { start + n } else { n });
            for _ in 0..published {
                bus.publish(&"".into(), &[EventPayload::ServerHeartbeat {}]);
            }
            let last = start + published as u64;
            let (mut reader, mut at, mut gap) =
                (bus.subscribe(after), after.unwrap_or(last).min(last), false);
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.build().expect("a runtime").block_on(async {
                while reader.cursor() < last {
                    match reader.next().await {
                        Next::Event(event) => {
                            prop_assert_eq!(event.sequence, at + 1);
                            at = event.sequence;
                        }
                        Next::Gap(resync) => {
                            prop_assert!(!gap && resync.oldest_event_id > at + 1);
                            prop_assert_eq!(resync.last_event_id, at);
                            (at, gap) = (resync.oldest_event_id - 1, true);
                        }
                    }
                }
                prop_assert_eq!(at, last);
                Ok(())
            })
        },
    );
}

#[test]
fn a_page_is_taken_or_refused_by_name() {
    let known = vec![
        "limit=5&order=asc",
        "cursor=eyJpZCI6InNlc18xIiwib3JkZXIiOiJkZXNjIiwiZGlyZWN0aW9uIjoibmV4dCJ9",
        "limit=99999999999999999999",
        "order=up&limit=0",
    ];
    let known = prop::sample::select(known).prop_map(str::to_owned);
    let pieces = &[
        "&", "=", "%", "%ff", "%00", "cursor=", "limit=", "order=", "-1", "e30", "%c3%a9", "+",
        "bnVsbA", "[", "A",
    ];
    fuzz::check("queries", fuzz::mutated_text(known, pieces), |text| {
        let Ok(request) = Request::builder().uri(format!("/session?{text}")).body(()) else {
            return Ok(());
        };
        let bytes: Vec<u8> =
            percent_encoding::percent_decode_str(request.uri().query().unwrap_or_default())
                .collect();
        let (parts, ()) = request.into_parts();
        let params = Params::of(&parts).map_err(|error| error.message());
        prop_assert_eq!(
            params.is_ok(),
            std::str::from_utf8(&bytes).is_ok(),
            "{}: {:?}",
            text,
            params
        );
        let Ok(params) = params else {
            return Ok(());
        };
        if let Err(refused) = Page::of(&params).map_err(|error| error.message()) {
            let named = ["cursor", "limit", "order"]
                .iter()
                .any(|name| refused.contains(name));
            prop_assert!(named, "{}: {}", text, refused);
        }
        Ok(())
    });
}
