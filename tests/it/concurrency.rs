//! Many clients on one session: the invariants of the locked operation, seen from outside.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::client::{Client, REFUSED};
use crate::harness::{Events, Server, answered, model, text_of};

/// Clients of the one session.
const CLIENTS: u64 = 64;
/// The selection that a session shows, in the form in which `runtime` shows one.
pub(crate) fn selection(session: &Value) -> Value {
    let (model, agent) = (&session["model"], &session["agent"]);
    let mut shown = json!({ "providerID": model["providerID"], "modelID": model["id"] });
    // The name that a session has for no variant.
    if model["variant"] != "default" {
        shown["variant"] = model["variant"].clone();
    }
    shown["agent"] = agent.clone();
    shown
}

/// Asserts that state and runtime name the same selection, and returns the revision.
pub(crate) fn consistent(session: &Value) -> u64 {
    let (selection, runtime) = (selection(session), &session["runtime"]);
    if runtime["pending"].is_null() {
        assert_eq!(runtime["applied"], selection, "{session}");
    } else {
        let mut pending = runtime["pending"].clone();
        let reason = pending.as_object_mut().and_then(|p| p.remove("reason"));
        let reason = reason.as_ref().and_then(Value::as_str);
        assert!(
            matches!(reason, Some("starting" | "turn" | "store")),
            "{session}"
        );
        assert_eq!(pending, selection, "{session}");
        assert_ne!(runtime["applied"], selection, "{session}");
    }
    session["revision"].as_u64().expect("revision")
}

/// Every change is told exactly once, in the order of the revisions, and whole.
fn assert_events(events: &Events, first_revision: u64, first_selection: &Value, last: &Value) {
    assert_eq!(events.of("server.resync").len(), 0);
    let mut revision = first_revision;
    let mut current = first_selection.clone();
    let mut owed = None;
    for event in &events.seen {
        let p = &event.properties;
        match event.kind.as_str() {
            "session.model_changed" => {
                assert_eq!(p["revision"], revision + 1);
                assert_eq!(p["previous"], current);
                assert_ne!(p["current"], current);
                current = p["current"].clone();
                owed = Some(revision + 1);
            }
            "session.updated" => {
                let info = &p["info"];
                consistent(info);
                let told = info["revision"].as_u64().unwrap();
                // Events without a new revision are about tokens, titles of the first prompt and the like.
                assert!(
                    told == revision || told == revision + 1,
                    "{told} after {revision}"
                );
                assert!(owed.is_none_or(|owed| owed == told), "{owed:?}: {told}");
                assert_eq!(selection(info), current);
                assert_ne!(info["title"], REFUSED);
                (revision, owed) = (told, None);
            }
            "session.model_applied" => {
                assert!(p["revision"].as_u64() <= Some(revision));
            }
            "session.model_failed" => panic!("{p}"),
            _ => {}
        }
    }
    assert_eq!(last["revision"], revision);
    assert_eq!(selection(last), current);
}

