//! Turns that do not end well: errors, crashes, aborts, full queues and deleted sessions.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Events, Options, Server, answered, model, text_of};

/// The assistant messages among these.
fn answers(messages: &[Value]) -> Vec<&Value> {
    let all = messages.iter();
    all.filter(|m| m["info"]["role"] == "assistant").collect()
}

/// Waits until this many prompts were stored since the stream began.
async fn until_stored(events: &mut Events, prompts: usize) {
    let is_prompt = |p: &Value| p["info"]["role"] == "user";
    let stored = |events: &Events| {
        let updates = events.of("message.updated").into_iter();
        updates.filter(|p| is_prompt(p)).count()
    };
    while stored(events) < prompts {
        events.until("message.updated", is_prompt).await;
    }
}

/// The error of an answer: its name and its message.
fn error_of(answer: &Value) -> (&str, &str) {
    let error = &answer["info"]["error"];
    let name = error["name"].as_str().unwrap_or("none");
    (name, error["data"]["message"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn an_error_of_the_agent_is_the_answers_error() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let answer = server
        .prompt(&session, "error", model("mock", "mock"))
        .await;
    let (name, message) = error_of(&answer);
    assert_eq!(name, "APIError");
    assert!(
        message.contains("mock failure") && message.contains("requested by the prompt"),
        "{message}"
    );
    assert_eq!(
        (text_of(&answer).as_str(), &answer["info"]["finish"]),
        ("about to fail", &json!("error"))
    );
    let told = events
        .until("session.error", |p| p["sessionID"] == session)
        .await;
    assert_eq!(told.properties["error"], answer["info"]["error"]);
    events.until("session.idle", |_| true).await;
    assert_eq!(answers(&server.messages(&session).await), [&answer]);
    assert_eq!(
        server.say(&session, "echo still there").await,
        "still there"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_turn_without_an_answer_is_an_error() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let answer = server
        .prompt(&session, "error silent", model("mock", "mock"))
        .await;
    let (name, message) = error_of(&answer);
    assert_eq!(name, "APIError");
    assert!(
        message.contains("\"mock\"") && message.contains("without an answer"),
        "{message}"
    );
    events.until("session.error", |_| true).await;
    // An error as the text of an answer cannot be told from an answer.
    let answer = server.say(&session, "error text").await;
    assert_eq!(answer, "API Error: 400 mock failure");
    server.stop().await;
}

#[tokio::test]
async fn a_crash_is_told_and_the_conversation_goes_on() {
    let server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo before", model("mock", "mock-fast"))
        .await;
    let old = server.say(&session, "pid").await;
    let answer = server.prompt(&session, "crash", json!({})).await;
    let (name, message) = error_of(&answer);
    assert_eq!(name, "APIError");
    assert!(
        message.contains("\"mock\"") && message.contains("70"),
        "{message}"
    );
    assert_eq!(text_of(&answer), "crashing now");
    assert_eq!(server.get("/opencode/session/status").await, json!({}));

    let history = server.say(&session, "history").await;
    assert!(history.starts_with("model: mock-fast"), "{history}");
    assert!(history.contains("user: echo before"), "{history}");
    assert!(history.contains("crashing now"), "{history}");
    assert_ne!(server.say(&session, "pid").await, old);
    server.stop().await;
}

#[tokio::test]
async fn an_abort_keeps_what_was_said_and_answers_everybody() {
    let server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo warm", model("mock", "mock"))
        .await;
    let mut events = server.events().await;
    let running = server.prompt_later(&session, "slow 60", json!({}));
    events
        .until("message.part.delta", |p| {
            p["delta"].as_str().is_some_and(|d| d.contains("tick 2"))
        })
        .await;
    let second = server.prompt_later(&session, "echo second", json!({}));
    until_stored(&mut events, 2).await;
    let third = server.prompt_later(&session, "echo third", json!({}));
    until_stored(&mut events, 3).await;
    server.abort(&session).await;

    let (status, aborted) = answered(running).await;
    assert_eq!(status, StatusCode::OK, "{aborted}");
    assert_eq!(error_of(&aborted).0, "MessageAbortedError");
    let said = text_of(&aborted);
    assert!(
        said.starts_with("tick 1 tick 2 ") && !said.contains("done"),
        "{said}"
    );
    assert!(aborted["info"]["time"]["completed"].is_u64());
    // Each prompt that waited is told so itself: not the answer to another one.
    for (waiting, text) in [(second, "echo second"), (third, "echo third")] {
        let (status, answer) = answered(waiting).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(error_of(&answer).0, "MessageAbortedError");
        let messages = server.messages(&session).await;
        let parent = messages
            .iter()
            .find(|m| m["info"]["id"] == answer["info"]["parentID"]);
        assert_eq!(text_of(parent.expect("its prompt")), text);
    }
    events.until("session.idle", |_| true).await;
    assert_eq!(server.get("/opencode/session/status").await, json!({}));
    let messages = server.messages(&session).await;
    assert_eq!(messages.len(), 8, "every prompt has its answer");
    assert_eq!(answers(&messages)[1], &aborted);

    // What was left unanswered is not lost, and the agent still has what it had said.
    let history = server.say(&session, "history").await;
    assert_eq!(history.matches("tick 1 tick 2 ").count(), 1, "{history}");
    for text in ["| echo second", "| echo third"] {
        assert_eq!(history.matches(text).count(), 1, "{history}");
    }
    assert_eq!(answers(&server.messages(&session).await).len(), 5);
    server.stop().await;
}

#[tokio::test]
async fn an_abort_names_what_it_drops_and_can_leave_the_queue() {
    let config = "[sessions]\nabort_queue = \"keep\"\n".to_owned();
    let arguments = vec!["--agents".into(), "mock".into()];
    let server = Server::start_with(Options { config, arguments }).await;
    let session = server.create().await;
    for (query, kept) in [("", true), ("?queue=keep", true), ("?queue=drop", false)] {
        let mut events = server.events().await;
        let running = server.prompt_later(&session, "slow 60", model("mock", "mock"));
        events.until("message.part.delta", |_| true).await;
        let waiting = server.prompt_later(&session, "echo next", json!({}));
        until_stored(&mut events, 2).await;
        let path = format!("/opencode/session/{session}/abort{query}");
        let answer = server.request(Method::POST, &path, None, &[]).await;
        let told = |name: &str| {
            answer
                .headers()
                .get(name)
                .map(|v| v.to_str().unwrap().to_owned())
        };
        let (aborted, dropped) = (told("baton-aborted"), told("baton-dropped"));
        assert_eq!(answer.json::<Value>().await.unwrap(), true);
        let (_, first) = answered(running).await;
        assert_eq!(error_of(&first), ("MessageAbortedError", "Aborted"));
        assert_eq!(aborted.as_deref(), first["info"]["parentID"].as_str());
        let (_, second) = answered(waiting).await;
        if kept {
            assert_eq!((dropped, text_of(&second).as_str()), (None, "next"));
        } else {
            assert_eq!(error_of(&second), ("MessageAbortedError", "Aborted"));
            assert_eq!(dropped.as_deref(), second["info"]["parentID"].as_str());
        }
    }
    let path = format!("/opencode/session/{session}/abort?queue=all");
    let refused = server.request(Method::POST, &path, None, &[]).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let refused = refused.text().await.unwrap();
    assert!(refused.contains("queue"), "{refused}");
    let idle = path.replace("all", "keep");
    let nothing = server.request(Method::POST, &idle, None, &[]).await;
    assert!(!nothing.headers().contains_key("baton-aborted"));
    server.stop().await;
}

#[tokio::test]
async fn an_abort_reaches_a_prompt_that_was_just_sent() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    // The first time the agent has to be started, later it is warm.
    for round in 1..=5 {
        server
            .prompt_async(&session, "slow 60", model("mock", "mock"))
            .await;
        server.abort(&session).await;
        events.until("session.idle", |_| true).await;
        let messages = server.messages(&session).await;
        assert_eq!(messages.len(), 2 * round);
        let answers = answers(&messages);
        let last = answers.last().unwrap();
        assert_eq!(error_of(last).0, "MessageAbortedError", "{last}");
        assert!(last["info"]["time"]["completed"].is_u64());
    }
    // Nothing to abort is not an error, and leaves no mark on what follows.
    server.abort(&session).await;
    assert_eq!(server.say(&session, "echo after").await, "after");
    server.stop().await;
}

#[tokio::test]
async fn a_full_queue_refuses_and_stores_nothing() {
    let config = "[limits]\nqueue_prompts = 2\n".to_owned();
    let arguments = vec!["--agents".into(), "mock".into()];
    let server = Server::start_with(Options { config, arguments }).await;
    let session = server.create().await;
    let mut events = server.events().await;
    let running = server.prompt_later(&session, "slow 60", model("mock", "mock"));
    events.until("message.part.delta", |_| true).await;
    for text in ["echo first", "echo second"] {
        server.prompt_async(&session, text, json!({})).await;
    }
    let path = format!("/opencode/session/{session}/message");
    let before = server.get(&format!("/opencode/session/{session}")).await;
    let body = json!({
        "parts": [{ "type": "text", "text": "echo third" }],
        "model": { "providerID": "mock", "modelID": "mock-fast" },
    });
    let refused = server.request(Method::POST, &path, Some(body), &[]).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    let error: Value = refused.json().await.unwrap();
    assert_eq!(
        (&error["name"], &error["data"]["limit"]),
        (&json!("QueueFullError"), &json!(2))
    );
    let after = server.get(&format!("/opencode/session/{session}")).await;
    assert_eq!(
        (&after["model"], &after["revision"]),
        (&before["model"], &before["revision"])
    );
    assert_eq!(server.messages(&session).await.len(), 4);
    server.abort(&session).await;
    answered(running).await;
    assert_eq!(
        server.say(&session, "echo there is room").await,
        "there is room"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_busy_session_can_be_deleted_but_not_its_messages() {
    let server = Server::start().await;
    let (session, other) = (server.create().await, server.create().await);
    let mut events = server.events().await;
    let running = server.prompt_later(&session, "slow 60", model("mock", "mock"));
    events.until("message.part.delta", |_| true).await;
    let waiting = server.prompt_later(&session, "echo waiting", json!({}));
    until_stored(&mut events, 2).await;

    let messages = server.messages(&session).await;
    let first = messages[0]["info"]["id"].as_str().unwrap();
    let path = format!("/opencode/session/{session}");
    let (status, error) = server
        .send(Method::DELETE, &format!("{path}/message/{first}"), None)
        .await;
    assert_eq!(
        (status, &error["name"]),
        (StatusCode::CONFLICT, &json!("SessionBusyError"))
    );

    assert_eq!(server.ok(Method::DELETE, &path, None).await, true);
    events
        .until("session.deleted", |p| p["info"]["id"] == session)
        .await;
    for gone in [path.clone(), format!("{path}/message")] {
        let (status, error) = server.send(Method::GET, &gone, None).await;
        assert_eq!(
            (status, &error["name"]),
            (StatusCode::NOT_FOUND, &json!("NotFoundError"))
        );
    }
    let (status, answer) = answered(running).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(error_of(&answer).0, "MessageAbortedError");
    // Queued callers are told why there will be no answer; that is not a failure of the server.
    let (status, answer) = answered(waiting).await;
    assert!(!status.is_server_error(), "{status}: {answer}");
    assert_eq!(server.get("/opencode/session/status").await, json!({}));

    // Its events have ended, and the agent serves the next session.
    let before = events.seen.len();
    let answer = server
        .prompt(&other, "echo alive", model("mock", "mock"))
        .await;
    assert_eq!(text_of(&answer), "alive");
    events
        .until("session.idle", |p| p["sessionID"] == other)
        .await;
    let late = events.seen[before..]
        .iter()
        .filter(|e| e.properties["sessionID"] == session);
    assert_eq!(late.count(), 0);
    server.stop().await;
}
