use serde_json::{Value, json};

use super::fold::Folded;
use super::*;
use crate::opencode::message::ToolPart;

fn answering() -> Answering {
    let selection = Selection {
        provider_id: "mock".into(),
        model_id: "m".into(),
        variant: None,
        agent: "build".into(),
    };
    Answering::new(
        &SessionId::new(),
        &MessageId::new(),
        1,
        2,
        &selection,
        "/project",
    )
}

fn chunk(kind: &str, text: &str) -> Value {
    json!({"sessionUpdate": kind, "content": {"type": "text", "text": text}})
}

#[test]
fn chunks_of_one_kind_grow_one_part() {
    let mut answer = answering();
    answer.begin(None);
    for (kind, text) in [
        ("agent_thought_chunk", "hm"),
        ("agent_message_chunk", "he"),
        ("agent_message_chunk", "llo"),
        ("agent_thought_chunk", "so"),
    ] {
        answer.fold(&chunk(kind, text), "/project");
    }
    let events = answer.finish("stop", Tokens::default(), None, None);
    assert!(matches!(
        events.last(),
        Some(EventPayload::MessageUpdated(_))
    ));
    let texts: Vec<_> = answer
        .parts
        .iter()
        .filter_map(|p| match p {
            Part::Text(p) => Some(("text", p.text.clone(), p.time.and_then(|t| t.end).is_some())),
            Part::Reasoning(p) => Some(("reasoning", p.text.clone(), p.time.end.is_some())),
            _ => None,
        })
        .collect();
    let expect = |kind, text: &str| (kind, text.to_owned(), true);
    assert_eq!(
        texts,
        [
            expect("reasoning", "hm"),
            expect("text", "hello"),
            expect("reasoning", "so")
        ]
    );
}

#[test]
fn the_deltas_of_a_part_add_up_to_its_text() {
    let mut answer = answering();
    answer.begin(None);
    let mut text = String::new();
    for n in 0..50 {
        for event in answer
            .fold(&chunk("agent_message_chunk", &format!("{n} ")), "/project")
            .events
        {
            if let EventPayload::PartDelta(delta) = event {
                text.push_str(&delta.delta);
            }
        }
    }
    assert!(matches!(&answer.parts[1], Part::Text(p) if p.text == text));
    assert_eq!(
        answer.take_unwritten().changes.len(),
        3,
        "the message, the step and the text, once each"
    );
    assert!(!answer.is_unwritten());
}

#[test]
fn a_tool_call_that_did_not_end_is_interrupted() {
    let mut answer = answering();
    answer.begin(None);
    answer.fold(&json!({"sessionUpdate": "tool_call", "toolCallId": "c", "title": "bash", "kind": "execute"}), "/project");
    let error = MessageError::UnknownError {
        message: "broken off".into(),
    };
    answer.finish("error", Tokens::default(), Some(error), None);
    assert!(matches!(
        &answer.parts[1],
        Part::Tool(ToolPart {
            state: ToolState::Error { .. },
            ..
        })
    ));
}

#[test]
fn an_edit_is_told_once_with_its_whole_path() {
    let mut answer = answering();
    let call = json!({"sessionUpdate": "tool_call", "toolCallId": "c", "title": "write", "kind": "edit", "rawInput": {"filePath": "a.txt"}});
    let done =
        json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "completed"});
    answer.fold(&call, "/project");
    let edited = |folded: Folded| {
        folded
            .events
            .into_iter()
            .filter(|e| matches!(e, EventPayload::FileEdited(f) if f.file == "/project/a.txt"))
            .count()
    };
    assert_eq!(edited(answer.fold(&done, "/project")), 1);
    assert_eq!(edited(answer.fold(&done, "/project")), 0);
}

#[test]
fn nonsense_is_ignored() {
    let mut answer = answering();
    for update in [
        json!(null),
        json!([]),
        json!({"sessionUpdate": 5}),
        json!({"sessionUpdate": "agent_message_chunk"}),
        json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": 7}}),
        json!({"sessionUpdate": "tool_call"}),
        json!({"sessionUpdate": "plan", "entries": {}}),
        json!({"sessionUpdate": "usage_update", "cost": "much"}),
    ] {
        answer.fold(&update, "/project");
    }
    assert!(!answer.has_content());
}

