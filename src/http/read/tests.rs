//! What a reader takes, and what it says of what it refuses.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::body;
use crate::http::bounds::ANSWERS_MAX;
use crate::opencode::message::OutputFormat;
use crate::opencode::prompt::PartInput;
use crate::opencode::{MessageId, Metadata, bounded};
use crate::session::Sizes;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Yes,
    No,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Inner {
    #[serde(rename = "modelID")]
    model_id: Option<String>,
    #[serde(rename = "providerID")]
    provider_id: Option<String>,
    id: Option<MessageId>,
    word: Option<Word>,
    count: Option<u64>,
    #[serde(deserialize_with = "bounded::from_1")]
    time: Option<u64>,
    flag: Option<bool>,
    #[serde(deserialize_with = "bounded::title")]
    title: Option<String>,
    #[serde(deserialize_with = "bounded::data")]
    data: Option<Metadata>,
    #[serde(deserialize_with = "bounded::data")]
    tree: Option<Map<String, Value>>,
    #[serde(deserialize_with = "bounded::rules")]
    list: Option<Vec<Inner>>,
    #[serde(deserialize_with = "bounded::rules")]
    switches: BTreeMap<String, bool>,
    #[serde(deserialize_with = "bounded::answers")]
    answers: Vec<Vec<String>>,
    parts: Vec<PartInput>,
}

#[derive(Debug, Deserialize)]
struct Outer {
    needed: String,
    inner: Option<Inner>,
}

fn sizes() -> Sizes {
    Sizes {
        name_bytes: 80,
        title_bytes: 5,
        metadata_bytes: 30,
        permission_rules: 2,
        ..Sizes::default()
    }
}

fn read(value: &Value) -> Result<Inner, String> {
    body(Some(value), &sizes()).map_err(|problem| problem.message())
}

#[test]
fn errors_say_what_was_expected_what_came_and_where() {
    let many = vec!["x"; ANSWERS_MAX + 1];
    for (value, expected) in [
        (
            json!({"modelID": 5}),
            "Expected string | null, got 5\n  at [\"modelID\"]",
        ),
        (
            json!({"answers": [["a"], [1]]}),
            "Expected string, got 1\n  at [\"answers\"][1][0]",
        ),
        (
            json!({"answers": [many]}),
            "Expected at most 100 elements, got 101\n  at [\"answers\"][0]",
        ),
        (
            json!({"flag": []}),
            "Expected boolean | null, got array\n  at [\"flag\"]",
        ),
        (
            json!({"word": "so"}),
            "Expected \"yes\" | \"no\", got \"so\"\n  at [\"word\"]",
        ),
        (
            json!({"word": {}}),
            "Expected \"yes\" | \"no\", got object\n  at [\"word\"]",
        ),
        (
            json!({"data": []}),
            "Expected object | null, got array\n  at [\"data\"]",
        ),
        (
            json!({"tree": 1}),
            "Expected object | null, got 1\n  at [\"tree\"]",
        ),
        (
            json!({"tree": {"a": "x".repeat(30)}}),
            "Expected at most 30 bytes of JSON, got more (limits.metadata_bytes)\n  at [\"tree\"]",
        ),
        (
            json!({"list": {}}),
            "Expected array | null, got object\n  at [\"list\"]",
        ),
        (
            json!({"list": [{}, 1]}),
            "Expected object, got 1\n  at [\"list\"][1]",
        ),
        (
            json!({"list": [{}, {}, {}]}),
            "Expected at most 2 elements, got 3 (limits.permission_rules)\n  at [\"list\"]",
        ),
        (
            json!({"list": [{"title": "longer"}]}),
            "Expected at most 5 bytes, got 6 (limits.title_bytes)\n  at [\"list\"][0][\"title\"]",
        ),
        (
            json!({"modelID": "x".repeat(81)}),
            "Expected at most 80 bytes, got 81 (limits.name_bytes)\n  at [\"modelID\"]",
        ),
        (
            json!({"parts": [{"type": "text", "text": "x", "metadata": []}]}),
            "Expected object | null, got array\n  at [\"parts\"][0][\"metadata\"]",
        ),
        (
            json!({"switches": {"a": true, "b": true, "c": true}}),
            "Expected at most 2 fields, got 3 (limits.permission_rules)\n  at [\"switches\"]",
        ),
        (
            json!({"switches": {("x".repeat(81)): true}}),
            "Expected at most 80 bytes, got 81 (limits.name_bytes)\n  at [\"switches\"]",
        ),
        (
            json!({"switches": {"a": null}}),
            "Expected boolean, got null\n  at [\"switches\"][\"a\"]",
        ),
        (
            json!({"parts": [{"Type": "text"}]}),
            "Unknown field \"Type\". Did you mean \"type\"?\n  at [\"parts\"][0][\"Type\"]",
        ),
        (
            json!({"parts": [{}]}),
            "Missing key\n  at [\"parts\"][0][\"type\"]",
        ),
    ] {
        assert_eq!(read(&value).expect_err("refused"), expected);
    }
    let long = read(&json!({"flag": "x".repeat(90)})).expect_err("refused");
    assert!(long.len() < 120, "{long}");
    let id = read(&json!({"id": "x"})).expect_err("refused");
    assert!(
        id.starts_with("Expected an id") && id.ends_with("\n  at [\"id\"]"),
        "{id}"
    );
}

