//! What OpenCode 2 is told while something happens: streams, the durable log, waiting, questions.

use std::collections::HashSet;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::harness::{PATIENCE, Server, model, read_frames};
use crate::second::{API, api, ask, create};

/// A stream of OpenCode 2: its events as they come.
pub(crate) struct Stream(mpsc::UnboundedReceiver<Value>);

impl Stream {
    pub(crate) async fn open(server: &Server, path: &str) -> Self {
        let url = format!("{}{API}{path}", server.url);
        let response = reqwest::Client::new()
            .get(url)
            .send()
            .await
            .expect("a stream");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(read_frames(response, sender));
        Self(receiver)
    }

    async fn next(&mut self) -> Value {
        let next = tokio::time::timeout(PATIENCE, self.0.recv()).await;
        next.expect("an event in time").expect("the stream goes on")
    }

    /// Everything up to the first event of a type, with it.
    pub(crate) async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            let event = self.next().await;
            let is_it = event["type"] == kind;
            seen.push(event);
            if is_it {
                return seen;
            }
        }
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    let kinds = events.iter().filter_map(|e| e["type"].as_str());
    kinds
        .filter_map(|kind| kind.strip_prefix("session.next."))
        .collect()
}

#[tokio::test]
async fn a_session_can_be_interrupted_and_waited_for() {
    let server = Server::start().await;
    let session = create(&server).await;
    let mut events = server.events().await;
    let path = format!("/session/{session}/prompt");
    api(
        &server,
        Method::POST,
        &path,
        json!({ "prompt": { "text": "slow 600" } }),
    )
    .await;
    events.until("message.part.delta", |_| true).await;
    let active = server.get(&format!("{API}/session/active")).await;
    assert_eq!(
        active,
        json!({ "data": { &session: { "type": "running" } } })
    );
    let url = format!("{}{API}/session/{session}/wait", server.url);
    let waiting = tokio::spawn(server.client.post(url).send());
    let (status, _) = api(
        &server,
        Method::POST,
        &format!("/session/{session}/interrupt"),
        Value::Null,
    )
    .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let waited = tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("in time")
        .expect("no panic");
    assert_eq!(waited.expect("an answer").status(), StatusCode::NO_CONTENT);
    assert_eq!(
        server.get(&format!("{API}/session/active")).await,
        json!({ "data": {} })
    );
    let listed = server
        .get(&format!("{API}/session/{session}/message"))
        .await;
    assert_eq!(listed["data"][0]["error"]["type"], "unknown", "{listed}");
    server.stop().await;
}