/// Every answer has the model of its prompt, and it was that model that answered.
fn assert_messages(messages: &[Value]) {
    let prompts: HashMap<_, _> = messages
        .iter()
        .filter(|m| m["info"]["role"] == "user")
        .map(|m| (m["info"]["id"].as_str().unwrap(), m))
        .collect();
    let mut said = 0;
    for answer in messages.iter().filter(|m| m["info"]["role"] == "assistant") {
        let info = &answer["info"];
        let prompt = prompts[info["parentID"].as_str().unwrap()];
        let chosen = &prompt["info"]["model"];
        for field in ["providerID", "modelID", "variant"] {
            assert_eq!(info[field], chosen[field], "{field}: {info}");
        }
        assert_eq!(info["agent"], prompt["info"]["agent"]);
        assert!(info["time"]["completed"].is_u64(), "{info}");
        if text_of(prompt) != "model" || !info["error"].is_null() {
            let name = &info["error"]["name"];
            assert!(name.is_null() || name == "MessageAbortedError", "{info}");
            continue;
        }
        let id = info["modelID"].as_str().unwrap();
        let expected = match (id, info["variant"].as_str()) {
            ("mock-strong", variant) => format!("{id} ({})", variant.unwrap_or("medium")),
            _ => id.to_owned(),
        };
        assert_eq!(text_of(answer), expected);
        said += 1;
    }
    println!("{} messages, {said} answers checked", messages.len());
    assert!(said > 10, "only {said} answers could be checked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_clients_on_one_session_break_no_invariant() {
    let server = Arc::new(Server::start().await);
    let session = server.create().await;
    let path = format!("/opencode/session/{session}");
    server
        .prompt(&session, "echo first", model("mock", "mock"))
        .await;
    let begin = server.get(&path).await;
    let mut events = server.events().await;
    let started = Instant::now();
    let clients: Vec<_> = (1..=CLIENTS)
        .map(|seed| {
            let client = Client::new(Arc::clone(&server), path.clone(), seed);
            tokio::spawn(client.run())
        })
        .collect();
    let (mut prompts, mut full) = (1, 0);
    for client in clients {
        let client = client.await.expect("no invariant broken");
        prompts += client.prompts;
        full += client.full;
    }
    let took = started.elapsed();
    println!("{took:?}; {prompts} prompts taken, {full} found the queue full");

    server.until_idle(&session).await;
    let (status, _) = server.patch(&session, json!({ "title": "the end" })).await;
    assert_eq!(status, StatusCode::OK);
    // One that takes effect only after everything before it has settled.
    let last = server.select(&session, "mock", "mock").await;
    consistent(&last);
    assert_eq!(last["runtime"]["pending"], Value::Null);
    let title = json!("end of events");
    let (_, last) = server.patch(&session, json!({ "title": title })).await;
    events
        .until("session.updated", |p| p["info"]["title"] == title)
        .await;
    let first = begin["revision"].as_u64().unwrap();
    assert_events(&events, first, &selection(&begin), &last);

    let messages = server.messages(&session).await;
    // The lines about switches are not prompts.
    let is_prompt = |m: &&Value| m["info"]["role"] == "user" && m["parts"][0]["ignored"] != true;
    let stored = messages.iter().filter(is_prompt);
    assert_eq!(
        stored.count(),
        prompts,
        "a refused prompt left a message, or one was lost"
    );
    assert!(messages.iter().all(|m| text_of(m) != REFUSED));
    assert_messages(&messages);
    let server = Arc::into_inner(server).expect("no client is left");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_patches_over_sixteen_connections() {
    const PATCHES: usize = 1_000;
    const CONNECTIONS: usize = 16;
    let server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo first", model("mock", "mock"))
        .await;
    let mut events = server.events().await;
    let url = format!("{}/opencode/session/{session}", server.url);
    let started = Instant::now();
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|connection| {
            let (client, url) = (reqwest::Client::new(), url.clone());
            tokio::spawn(async move {
                let mut latest = 0;
                for n in (connection..PATCHES).step_by(CONNECTIONS) {
                    let id = ["mock-fast", "mock-strong"][(n / CONNECTIONS + n) % 2];
                    let body = json!({ "providerID": "mock", "modelID": id });
                    let answer = client.patch(&url).json(&body).send().await.expect("answer");
                    assert_eq!(answer.status(), StatusCode::OK);
                    let session: Value = answer.json().await.expect("JSON");
                    assert_eq!(session["model"]["id"], id);
                    let revision = consistent(&session);
                    assert!(revision >= latest);
                    latest = revision;
                }
            })
        })
        .collect();
    for connection in connections {
        connection.await.expect("no error");
    }
    println!("{PATCHES} PATCHes in {:?}", started.elapsed());
    let last = server.select(&session, "mock", "mock").await;
    assert_eq!(last["runtime"]["applied"], selection(&last));
    let revision = last["revision"].as_u64().unwrap();
    events
        .until("session.model_applied", |p| p["revision"] == revision)
        .await;
    let changed = events.of("session.model_changed");
    let revisions: Vec<_> = changed
        .iter()
        .map(|p| p["revision"].as_u64().unwrap())
        .collect();
    let first = revisions[0];
    assert_eq!(revisions, (first..=revision).collect::<Vec<_>>());
    assert!(
        changed
            .windows(2)
            .all(|two| two[0]["current"] == two[1]["previous"])
    );
    assert!(
        revisions.len() > PATCHES / 4,
        "{} were changes",
        revisions.len()
    );
    assert_eq!(server.say(&session, "model").await, "mock");
    server.stop().await;
}

#[tokio::test]
async fn two_sessions_do_not_wait_for_each_other() {
    let server = Server::start().await;
    let (slow, quick) = (server.create().await, server.create().await);
    let mut events = server.events().await;
    let running = server.prompt_later(&slow, "slow 4", model("mock", "mock"));
    events.until("message.part.delta", |_| true).await;
    let started = Instant::now();
    let (status, patched) = server
        .patch(
            &quick,
            json!({ "providerID": "mock", "modelID": "mock-fast" }),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{patched}");
    let took = started.elapsed();
    assert!(took < Duration::from_millis(1500), "{took:?}");
    // It is applied and answers, in the same process of the agent, next to the running turn.
    server.select(&quick, "mock", "mock-strong").await;
    assert_eq!(server.say(&quick, "model").await, "mock-strong (medium)");
    let status = server.get("/opencode/session/status").await;
    assert_eq!(status, json!({ slow.clone(): { "type": "busy" } }));
    assert!(!running.is_finished());
    let (_, answer) = answered(running).await;
    assert!(text_of(&answer).ends_with("done"));
    server.stop().await;
}

#[tokio::test]
async fn clients_that_go_away_in_the_middle_leave_a_whole_session_behind() {
    let server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo first", model("mock", "mock"))
        .await;
    let mut events = server.events().await;
    let path = format!("/opencode/session/{session}");
    let begin = server.get(&path).await;
    for n in 0..200_u64 {
        // Its connection is closed at some moment between the request and the answer.
        let id = ["mock-fast", "mock-strong"][usize::from(n % 2 == 0)];
        let body = json!({ "providerID": "mock", "modelID": id, "title": format!("{n}") });
        let url = format!("{}{path}", server.url);
        let patch = reqwest::Client::new().patch(url).json(&body).send();
        let _gone = tokio::time::timeout(Duration::from_micros(n * 20), patch).await;
    }
    // A request whose client has gone is still carried out if the server had read it, also after this one.
    let (last, revision) = loop {
        let last = server.select(&session, "mock", "mock").await;
        let revision = last["revision"].as_u64().unwrap();
        let applied = events
            .until("session.model_applied", |p| {
                p["revision"].as_u64() >= Some(revision)
            })
            .await;
        if applied.properties["revision"] == revision {
            break (last, revision);
        }
    };
    let first = begin["revision"].as_u64().unwrap();
    assert!(revision > first + 10, "{revision}: too few got through");
    assert_events(&events, first, &selection(&begin), &last);
    let answer = server.prompt(&session, "model", json!({})).await;
    let named = answer["info"]["modelID"].as_str().unwrap();
    assert_eq!(text_of(&answer).split(' ').next(), Some(named));
    server.stop().await;
}