#[test]
fn what_is_fine_is_read_as_it_was_sent() {
    let sent = json!({
        "title": "äö", "word": "no", "count": 7.0, "data": {"a": [1.5]}, "tree": {"b": {}},
        "answers": [["x"], []], "flag": false, "id": "msg_1", "modelID": null, "else": 1,
    });
    let inner = read(&sent).expect("fine");
    assert_eq!(inner.title.as_deref(), Some("äö"));
    assert_eq!((inner.word, inner.count), (Some(Word::No), Some(7)));
    assert_eq!(inner.data.expect("there").as_str(), r#"{"a":[1.5]}"#);
    assert_eq!(Value::from(inner.tree.expect("there")), json!({"b": {}}));
    assert_eq!(inner.answers, [vec!["x"], vec![]]);
    assert_eq!(inner.id, MessageId::parse("msg_1").ok());
    assert_eq!(
        (inner.flag, inner.model_id, inner.list.is_none()),
        (Some(false), None, true)
    );
}

#[test]
fn only_an_object_is_a_body() {
    for (value, got) in [
        (None, "undefined"),
        (Some(json!(null)), "null"),
        (Some(json!([])), "array"),
        (Some(json!("x")), "\"x\""),
    ] {
        let refused = body::<Outer>(value.as_ref(), &sizes()).expect_err("refused");
        assert_eq!(refused.message(), format!("Expected object, got {got}"));
        if value.is_none_or(|value| value.is_null()) {
            assert!(
                body::<Option<Outer>>(None, &sizes())
                    .expect("fine")
                    .is_none()
            );
        }
    }
    let refused = body::<Outer>(Some(&json!({"inner": {}})), &sizes()).expect_err("refused");
    assert_eq!(refused.message(), "Missing key\n  at [\"needed\"]");
    let outer: Outer = body(Some(&json!({"needed": "x"})), &sizes()).expect("fine");
    assert!(outer.needed == "x" && outer.inner.is_none());
}

#[test]
fn a_near_miss_is_refused_and_another_field_is_ignored() {
    for near in ["provider_id", "providerId", "PROVIDER-ID", "modelid"] {
        let refused = read(&json!({ near: "x" })).expect_err("refused");
        assert!(refused.contains("Did you mean"), "{refused}");
        assert!(
            refused.ends_with(&format!("\n  at [\"{near}\"]")),
            "{refused}"
        );
    }
    let fine = read(&json!({"providers": 1, "": 2, "model": 3, "providerID": "4"})).expect("fine");
    assert_eq!(fine.provider_id.as_deref(), Some("4"));
}

#[test]
fn numbers_are_bounded() {
    for (count, read_as) in [
        (json!(0), Some(0)),
        (json!(2.0), Some(2)),
        (json!(null), None),
    ] {
        assert_eq!(
            read(&json!({ "count": count })).expect("fine").count,
            read_as
        );
    }
    assert_eq!(read(&json!({"time": 1.9})).expect("fine").time, Some(1));
    for bad in [json!(-1), json!(1e300), json!("1"), json!(1.9)] {
        let refused = read(&json!({ "count": bad })).expect_err("refused");
        assert!(
            refused.starts_with("Expected a whole number between 0"),
            "{refused}"
        );
    }
    let refused = read(&json!({"time": 0.5})).expect_err("refused");
    assert_eq!(
        refused,
        "Expected a number of at least 1, got 0.5\n  at [\"time\"]"
    );
}

#[test]
fn other_readers_see_no_marks() {
    let part = json!({"type": "text", "text": "x"});
    assert!(serde_json::from_value::<OutputFormat>(json!({"type": "text"})).is_ok());
    let read = read(&json!({ "parts": [part] })).expect("fine");
    assert!(matches!(&read.parts[..], [PartInput::Text(text)] if text.text == "x"));
}

/// Any JSON, with our own field names in it every now and then.
pub(in crate::http) fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let name = prop_oneof![
        Just("model".to_owned()),
        Just("providerID".to_owned()),
        Just("modelID".to_owned()),
        Just("variant".to_owned()),
        Just("time".to_owned()),
        Just("archived".to_owned()),
        Just("permission".to_owned()),
        Just("parts".to_owned()),
        Just("type".to_owned()),
        "\\PC{0,6}",
    ];
    let word = prop_oneof![
        Just("text".to_owned()),
        Just("ask".to_owned()),
        "\\PC{0,80}"
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}
