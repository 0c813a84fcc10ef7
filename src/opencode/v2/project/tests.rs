use serde_json::{Value, json};

use super::*;
use crate::opencode::v2::fixture::{
    answer, call, part, read, said, session, switch, user, written,
};

fn made(message: Value) -> Value {
    serde_json::to_value(super::message(&read(message))).expect("JSON")
}

#[test]
fn a_prompt_has_its_text_its_files_and_its_agents() {
    let source = json!({ "type": "file", "path": "a.rs", "text": { "start": 1, "end": 5, "value": "@a.rs" } });
    let parts = [
        said("u", "one"),
        part(
            "u",
            "s",
            json!({ "type": "text", "text": "added", "synthetic": true }),
        ),
        part(
            "u",
            "i",
            json!({ "type": "text", "text": "a notice", "ignored": true }),
        ),
        part(
            "u",
            "f",
            json!({ "type": "file", "mime": "text/plain", "url": "file:///a.rs", "filename": "a.rs", "source": source }),
        ),
        part(
            "u",
            "a",
            json!({ "type": "agent", "name": "plan", "source": { "start": 0, "end": 5, "value": "@plan" } }),
        ),
        part("u", "t", json!({ "type": "text", "text": "two" })),
    ];
    let expected = json!({
        "type": "user", "id": "msg_u", "time": { "created": 10 }, "text": "one\ntwo",
        "files": [{ "uri": "file:///a.rs", "mime": "text/plain", "name": "a.rs",
                    "source": { "start": 1, "end": 5, "text": "@a.rs" } }],
        "agents": [{ "name": "plan", "source": { "start": 0, "end": 5, "text": "@plan" } }],
    });
    assert_eq!(made(user("u", 10, &parts)), expected);
}

#[test]
fn what_the_server_made_is_synthetic_and_a_notice_is_nothing() {
    let made_by = |flag: &str| {
        let text = part(
            "u",
            "s",
            json!({ "type": "text", "text": "added", flag: true }),
        );
        made(user("u", 10, &[text]))
    };
    let expected = json!({
        "type": "synthetic", "id": "msg_u", "time": { "created": 10 }, "sessionID": "ses_test", "text": "added",
    });
    assert_eq!(made_by("synthetic"), expected);
    assert_eq!(made_by("ignored"), Value::Null);
}

#[test]
fn an_answer_has_what_was_said_and_done_in_order() {
    let parts = [
        part(
            "a",
            "r",
            json!({ "type": "reasoning", "text": "hm", "time": { "start": 11, "end": 12 } }),
        ),
        written("a", "t", "hello", Some(21)),
        call(
            "a",
            "c",
            json!({
                "status": "completed", "input": { "command": "ls" }, "output": "a b", "title": "ls",
                "metadata": { "exit": 0 }, "time": { "start": 22, "end": 23 },
            }),
        ),
        part(
            "a",
            "p",
            json!({ "type": "patch", "hash": "h", "files": ["b", "a", "b"] }),
        ),
    ];
    let expected = json!({
        "type": "assistant", "id": "msg_a", "time": { "created": 11, "completed": 30 }, "agent": "build",
        "model": { "id": "m", "providerID": "p", "variant": "high" },
        "content": [
            { "type": "reasoning", "id": "prt_r", "text": "hm", "time": { "created": 11, "completed": 12 } },
            { "type": "text", "id": "prt_t", "text": "hello" },
            { "type": "tool", "id": "call_c", "name": "bash", "provider": { "executed": false },
              "state": { "status": "completed", "input": { "command": "ls" }, "structured": { "exit": 0 },
                         "content": [{ "type": "text", "text": "a b" }] },
              "time": { "created": 22, "ran": 22, "completed": 23 } },
        ],
        "snapshot": { "start": "h", "files": ["a", "b"] },
        "finish": "stop", "cost": 0.5,
        "tokens": { "input": 1, "output": 2, "reasoning": 3, "cache": { "read": 4, "write": 5 } },
    });
    assert_eq!(made(answer("a", "u", 11, Some(30), &parts)), expected);
    let open = made(answer("a", "u", 11, None, &[]));
    assert_eq!((open.get("tokens"), open.get("cost")), (None, None));
}

#[test]
fn a_failure_says_what_happened() {
    let mut failed = answer("a", "u", 11, Some(12), &[]);
    failed["info"]["error"] = json!({ "name": "UnknownError", "data": { "message": "no" } });
    assert_eq!(
        made(failed)["error"],
        json!({ "type": "unknown", "message": "no" })
    );
}

#[test]
fn tool_calls_have_their_four_states() {
    let time = json!({ "start": 1 });
    for (state, expected) in [
        (
            json!({ "status": "pending", "input": { "a": 1 }, "raw": "" }),
            json!({ "status": "pending", "input": "{\"a\":1}" }),
        ),
        (
            json!({ "status": "running", "input": {}, "metadata": { "output": "x" }, "time": time }),
            json!({ "status": "running", "input": {}, "structured": { "output": "x" },
                    "content": [{ "type": "text", "text": "x" }] }),
        ),
        (
            json!({ "status": "error", "input": {}, "error": "bad", "time": { "start": 1, "end": 2 } }),
            json!({ "status": "error", "input": {}, "structured": {}, "content": [],
                    "error": { "type": "unknown", "message": "bad" } }),
        ),
    ] {
        let made = made(answer("a", "u", 11, None, &[call("a", "c", state)]));
        assert_eq!(made["content"][0]["state"], expected);
    }
}

#[test]
fn a_summary_is_a_compaction_once_it_is_there() {
    let summary = |completed| {
        let mut summary = answer(
            "a",
            "u",
            11,
            completed,
            &[written("a", "t", "in short", completed)],
        );
        summary["info"]["summary"] = json!(true);
        summary
    };
    assert_eq!(made(summary(None)), Value::Null);
    let made = made(summary(Some(12)));
    assert_eq!(
        (&made["type"], &made["summary"]),
        (&json!("compaction"), &json!("in short"))
    );
}

#[test]
fn changes_stand_where_they_were_made() {
    let messages = [
        read(user("u1", 10, &[said("u1", "one")])),
        read(answer("a1", "u1", 11, Some(20), &[])),
        read(user("u2", 30, &[said("u2", "two")])),
    ];
    let switches = [
        switch(2, 10, None, ["m", "build"]),
        switch(3, 15, Some(["m", "build"]), ["n", "build"]),
        switch(4, 40, Some(["n", "build"]), ["n", "plan"]),
    ];
    let all = conversation(&session(), &messages, &switches);
    let kinds: Vec<_> = all
        .iter()
        .map(|m| {
            serde_json::to_value(m).expect("JSON")["type"]
                .as_str()
                .expect("a type")
                .to_owned()
        })
        .collect();
    let expected = [
        "model-switched",
        "agent-switched",
        "user",
        "assistant",
        "model-switched",
        "user",
        "agent-switched",
    ];
    assert_eq!(kinds, expected);
    let ids = |all: &[SessionMessage]| all.iter().map(|m| m.id().clone()).collect::<Vec<_>>();
    let again = conversation(&session(), &messages, &switches);
    assert_eq!(ids(&all), ids(&again), "their ids do not change");
    // What a session selects from its beginning was not changed.
    let first = [switch(1, 10, None, ["m", "build"])];
    assert_eq!(conversation(&session(), &[], &first), []);
    let mut unique = ids(&all);
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), all.len());
}