#[tokio::test]
async fn the_stream_shows_an_answer_in_the_second_versions_words() {
    let server = Server::start().await;
    let mut stream = Stream::open(&server, "/event").await;
    assert_eq!(stream.next().await["type"], "server.connected");
    let session = create(&server).await;
    ask(&server, &session, "tool a.txt").await;
    let events = stream.until("session.next.step.ended").await;
    let told = kinds(&events);
    let mut once: Vec<&str> = Vec::new();
    for kind in told {
        // Texts come in pieces, as many as the agent likes.
        if once.last() != Some(&kind) {
            once.push(kind);
        }
    }
    let expected = [
        "prompt.admitted",
        "prompted",
        "step.started",
        "reasoning.started",
        "reasoning.delta",
        "reasoning.ended",
        "tool.input.started",
        "tool.input.ended",
        "tool.called",
        "tool.success",
        "text.started",
        "text.delta",
        "text.ended",
        "step.ended",
    ];
    assert_eq!(once, expected);
    let find = |kind: &str| {
        events
            .iter()
            .find(|e| e["type"] == kind)
            .expect("it was told")
    };
    let text: String = events
        .iter()
        .filter(|e| e["type"] == "session.next.text.delta")
        .map(|e| e["data"]["delta"].as_str().unwrap())
        .collect();
    assert_eq!(find("session.next.text.ended")["data"]["text"], text);
    assert_eq!(
        find("session.next.step.started")["location"]["directory"],
        server.work().canonicalize().unwrap().to_str().unwrap()
    );
    // The first version's events are there, too, in this version's shape.
    assert!(find("message.part.updated")["data"]["part"].is_object());
    let ids: HashSet<_> = events.iter().map(|e| e["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len());
    server.stop().await;
}

#[tokio::test]
async fn the_first_versions_streams_do_not_have_the_second_versions_steps() {
    let server = Server::start().await;
    let session = create(&server).await;
    let mut events = server.events().await;
    ask(&server, &session, "plan").await;
    events
        .until("session.idle", |p| p["sessionID"] == session)
        .await;
    let second: Vec<_> = events
        .kinds()
        .into_iter()
        .filter(|k| k.starts_with("session.next."))
        .collect();
    assert_eq!(second, Vec::<&str>::new());
    server.stop().await;
}

#[tokio::test]
async fn the_log_of_a_session_is_whole_and_the_same_after_a_crash() {
    let mut server = Server::start().await;
    let session = create(&server).await;
    let mut stream = Stream::open(&server, &format!("/session/{session}/event")).await;
    let admitted = ask(&server, &session, "tool a.txt").await;
    let mut told = stream.until("session.next.step.ended").await;
    let seqs = |events: &[Value]| {
        events
            .iter()
            .map(|e| e["durable"]["seq"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    let prompt = told
        .iter()
        .find(|e| e["type"] == "session.next.prompt.admitted")
        .expect("a prompt");
    assert_eq!(prompt["durable"]["seq"], admitted["admittedSeq"]);
    ask(&server, &session, "plan").await;
    told.extend(stream.until("session.next.step.ended").await);
    assert!(seqs(&told).is_sorted_by(|a, b| a < b), "{:?}", seqs(&told));
    for kind in [
        "tool.called",
        "tool.success",
        "reasoning.ended",
        "text.ended",
    ] {
        assert!(kinds(&told).contains(&kind), "{kind}: {:?}", kinds(&told));
    }
    server.kill().await;
    server.restart().await;
    let history = server
        .get(&format!("{API}/session/{session}/history"))
        .await;
    assert_eq!(
        (&history["data"], &history["hasMore"]),
        (&json!(told), &json!(false))
    );

    // In pieces: pages, and a stream that goes on where another one ended.
    let path = format!("{API}/session/{session}/history?limit=3");
    let page = server.get(&path).await;
    assert_eq!(
        (&page["data"], &page["hasMore"]),
        (&json!(told[..3]), &json!(true))
    );
    let after = seqs(&told)[2];
    let rest = server
        .get(&format!("{API}/session/{session}/history?after={after}"))
        .await;
    assert_eq!(rest["data"], json!(told[3..]));
    let mut stream =
        Stream::open(&server, &format!("/session/{session}/event?after={after}")).await;
    for expected in &told[3..] {
        assert_eq!(stream.next().await, *expected);
    }
    server
        .prompt(&session, "echo more", model("mock", "mock"))
        .await;
    let more = stream.until("session.next.step.ended").await;
    assert!(seqs(&more)[0] > *seqs(&told).last().unwrap());
    server
        .ok(
            Method::DELETE,
            &format!("/opencode/session/{session}"),
            None,
        )
        .await;
    let ended = tokio::time::timeout(PATIENCE, stream.0.recv())
        .await
        .expect("in time");
    assert_eq!(ended, None, "a deleted session has no log");
    server.stop().await;
}

#[tokio::test]
async fn a_queued_prompt_comes_after_the_answer_before_it() {
    let server = Server::start().await;
    let session = create(&server).await;
    let mut stream = Stream::open(&server, &format!("/session/{session}/event")).await;
    let path = format!("/session/{session}/prompt");
    for text in ["slow 1", "echo two"] {
        let (status, _) = api(
            &server,
            Method::POST,
            &path,
            json!({ "prompt": { "text": text } }),
        )
        .await;
        assert_eq!(status, StatusCode::OK);
    }
    let mut events = stream.until("session.next.step.ended").await;
    events.extend(stream.until("session.next.step.ended").await);
    let told: Vec<_> = kinds(&events)
        .into_iter()
        .filter(|k| !k.starts_with("text"))
        .collect();
    let expected = [
        "prompt.admitted",
        "prompted",
        "step.started",
        "step.ended",
        "prompt.admitted",
        "prompted",
        "step.started",
        "step.ended",
    ];
    assert_eq!(told, expected);
    server.stop().await;
}

#[tokio::test]
async fn permissions_and_questions_are_answered_below_their_session() {
    let server = Server::start().await;
    let session = create(&server).await;
    let other = create(&server).await;
    let mut events = server.events().await;
    for (text, asked, kind, path, body) in [
        (
            "permission",
            "permission.asked",
            "permission",
            "reply",
            json!({ "reply": "once" }),
        ),
        (
            "question",
            "question.asked",
            "question",
            "reply",
            json!({ "answers": [["Red"]] }),
        ),
        (
            "question",
            "question.asked",
            "question",
            "reject",
            Value::Null,
        ),
    ] {
        let prompt = format!("/session/{session}/prompt");
        api(
            &server,
            Method::POST,
            &prompt,
            json!({ "prompt": { "text": text } }),
        )
        .await;
        let request = events
            .until(asked, |p| p["sessionID"] == session)
            .await
            .properties;
        let id = request["id"].as_str().unwrap();
        let listed = server.get(&format!("{API}/session/{session}/{kind}")).await;
        assert_eq!(listed["data"][0]["id"], request["id"]);
        assert_eq!(
            server.get(&format!("{API}/session/{other}/{kind}")).await,
            json!({ "data": [] })
        );
        assert_eq!(
            server.get(&format!("{API}/{kind}/request")).await["data"][0]["id"],
            request["id"]
        );
        if kind == "permission" {
            let one = server
                .get(&format!("{API}/session/{session}/permission/{id}"))
                .await;
            assert_eq!(one["data"], listed["data"][0]);
            assert_eq!(one["data"]["action"], request["permission"]);
        }
        // Another session's request is not to be answered through this one.
        let wrong = format!("/session/{other}/{kind}/{id}/{path}");
        let (status, refused) = api(&server, Method::POST, &wrong, body.clone()).await;
        assert_eq!(
            (status, &refused["requestID"]),
            (StatusCode::NOT_FOUND, &request["id"]),
            "{refused}"
        );
        let right = format!("/session/{session}/{kind}/{id}/{path}");
        let (status, answer) = api(&server, Method::POST, &right, body).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
        let idle = events.until("session.idle", |p| p["sessionID"] == session);
        tokio::time::timeout(Duration::from_secs(60), idle)
            .await
            .expect("it goes on");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_compacted_session_goes_on_from_its_summary() {
    let server = Server::start().await;
    let session = create(&server).await;
    ask(&server, &session, "echo one").await;
    let path = format!("/session/{session}/compact");
    let (status, answer) = api(&server, Method::POST, &path, Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    let wait = format!("/session/{session}/wait");
    api(&server, Method::POST, &wait, Value::Null).await;
    ask(&server, &session, "echo two").await;
    let context = server
        .get(&format!("{API}/session/{session}/context"))
        .await;
    let kinds: Vec<_> = context["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["compaction", "user", "assistant"], "{context}");
    assert_ne!(context["data"][0]["summary"], "");
    let history = server
        .get(&format!("{API}/session/{session}/history"))
        .await;
    let told = kinds_of(&history);
    let at = |kind: &str| {
        told.iter()
            .position(|k| k == kind)
            .unwrap_or_else(|| panic!("{kind}: {told:?}"))
    };
    assert!(at("compaction.started") < at("compaction.ended"));
    server.stop().await;
}

fn kinds_of(history: &Value) -> Vec<String> {
    let events = history["data"].as_array().expect("events");
    kinds(events).into_iter().map(str::to_owned).collect()
}
