//! Messages and their parts: what a turn leaves behind, how it is listed and deleted.

use std::collections::HashMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Event, Server, model, parts_of};

fn ids(messages: &[Value]) -> Vec<&str> {
    let messages = messages.iter();
    messages
        .map(|message| message["info"]["id"].as_str().unwrap())
        .collect()
}

/// The step of a turn that an event belongs to; deltas of one part are one step.
fn step(event: &Event) -> String {
    let p = &event.properties;
    match event.kind.as_str() {
        "message.updated" => {
            let ended = p["info"]["time"]["completed"].is_u64();
            let ended = if ended { " ended" } else { "" };
            format!("{}{ended}", p["info"]["role"].as_str().unwrap())
        }
        "message.part.updated" => p["part"]["type"].as_str().unwrap().to_owned(),
        "session.status" => p["status"]["type"].as_str().unwrap().to_owned(),
        other => other.to_owned(),
    }
}

#[tokio::test]
async fn the_events_of_a_turn_come_in_order() {
    let server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo warm", model("mock", "mock"))
        .await;
    let mut events = server.events().await;
    server
        .prompt(&session, "echo one two three", json!({}))
        .await;
    events
        .until("session.idle", |p| p["sessionID"] == session)
        .await;
    let mut steps: Vec<_> = events.seen[1..].iter().map(step).collect();
    steps.retain(|step| step != "session.updated");
    steps.dedup();
    let expected = [
        "user",
        "text",
        "busy",
        "assistant",
        "step-start",
        "text",
        "message.part.delta",
        "text",
        "step-finish",
        "assistant ended",
        "user",
        "session.diff",
        "idle",
        "session.idle",
    ];
    assert_eq!(steps, expected);
    server.stop().await;
}

