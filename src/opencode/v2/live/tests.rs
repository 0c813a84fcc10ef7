use serde_json::{Value, json};

use super::*;
use crate::opencode::v2::fixture::{SESSION, answer, call, part, said, user, written};

fn event(kind: &str, properties: Value) -> String {
    json!({ "id": "evt_1", "type": kind, "properties": properties }).to_string()
}

fn updated(message: &Value) -> String {
    event(
        "message.updated",
        json!({ "sessionID": SESSION, "info": message["info"] }),
    )
}

fn part_updated(part: &Value) -> String {
    event(
        "message.part.updated",
        json!({ "sessionID": SESSION, "part": part, "time": 7 }),
    )
}

fn delta(message: &str, part: &str, delta: &str) -> String {
    event(
        "message.part.delta",
        json!({ "sessionID": SESSION, "messageID": message, "partID": part, "field": "text", "delta": delta }),
    )
}

/// What is said about events of which each is published alone.
fn told(translator: &mut Translator, events: &[String]) -> Vec<Said> {
    events
        .iter()
        .flat_map(|event| translator.translate(event, true, 9))
        .collect()
}

fn kinds(said: &[Said]) -> Vec<&str> {
    said.iter()
        .map(|s| s.kind.trim_start_matches("session.next."))
        .collect()
}

#[test]
fn a_prompt_is_told_with_its_parts_and_again_when_its_turn_comes() {
    let mut translator = Translator::default();
    let prompt = user("u", 10, &[]);
    assert!(translator.translate(&updated(&prompt), false, 9).is_empty());
    let said = translator.translate(&part_updated(&said("u", "hi")), true, 9);
    assert_eq!(kinds(&said), ["prompt.admitted"]);
    assert_eq!(said[0].data["prompt"], json!({ "text": "hi" }));
    let begun = told(
        &mut translator,
        &[updated(&answer("a", "u", 11, None, &[]))],
    );
    assert_eq!(kinds(&begun), ["prompted", "step.started"]);
    assert_eq!(begun[0].data["messageID"], "msg_u");
    // The same prompt told again, as for its summary, is no new one.
    assert!(told(&mut translator, &[updated(&prompt)]).is_empty());
}

#[test]
fn an_answer_is_told_step_by_step() {
    let mut translator = Translator::default();
    let thought = |end: Value| {
        part(
            "a",
            "r",
            json!({ "type": "reasoning", "text": "hm", "time": end }),
        )
    };
    let running = json!({ "status": "running", "input": { "a": 1 }, "time": { "start": 1 } });
    let done = json!({
        "status": "completed", "input": { "a": 1 }, "output": "x", "title": "", "metadata": {},
        "time": { "start": 1, "end": 2 },
    });
    let events = [
        updated(&answer("a", "u", 11, None, &[])),
        part_updated(&thought(json!({ "start": 1 }))),
        delta("msg_a", "prt_r", "hm"),
        part_updated(&thought(json!({ "start": 1, "end": 2 }))),
        part_updated(&written("a", "t", "", None)),
        delta("msg_a", "prt_t", "he"),
        delta("msg_a", "prt_t", "llo"),
        part_updated(&written("a", "t", "hello", Some(3))),
        part_updated(&call(
            "a",
            "c",
            json!({ "status": "pending", "input": {}, "raw": "" }),
        )),
        part_updated(&call("a", "c", running.clone())),
        part_updated(&call("a", "c", running)),
        part_updated(&call("a", "c", done)),
        updated(&answer("a", "u", 11, Some(30), &[])),
    ];
    let said = told(&mut translator, &events);
    let expected = [
        "step.started",
        "reasoning.started",
        "reasoning.delta",
        "reasoning.ended",
        "text.started",
        "text.delta",
        "text.delta",
        "text.ended",
        "tool.input.started",
        "tool.input.ended",
        "tool.called",
        "tool.progress",
        "tool.success",
        "step.ended",
    ];
    assert_eq!(kinds(&said), expected);
    assert_eq!(said[7].data["text"], "hello");
    assert_eq!(said[10].data["input"], json!({ "a": 1 }));
    assert!(
        translator.calls.is_empty()
            && translator.answers.is_empty()
            && translator.growing.is_empty()
    );
}

#[test]
fn a_call_that_is_told_late_is_told_whole() {
    let mut translator = Translator::default();
    told(
        &mut translator,
        &[updated(&answer("a", "u", 11, None, &[]))],
    );
    let failed =
        json!({ "status": "error", "input": {}, "error": "no", "time": { "start": 1, "end": 2 } });
    let said = told(&mut translator, &[part_updated(&call("a", "c", failed))]);
    assert_eq!(
        kinds(&said),
        [
            "tool.input.started",
            "tool.input.ended",
            "tool.called",
            "tool.failed"
        ]
    );
}

#[test]
fn a_failed_answer_and_an_unknown_part_are_told_as_what_they_are() {
    let mut translator = Translator::default();
    let mut failed = answer("a", "u", 11, Some(12), &[]);
    failed["info"]["error"] = json!({ "name": "UnknownError", "data": { "message": "no" } });
    let said = told(&mut translator, &[updated(&failed)]);
    assert_eq!(kinds(&said), ["step.started", "step.failed"]);
    // A stream that begins in the middle of an answer knows nothing of it; an edited old text is no news.
    assert!(told(&mut translator, &[delta("msg_b", "prt_x", "y")]).is_empty());
    assert!(
        told(
            &mut translator,
            &[part_updated(&written("b", "x", "y", Some(3)))]
        )
        .is_empty()
    );
}

#[test]
fn permissions_and_questions_have_the_second_versions_words() {
    let mut translator = Translator::default();
    let asked = event(
        "permission.asked",
        json!({
            "id": "per_1", "sessionID": SESSION, "permission": "bash", "patterns": ["ls"], "metadata": {}, "always": ["*"],
            "tool": { "messageID": "msg_a", "callID": "c" },
        }),
    );
    let said = told(&mut translator, &[asked]);
    assert_eq!(said[0].kind, "permission.v2.asked");
    let expected = json!({
        "id": "per_1", "sessionID": SESSION, "action": "bash", "resources": ["ls"], "save": ["*"], "metadata": {},
        "source": { "type": "tool", "messageID": "msg_a", "callID": "c" },
    });
    assert_eq!(said[0].data, expected);
}

#[test]
fn anything_at_all_can_be_told() {
    let mut translator = Translator::default();
    for json in [
        "",
        "5",
        "{}",
        "{\"type\":\"message.updated\",\"properties\":{}}",
        "{\"type\":\"x\",\"properties\":null}",
    ] {
        assert!(translator.translate(json, true, 1).is_empty(), "{json}");
    }
}

#[test]
fn a_summary_is_told_as_a_compaction() {
    let mut translator = Translator::default();
    let mut summary = answer("a", "u", 11, None, &[]);
    summary["info"]["summary"] = json!(true);
    let events = [
        updated(&summary),
        part_updated(&written("a", "t", "", None)),
        part_updated(&written("a", "t", "in short", Some(3))),
    ];
    let said = told(&mut translator, &events);
    assert_eq!(kinds(&said), ["compaction.started", "compaction.ended"]);
    assert_eq!(said[1].data["text"], "in short");
}
