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
        mode: None,
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

/// What a list of changes writes of texts: `+` before what only goes on.
fn written(changes: &[Change]) -> Vec<String> {
    let texts = changes.iter().filter_map(|change| match change {
        Change::PutPart { body, .. } => {
            let part: Value = serde_json::from_str(body).expect("JSON");
            part["text"].as_str().map(str::to_owned)
        }
        Change::GrowPart {
            place, at, text, ..
        } => Some(format!("{place}@{at}+{text}")),
        Change::EndPart { place, body, .. } => {
            let part: Value = serde_json::from_str(body).expect("JSON");
            assert!(part["time"]["end"].is_u64(), "it has ended");
            Some(format!("{place}={}", part["text"].as_str()?))
        }
        _ => None,
    });
    texts.collect()
}

#[test]
fn of_a_text_that_goes_on_only_that_is_written() {
    let mut answer = answering();
    answer.begin(None);
    let say = |answer: &mut Answering, text: &str| {
        answer.fold(&chunk("agent_message_chunk", text), "/project");
    };
    say(&mut answer, "Größe");
    assert_eq!(written(&answer.take_unwritten().changes), ["Größe"]);
    assert!(!answer.is_unwritten());
    say(&mut answer, " is");
    say(&mut answer, " 7");
    assert!(answer.is_unwritten());
    assert_eq!(written(&answer.take_unwritten().changes), ["1@7+ is 7"]);
    assert!(answer.take_unwritten().changes.is_empty());
    say(&mut answer, " ü");
    assert_eq!(written(&answer.take_unwritten().changes), ["1@12+ ü"]);
    // What could not be written is written whole, since nobody knows how much of it is there.
    say(&mut answer, "!");
    let unwritten = answer.take_unwritten();
    assert_eq!(written(&unwritten.changes), ["1@15+!"]);
    answer.put_back(unwritten);
    assert!(answer.is_unwritten());
    say(&mut answer, "?");
    assert_eq!(
        written(&answer.take_unwritten().changes),
        ["Größe is 7 ü!?"]
    );
    // A text that has ended is, too: it says when.
    say(&mut answer, ".");
    answer.fold(&chunk("agent_thought_chunk", "hm"), "/project");
    assert_eq!(
        written(&answer.take_unwritten().changes),
        ["Größe is 7 ü!?.", "hm"]
    );
    answer.fold(&chunk("agent_thought_chunk", "m"), "/project");
    assert_eq!(written(&answer.take_unwritten().changes), ["2@2+m"]);
    answer.fold(&chunk("agent_thought_chunk", "m"), "/project");
    answer.finish("stop", Tokens::default(), None, None);
    assert_eq!(written(&answer.take_unwritten().changes), ["hmmm"]);
    assert!(!answer.is_unwritten());
}

#[test]
fn where_others_do_not_know_growth_a_text_is_written_whole_each_time() {
    let mut answer = answering().always_whole(true);
    answer.begin(None);
    let long = "x".repeat(WHOLE_BYTES);
    let mut said = String::new();
    for text in ["a", "b", &long] {
        said.push_str(text);
        let folded = answer.fold(&chunk("agent_message_chunk", text), "/project");
        assert!(!folded.complete);
        assert_eq!(
            written(&answer.take_unwritten().changes),
            std::slice::from_ref(&said)
        );
    }
    answer.finish("stop", Tokens::default(), None, None);
    assert_eq!(written(&answer.take_unwritten().changes), [said]);
}