#[tokio::test]
async fn what_is_streamed_adds_up_to_what_is_kept() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let text = "one two three äöü 漢字 🦀 ".repeat(40);
    server
        .prompt(&session, &format!("echo {text}"), model("mock", "mock"))
        .await;
    server.prompt(&session, "tool a.txt", json!({})).await;
    events.until("session.idle", |_| true).await;
    events.until("session.idle", |_| true).await;

    let mut streamed: HashMap<String, String> = HashMap::new();
    for delta in events.of("message.part.delta") {
        assert_eq!(
            (&delta["field"], &delta["sessionID"]),
            (&json!("text"), &json!(session))
        );
        let part = delta["partID"].as_str().unwrap().to_owned();
        let text = streamed.entry(part).or_default();
        text.push_str(delta["delta"].as_str().unwrap());
    }
    let messages = server.messages(&session).await;
    let mut kept = HashMap::new();
    for message in &messages {
        for part in parts_of(message, "text")
            .into_iter()
            .chain(parts_of(message, "reasoning"))
            .filter(|_| message["info"]["role"] == "assistant")
        {
            assert!(part["time"]["end"].is_u64(), "{part}");
            let id = part["id"].as_str().unwrap().to_owned();
            kept.insert(id, part["text"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(streamed, kept);
    assert_eq!(kept.len(), 3, "two texts and a thought");
    // The last event of each part is the part as it is listed.
    let updated = events.of("message.part.updated");
    for part in messages.iter().flat_map(|m| m["parts"].as_array().unwrap()) {
        let last = updated.iter().rev().find(|p| p["part"]["id"] == part["id"]);
        assert_eq!(&last.unwrap()["part"], part);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_tool_call_really_edits_the_file() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let answer = server
        .prompt(&session, "tool notes.txt", model("mock", "mock-fast"))
        .await;
    let file = server.work().join("notes.txt");
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "edited by mock-fast\n"
    );

    let parts = answer["parts"].as_array().unwrap();
    let kinds: Vec<_> = parts.iter().map(|p| p["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["step-start", "reasoning", "tool", "text", "step-finish"]
    );
    assert_eq!(parts[1]["text"], "I am going to edit notes.txt.");
    assert_eq!(parts[3]["text"], "edited notes.txt");
    let (tool, state) = (&parts[2], &parts[2]["state"]);
    assert_eq!(
        (&tool["tool"], &state["status"]),
        (&json!("edit"), &json!("completed"))
    );
    assert_eq!(state["input"]["filePath"], json!(file));
    assert_eq!(state["output"], "wrote 20 bytes to notes.txt");
    assert!(state["time"]["start"].as_u64() <= state["time"]["end"].as_u64());

    events.until("session.idle", |_| true).await;
    let states: Vec<_> = events
        .of("message.part.updated")
        .into_iter()
        .filter(|p| p["part"]["id"] == tool["id"])
        .map(|p| p["part"]["state"]["status"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["pending", "running", "completed"]);
    assert_eq!(events.of("file.edited"), [&json!({ "file": file })]);
    server.stop().await;
}

#[tokio::test]
async fn tokens_and_cost_are_those_of_each_answer() {
    let server = Server::start().await;
    let session = server.create().await;
    let (mut input, mut output, mut cost) = (0, 0, 0.0);
    for text in ["echo one two three four five", "tool a.txt", "big 4"] {
        let answer = server.prompt(&session, text, model("mock", "mock")).await;
        let (info, finish) = (&answer["info"], parts_of(&answer, "step-finish")[0]);
        assert_eq!(finish["tokens"], info["tokens"]);
        assert_eq!(finish["cost"], info["cost"]);
        assert_eq!(
            (&info["finish"], &finish["reason"]),
            (&json!("stop"), &json!("stop"))
        );
        assert!(info["time"]["completed"].as_u64() >= info["time"]["created"].as_u64());
        let (i, o) = (&info["tokens"]["input"], &info["tokens"]["output"]);
        assert_eq!(
            info["tokens"]["total"],
            i.as_u64().unwrap() + o.as_u64().unwrap()
        );
        assert!(
            o.as_u64() > Some(0) && info["cost"].as_f64() > Some(0.0),
            "{info}"
        );
        input += i.as_u64().unwrap();
        output += o.as_u64().unwrap();
        cost += info["cost"].as_f64().unwrap();
    }
    let whole = server.get(&format!("/opencode/session/{session}")).await;
    assert_eq!(whole["tokens"]["input"], input);
    assert_eq!(whole["tokens"]["output"], output);
    // The mock agent's cost is that of the whole history, a token of four characters 0.00001 dollars.
    let total = whole["cost"].as_f64().unwrap();
    assert!((total - cost).abs() < 1e-9, "{total} is not {cost}");
    assert!((0.010..0.012).contains(&total), "{total}");
    server.stop().await;
}

#[tokio::test]
async fn a_plan_becomes_the_list_of_todos() {
    let server = Server::start().await;
    let session = server.create().await;
    let path = format!("/opencode/session/{session}/todo");
    assert_eq!(server.get(&path).await, json!([]));
    let mut events = server.events().await;
    server.prompt(&session, "plan", model("mock", "mock")).await;
    let updated = events.until("todo.updated", |_| true).await;
    let expected = json!([
        { "content": "Read the code", "status": "completed", "priority": "high" },
        { "content": "Change it", "status": "in_progress", "priority": "medium" },
        { "content": "Test it", "status": "pending", "priority": "low" },
    ]);
    assert_eq!(updated.properties["todos"], expected);
    assert_eq!(updated.properties["sessionID"], session);
    assert_eq!(server.get(&path).await, expected);
    server.stop().await;
}

#[tokio::test]
async fn messages_are_listed_in_pages_and_one_by_one() {
    let server = Server::start().await;
    let session = server.create().await;
    for text in ["echo one", "tool a.txt", "echo three"] {
        server.prompt(&session, text, json!({})).await;
    }
    let all = server.messages(&session).await;
    let roles: Vec<_> = all
        .iter()
        .map(|m| m["info"]["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "assistant"].repeat(3));
    assert!(ids(&all).is_sorted(), "{:?}", ids(&all));
    let parts: Vec<_> = all
        .iter()
        .flat_map(|m| m["parts"].as_array().unwrap())
        .collect();
    assert!(parts.iter().map(|p| p["id"].as_str().unwrap()).is_sorted());

    let path = format!("/opencode/session/{session}/message");
    let page = async |query: &str| server.get(&format!("{path}?{query}")).await;
    let third = ids(&all)[2];
    assert_eq!(page("limit=2").await, json!(all[4..]));
    assert_eq!(page("limit=100").await, json!(all));
    assert_eq!(page(&format!("before={third}")).await, json!(all[..2]));
    assert_eq!(
        page(&format!("before={third}&limit=1")).await,
        json!(all[1..2])
    );
    for message in &all {
        let id = message["info"]["id"].as_str().unwrap();
        assert_eq!(server.get(&format!("{path}/{id}")).await, *message);
    }
    for (query, expected) in [
        ("?before=msg_missing", StatusCode::NOT_FOUND),
        ("?limit=many", StatusCode::BAD_REQUEST),
        ("/msg_missing", StatusCode::NOT_FOUND),
    ] {
        let (status, error) = server
            .send(Method::GET, &format!("{path}{query}"), None)
            .await;
        assert_eq!(status, expected, "{query}: {error}");
        assert!(error["data"]["message"].is_string(), "{error}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_message_is_forgotten_by_the_agent_too() {
    let server = Server::start().await;
    let session = server.create().await;
    for text in ["echo apple", "echo pear"] {
        server.prompt(&session, text, json!({})).await;
    }
    let native = server.say(&session, "session").await;
    let messages = server.messages(&session).await;
    let mut events = server.events().await;
    for id in &ids(&messages)[..2] {
        let path = format!("/opencode/session/{session}/message/{id}");
        assert_eq!(server.ok(Method::DELETE, &path, None).await, true);
        events
            .until("message.removed", |p| p["messageID"] == *id)
            .await;
        let (status, _) = server.send(Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let (status, _) = server.send(Method::DELETE, &path, None).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    assert_eq!(server.messages(&session).await, messages[2..]);
    let history = server.say(&session, "history").await;
    assert!(history.contains("| echo pear"), "{history}");
    assert!(!history.contains("apple"), "{history}");
    assert_ne!(server.say(&session, "session").await, native);
    server.stop().await;
}

#[tokio::test]
async fn a_long_conversation_is_read_page_by_page() {
    let server = Server::start().await;
    let session = server.create().await;
    for text in ["echo one", "echo two", "echo three"] {
        server.prompt(&session, text, json!({})).await;
    }
    let path = format!("/opencode/session/{session}/message");
    let everything = server.messages(&session).await;
    let all = ids(&everything);
    assert_eq!(
        server.get(&format!("{path}?limit=0")).await,
        json!(everything)
    );

    let mut pages = Vec::new();
    let mut query = "?limit=4".to_owned();
    loop {
        let address = format!("{path}{query}");
        let answer = server.request(Method::GET, &address, None, &[]).await;
        let next = answer.headers().get("x-next-cursor").cloned();
        let link = answer.headers().get("link").cloned();
        let page: Vec<Value> = answer.json().await.unwrap();
        pages.push(
            ids(&page)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        );
        let Some(next) = next else {
            assert_eq!(link, None);
            break;
        };
        let next = next.to_str().unwrap();
        query = format!("?limit=4&before={next}");
        let expected = format!("<{path}{query}>; rel=\"next\"");
        assert_eq!(link.unwrap().to_str().unwrap(), expected);
    }
    assert_eq!(pages, [all[2..].to_vec(), all[..2].to_vec()]);

    let by_id = server
        .get(&format!("{path}?limit=1&before={}", all[2]))
        .await;
    assert_eq!(by_id, json!([everything[1]]));
    let wrong = format!("{path}?before=xx");
    let (status, error) = server.send(Method::GET, &wrong, None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
    assert!(
        error["data"]["message"]
            .as_str()
            .unwrap()
            .contains("before")
    );
    server.stop().await;
}

#[tokio::test]
async fn an_edit_has_its_patch() {
    let server = Server::start().await;
    let session = server.create().await;
    for (lines, before) in [(1, ""), (2, "edited by mock-fast\n")] {
        let answer = server
            .prompt(&session, "tool a.txt", model("mock", "mock-fast"))
            .await;
        let metadata = &parts_of(&answer, "tool")[0]["state"]["metadata"];
        let diff = &metadata["filediff"];
        assert!(diff["file"].as_str().unwrap().ends_with("/a.txt"));
        assert_eq!(diff["additions"], 1, "{lines}: {diff}");
        assert_eq!(diff["deletions"], 0, "{lines}: {diff}");
        let patch = diff["patch"].as_str().unwrap();
        assert!(patch.ends_with("+edited by mock-fast\n"), "{patch}");
        assert_eq!(patch.contains(" edited by mock-fast\n"), !before.is_empty());
        assert_eq!(metadata["diff"], patch);
    }
    server.stop().await;
}
