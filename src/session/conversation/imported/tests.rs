use serde_json::json;

use super::*;
use crate::opencode::message::ToolState;

fn user(text: &str, id: Option<&str>) -> Value {
    json!({"sessionUpdate": "user_message_chunk", "messageId": id, "content": {"type": "text", "text": text}})
}

fn said(text: &str) -> Value {
    json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})
}

fn became(told: &Told) -> Vec<Placed> {
    let session = SessionId::new();
    let to = Frame {
        session: &session,
        directory: "/work",
        backend: "one",
        sizes: Sizes::default(),
    };
    let mut all = Vec::new();
    for exchange in &told.exchanges {
        let seq = all.len() as u64 + 1;
        all.extend(exchange.become_messages(&to, seq).messages);
    }
    all
}

fn texts(placed: &Placed) -> Vec<&str> {
    let text = |part| match part {
        &Part::Text(TextPart { ref text, .. }) => Some(text.as_str()),
        _ => None,
    };
    placed.message.parts.iter().filter_map(text).collect()
}

#[test]
fn a_replay_becomes_prompts_and_answers() {
    let call = json!({"sessionUpdate": "tool_call", "toolCallId": "c", "title": "bash", "kind": "execute",
        "status": "pending", "rawInput": {"command": "ls"}});
    let end = json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "completed",
        "content": [{"type": "content", "content": {"type": "text", "text": "files"}}]});
    let thought =
        json!({"sessionUpdate": "agent_thought_chunk", "content": {"type": "text", "text": "hm"}});
    let plan = json!({"sessionUpdate": "plan", "entries": [{"content": "a", "status": "pending", "priority": "high"}]});
    let told = read(vec![
        json!({"sessionUpdate": "session_info_update", "title": "Its title"}),
        user("one", Some("a")),
        thought,
        said("first"),
        said(" answer"),
        user("two", Some("b")),
        call,
        end,
        plan,
        said("done"),
        json!({"sessionUpdate": "usage_update", "used": 1, "size": 2, "cost": {"amount": 0.5}}),
    ]);
    assert_eq!(told.title.as_deref(), Some("Its title"));
    assert_eq!(told.cost, Some(0.5));
    let all = became(&told);
    let places: Vec<_> = all.iter().map(|it| (it.key.seq, it.key.turn)).collect();
    assert_eq!(places, [(1, 1), (2, 1), (3, 3), (4, 3)]);
    assert_eq!(texts(&all[0]), ["one"]);
    assert_eq!(texts(&all[1]), ["first answer"]);
    let Message::Assistant(first) = &all[1].message.info else {
        panic!("an answer");
    };
    assert_eq!(
        (&*first.provider_id, &*first.model_id),
        ("one", UNKNOWN_MODEL)
    );
    assert_eq!(first.parent_id, *all[0].message.info.id());
    assert!(first.time.completed.is_some());
    assert!(first.cost == 0.0, "what it has cost before is not counted");
    let tools: Vec<_> = (all[3].message.parts.iter())
        .filter_map(|part| match part {
            Part::Tool(tool) => Some((tool.tool.as_str(), &tool.state)),
            _ => None,
        })
        .collect();
    assert_eq!(
        tools.iter().map(|t| t.0).collect::<Vec<_>>(),
        ["bash", "todowrite"]
    );
    let ToolState::Completed { input, output, .. } = tools[0].1 else {
        panic!("it has ended: {tools:?}");
    };
    assert_eq!((&input["command"], &**output), (&json!("ls"), "files"));
}

#[test]
fn a_model_is_what_the_agent_tells_and_a_time_too() {
    let mut answer = said("x");
    answer["_meta"] = json!({"model": "the-one", "timestamp": 5_000});
    let mut prompt = user("one", None);
    prompt["_meta"] = json!({"timestamp": 4_000});
    let all = became(&read(vec![prompt, answer]));
    let Message::Assistant(message) = &all[1].message.info else {
        panic!("an answer");
    };
    assert_eq!(message.model_id, "the-one");
    assert_eq!(
        (message.time.created, message.time.completed),
        (5_000, Some(5_000))
    );
    let Message::User(message) = &all[0].message.info else {
        panic!("a prompt");
    };
    assert_eq!(
        (message.time.created, &*message.model.model_id),
        (4_000, "the-one")
    );
}

#[test]
fn prompts_without_answers_are_told_apart_by_what_there_is() {
    let told = read(vec![
        user("a", Some("1")),
        user("b", Some("1")),
        user("c", Some("2")),
    ]);
    let all = became(&told);
    assert_eq!(
        all.iter().map(texts).collect::<Vec<_>>(),
        [vec!["a", "b"], vec!["c"]]
    );
    let at = |text, time| {
        let mut chunk = user(text, None);
        chunk["_meta"] = json!({"timestamp": time});
        chunk
    };
    assert_eq!(
        read(vec![at("a", 1), at("b", 1), at("c", 2)])
            .exchanges
            .len(),
        2
    );
}

#[test]
fn an_answer_without_a_prompt_says_so_and_no_model_is_given_that() {
    let all = became(&read(vec![said(""), said("hello")]));
    assert_eq!(texts(&all[0]), [NO_PROMPT]);
    assert!(!super::super::transcript::is_for_models(&all[0].message));
    assert_eq!(texts(&all[1]), ["hello"]);
    assert!(
        read(vec![
            said(""),
            json!({"sessionUpdate": "plan_of_the_future"})
        ])
        .exchanges
        .is_empty()
    );
}

#[test]
fn a_prompt_is_as_large_as_one_may_be() {
    let session = SessionId::new();
    let to = Frame {
        session: &session,
        directory: "/work",
        backend: "one",
        sizes: Sizes {
            prompt_parts: 2,
            ..Sizes::default()
        },
    };
    let told = read(vec![user("a", None), user("b", None), user("c", None)]);
    let became = told.exchanges[0].become_messages(&to, 1);
    assert_eq!(texts(&became.messages[0]), ["a", "bc"]);
    assert_eq!(became.messages.len(), 1, "there is no answer");
}

#[test]
fn what_is_new_begins_behind_the_last_prompt_that_is_known() {
    let of = |texts: &[&str]| {
        let updates = texts.iter().flat_map(|text| [user(text, None), said("x")]);
        read(updates.collect()).exchanges
    };
    let all = of(&["a", "b", "c"]);
    assert_eq!(news_from(&all, 3, "c"), Some(3), "there is nothing new");
    assert_eq!(news_from(&all, 1, "a\n"), Some(1));
    // It was given together with what the agent had missed.
    assert_eq!(
        news_from(&of(&["a", "earlier: …\nb", "c"]), 2, "b"),
        Some(2)
    );
    // The agent has forgotten one that was stopped; or has kept one.
    assert_eq!(news_from(&all, 4, "b"), Some(2));
    assert_eq!(news_from(&all, 1, "b"), Some(2));
    // The same words again are told apart by their number.
    assert_eq!(
        news_from(&of(&["go on", "go on", "go on"]), 2, "go on"),
        Some(2)
    );
    assert_eq!(news_from(&all, 9, "z"), None);
    assert_eq!(news_from(&all, 9, ""), None);
    assert_eq!(
        news_from(&all, 2, ""),
        Some(2),
        "a prompt of a picture alone"
    );
}