#[test]
fn a_long_text_that_ends_is_not_written_again() {
    let mut answer = answering();
    answer.begin(None);
    let say = |answer: &mut Answering, text: &str| {
        answer
            .fold(&chunk("agent_message_chunk", text), "/project")
            .complete
    };
    let end = |answer: &mut Answering| {
        answer.fold(
            &json!({"sessionUpdate": "tool_call", "toolCallId": "c"}),
            "/project",
        );
        written(&answer.take_unwritten().changes)
    };
    let long = "x".repeat(WHOLE_BYTES);
    say(&mut answer, "Größe");
    answer.take_unwritten();
    assert!(say(&mut answer, &long), "much is stored at once");
    assert_eq!(
        written(&answer.take_unwritten().changes),
        [format!("1@7+{long}")]
    );
    assert!(!say(&mut answer, "."));
    let at = 7 + WHOLE_BYTES;
    assert_eq!(
        end(&mut answer),
        [format!("1@{at}+."), "1=Größe".to_owned()]
    );
    // One that was stored as it is by then, and one of which the store has nothing.
    say(&mut answer, "a");
    answer.take_unwritten();
    say(&mut answer, &long);
    answer.take_unwritten();
    assert_eq!(end(&mut answer), ["3=a"]);
    say(&mut answer, &long);
    assert_eq!(end(&mut answer), std::slice::from_ref(&long));
    // What the store did not take is written whole.
    say(&mut answer, "a");
    answer.take_unwritten();
    say(&mut answer, &long);
    let unwritten = answer.take_unwritten();
    answer.put_back(unwritten);
    assert_eq!(end(&mut answer), [format!("a{long}")]);
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

/// A request for a permission, as the worker lets the answer take it in; the id of the call that it is taken to be about.
fn ask(answer: &mut Answering, asked: &Value) -> String {
    let id = answer.meant_by(asked).map(str::to_owned);
    let own = asked["toolCallId"].as_str().expect("an id").to_owned();
    let id = id.unwrap_or(own);
    let mut asked = asked.clone();
    asked["toolCallId"] = json!(id);
    answer.announce(&asked, "/project");
    id
}

fn calls(answer: &Answering) -> Vec<(String, Value)> {
    let tools = answer.parts.iter().filter_map(|part| match part {
        Part::Tool(tool) => Some(tool),
        _ => None,
    });
    tools
        .map(|tool| {
            let state = serde_json::to_value(&tool.state).expect("JSON");
            (tool.call_id.clone(), state["input"].clone())
        })
        .collect()
}

#[test]
fn a_request_with_an_id_of_its_own_is_about_the_call_that_it_may_be() {
    let mut answer = answering();
    for (id, file) in [("w1", "/project/a"), ("w2", "/project/b")] {
        let call = json!({"sessionUpdate": "tool_call", "toolCallId": id, "kind": "edit", "title": format!("write: {file}"),
            "locations": [{"path": file}]});
        answer.fold(&call, "/project");
    }
    let call = json!({"sessionUpdate": "tool_call", "toolCallId": "x", "kind": "execute", "title": "terminal: rm a"});
    answer.fold(&call, "/project");
    let edit = |id: &str, file: &str| {
        json!({"toolCallId": id, "kind": "edit", "title": format!("Approve edit: {file}"),
            "rawInput": {"tool": "write", "arguments": {"path": file}},
            "content": [{"type": "diff", "path": file, "newText": "n"}]})
    };
    assert_eq!(ask(&mut answer, &edit("e1", "/project/b")), "w2");
    assert_eq!(ask(&mut answer, &edit("e2", "/project/a")), "w1");
    let command = json!({"toolCallId": "p1", "kind": "execute", "title": "delete: rm a",
        "rawInput": {"command": "rm a", "description": "delete"}});
    assert_eq!(ask(&mut answer, &command), "x");
    let told = calls(&answer);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0].1["arguments"]["path"], "/project/a");
    assert_eq!(told[2].1["command"], "rm a", "and not its title");
    // What has other arguments is another call, and so is what does something else with the same.
    let read = json!({"sessionUpdate": "tool_call", "toolCallId": "r", "kind": "read", "rawInput": {"path": "/project/c"}});
    answer.fold(&read, "/project");
    let write = json!({"toolCallId": "p0", "kind": "edit", "rawInput": {"path": "/project/c", "content": "n"}});
    assert_eq!(ask(&mut answer, &write), "p0");
    let other = json!({"toolCallId": "p2", "kind": "execute", "rawInput": {"command": "rm b"}});
    assert_eq!(ask(&mut answer, &other), "p2");
    // One that was told with fewer of them is not.
    let fewer = json!({"toolCallId": "p3", "kind": "execute", "rawInput": {"command": "rm a"}});
    assert_eq!(ask(&mut answer, &fewer), "x");
}

#[test]
fn a_call_that_is_announced_after_its_request_goes_on_with_it() {
    let mut answer = answering();
    for (own, command) in [("p1", "make a"), ("p2", "make b")] {
        let asked = json!({"toolCallId": own, "kind": "execute", "rawInput": {"command": command}});
        assert_eq!(ask(&mut answer, &asked), own);
    }
    let call = json!({"sessionUpdate": "tool_call", "toolCallId": "b", "kind": "execute", "title": "make b",
        "rawInput": {"command": "make b"}});
    answer.fold(&call, "/project");
    let call = json!({"sessionUpdate": "tool_call", "toolCallId": "c", "kind": "execute", "rawInput": {"command": "make c"}});
    answer.fold(&call, "/project");
    let called: Vec<_> = calls(&answer).into_iter().map(|(id, _)| id).collect();
    assert_eq!(called, ["p1", "b", "c"]);
}

#[test]
fn a_call_of_which_nothing_more_is_told_keeps_its_title() {
    let mut answer = answering();
    let call = json!({"sessionUpdate": "tool_call", "toolCallId": "w", "kind": "edit", "title": "write: /project/a"});
    answer.fold(&call, "/project");
    answer.finish("stop", Tokens::default(), None, None);
    let Some(ToolState::Completed { title, .. }) =
        answer.parts.iter().find_map(|part| match part {
            Part::Tool(tool) => Some(&tool.state),
            _ => None,
        })
    else {
        panic!("no call that has ended well")
    };
    assert_eq!(title, "write: /project/a");
}

#[test]
fn what_a_call_has_returned_stays_where_its_end_is_not_told() {
    let said = |text: &str| json!([{"type": "content", "content": {"type": "text", "text": text}}]);
    let call = json!({"sessionUpdate": "tool_call", "toolCallId": "c", "title": "ls", "status": "pending",
        "content": said("about to list")});
    let content =
        json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "content": said("a.txt")});
    let raw = json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "rawOutput": {"output": "a.txt"}});
    for (updates, expected) in [
        (vec![call.clone()], UNTOLD),
        (
            vec![
                call.clone(),
                json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "in_progress"}),
            ],
            UNTOLD,
        ),
        (vec![call.clone(), content], "a.txt"),
        (
            vec![
                json!({"sessionUpdate": "tool_call", "toolCallId": "c", "title": "ls"}),
                raw,
            ],
            "a.txt",
        ),
    ] {
        let mut answer = answering();
        for update in updates {
            answer.fold(&update, "/project");
        }
        answer.finish("stop", Tokens::default(), None, None);
        let output = answer.parts.iter().find_map(|part| match part {
            Part::Tool(tool) => match &tool.state {
                ToolState::Completed { output, .. } => Some(output.as_str()),
                _ => None,
            },
            _ => None,
        });
        assert_eq!(output, Some(expected));
    }
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