#[test]
fn a_pending_call_runs_from_the_moment_that_its_permission_is_asked_for() {
    let mut answer = answering();
    let call = json!({"sessionUpdate": "tool_call", "toolCallId": "c", "title": "touch a", "kind": "execute",
        "status": "pending", "rawInput": {"command": "touch a"}});
    answer.fold(&call, "/project");
    let asked = json!({"toolCallId": "c", "status": "pending", "rawInput": {"command": "x"}});
    assert_eq!(answer.announce(&asked, "/project").events.len(), 1);
    let Some(Part::Tool(tool)) = answer.parts.last() else {
        panic!("no tool")
    };
    let ToolState::Running { input, .. } = &tool.state else {
        panic!("{:?}", tool.state)
    };
    assert_eq!(input["command"], "touch a");
    assert!(answer.announce(&asked, "/project").events.is_empty());
}

#[test]
fn a_request_for_a_permission_announces_its_tool_call_and_fills_in_its_arguments() {
    let mut answer = answering();
    let shown = json!([{"type": "content", "content": {"type": "text", "text": "in /work"}}]);
    let asked = json!({"toolCallId": "c", "title": "touch a", "kind": "execute", "status": "pending",
        "rawInput": {"command": "touch a"}, "content": shown});
    let events = answer.announce(&asked, "/project").events;
    assert!(matches!(events.last(), Some(EventPayload::PartUpdated(_))));
    let tool = |answer: &Answering| match answer.parts.last() {
        Some(Part::Tool(tool)) => tool.state.clone(),
        other => panic!("no tool: {other:?}"),
    };
    let ToolState::Running { input, .. } = tool(&answer) else {
        panic!("{:?}", tool(&answer))
    };
    assert_eq!(input["command"], "touch a");

    // What is known already is not replaced by what stands in the request.
    let other = json!({"toolCallId": "c", "title": "x", "rawInput": {"command": "x"}});
    assert!(answer.announce(&other, "/project").events.is_empty());
    let done =
        json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "completed"});
    answer.fold(&done, "/project");
    let ToolState::Completed { input, output, .. } = tool(&answer) else {
        panic!("{:?}", tool(&answer))
    };
    assert_eq!(
        (&input["command"], output.as_str()),
        (&json!("touch a"), "")
    );
}

const PNG: &str = "iVBORw0KGgo=";

fn image() -> Value {
    json!({"type": "image", "mimeType": "image/png", "data": PNG})
}

#[test]
fn a_picture_is_a_file_between_the_texts() {
    let mut answer = answering();
    answer.fold(&chunk("agent_message_chunk", "before"), "/project");
    let shown = json!({"sessionUpdate": "agent_message_chunk", "content": image()});
    let folded = answer.fold(&shown, "/project");
    assert!(folded.complete);
    answer.fold(&chunk("agent_message_chunk", "after"), "/project");
    let kinds = answer.parts.iter().map(|part| match part {
        Part::Text(text) => text.text.clone(),
        Part::File(file) => file.url.clone(),
        other => panic!("{other:?}"),
    });
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(
        kinds,
        ["before", &format!("data:image/png;base64,{PNG}"), "after"]
    );
}

#[test]
fn the_files_of_a_tool_call_keep_their_ids_and_have_room_together() {
    let mut answer = answering().within(Sizes {
        answer_media_bytes: 20,
        ..Sizes::default()
    });
    let ends = |times: usize| {
        let content = json!({"type": "content", "content": image()});
        json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "completed",
            "content": vec![content; times]})
    };
    let files = |answer: &Answering| match answer.parts.last() {
        Some(Part::Tool(ToolPart {
            state:
                ToolState::Completed {
                    attachments,
                    output,
                    ..
                },
            ..
        })) => (attachments.clone(), output.clone()),
        other => panic!("{other:?}"),
    };
    answer.fold(&ends(1), "/project");
    let (first, _) = files(&answer);
    assert!(
        answer.fold(&ends(1), "/project").events.is_empty(),
        "no news"
    );
    // Two of eight bytes each, and no third one; the place of the first is its own.
    answer.fold(&ends(3), "/project");
    let (three, output) = files(&answer);
    assert_eq!(three.len(), 2);
    assert_eq!(three[0], first[0]);
    assert!(output.contains("limits.answer_media_bytes"), "{output}");
    let json = serde_json::to_value(&three[0]).expect("JSON");
    assert_eq!(
        (&json["type"], &json["mime"]),
        (&json!("file"), &json!("image/png"))
    );
}

#[test]
fn a_failed_call_names_its_files() {
    let mut answer = answering();
    let content = json!([{"type": "content", "content": image()}]);
    answer.fold(&json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "failed", "content": content}), "/project");
    let Some(Part::Tool(ToolPart {
        state: ToolState::Error { error, .. },
        ..
    })) = answer.parts.last()
    else {
        panic!("{:?}", answer.parts)
    };
    assert!(error.contains("image.png (image/png, 8 bytes)"), "{error}");
}
