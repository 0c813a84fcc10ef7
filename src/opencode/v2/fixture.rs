//! Messages for tests, as Baton stores them.

use serde_json::{Value, json};

use crate::opencode::SessionId;
use crate::opencode::history::ModelSwitch;
use crate::opencode::message::MessageWithParts;

/// The session of all of them.
pub(super) const SESSION: &str = "ses_test";

/// The session's id.
pub(super) fn session() -> SessionId {
    SessionId::parse(SESSION).expect("an id")
}

/// A part of a message.
pub(super) fn part(message: &str, id: &str, more: Value) -> Value {
    let mut part = json!({ "id": format!("prt_{id}"), "sessionID": SESSION, "messageID": format!("msg_{message}") });
    let more = more.as_object().expect("an object").clone();
    part.as_object_mut().expect("an object").extend(more);
    part
}

/// A prompt with these parts, made at a time.
pub(super) fn user(id: &str, created: u64, parts: &[Value]) -> Value {
    let model = json!({ "providerID": "p", "modelID": "m" });
    json!({
        "info": {
            "role": "user", "id": format!("msg_{id}"), "sessionID": SESSION, "time": { "created": created },
            "agent": "build", "model": model,
        },
        "parts": parts,
    })
}

/// An answer with these parts; one that has no end is being written.
pub(crate) fn answer(
    id: &str,
    parent: &str,
    created: u64,
    completed: Option<u64>,
    parts: &[Value],
) -> Value {
    let mut time = json!({ "created": created });
    if let Some(completed) = completed {
        time["completed"] = json!(completed);
    }
    json!({
        "info": {
            "role": "assistant", "id": format!("msg_{id}"), "sessionID": SESSION, "time": time,
            "parentID": format!("msg_{parent}"), "modelID": "m", "providerID": "p", "mode": "build", "agent": "build",
            "path": { "cwd": "/", "root": "/" }, "cost": 0.5, "variant": "high",
            "tokens": { "total": 9, "input": 1, "output": 2, "reasoning": 3, "cache": { "read": 4, "write": 5 } },
            "finish": "stop",
        },
        "parts": parts,
    })
}

/// A text of a prompt.
pub(super) fn said(message: &str, text: &str) -> Value {
    part(
        message,
        &format!("{message}t"),
        json!({ "type": "text", "text": text }),
    )
}

/// A text of an answer.
pub(super) fn written(message: &str, id: &str, text: &str, end: Option<u64>) -> Value {
    let mut time = json!({ "start": 20 });
    if let Some(end) = end {
        time["end"] = json!(end);
    }
    part(
        message,
        id,
        json!({ "type": "text", "text": text, "time": time }),
    )
}

/// A tool call.
pub(super) fn call(message: &str, id: &str, state: Value) -> Value {
    part(
        message,
        id,
        json!({ "type": "tool", "callID": format!("call_{id}"), "tool": "bash", "state": state }),
    )
}

/// A message that was written as JSON.
pub(crate) fn read(message: Value) -> MessageWithParts {
    serde_json::from_value(message).expect("a message")
}

/// A change of the selection.
pub(super) fn switch(
    revision: u64,
    time: u64,
    previous: Option<[&str; 2]>,
    current: [&str; 2],
) -> ModelSwitch {
    let selection =
        |[model, agent]: [&str; 2]| json!({ "providerID": "p", "modelID": model, "agent": agent });
    serde_json::from_value(json!({
        "revision": revision, "time": time, "previous": previous.map(selection), "current": selection(current),
        "source": "patch", "client": null, "transfer": null, "durationMs": null, "failure": null,
    }))
    .expect("a switch")
}
