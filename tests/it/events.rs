//! The event streams themselves: order, replay, gaps, directories, heartbeats, shutdown.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Event, Events, Options, PATIENCE, Server, answered, model, text_of};

/// A ring so small that a few events overflow it.
const RING_EVENTS: u64 = 20;

async fn with_tiny_ring() -> Server {
    let config = format!("[limits]\nring_events = {RING_EVENTS}\n");
    let arguments = vec!["--agents".into(), "mock".into()];
    Server::start_with(Options { config, arguments }).await
}

/// The next event that is not a heartbeat. It is there already, or follows from what was done before.
async fn next(events: &mut Events) -> Event {
    let next = async {
        loop {
            let event = events.next().await;
            if event.kind != "server.heartbeat" {
                return event;
            }
        }
    };
    let next = tokio::time::timeout(PATIENCE, next).await;
    next.expect("an event besides heartbeats")
}

/// Renames a session, which makes one event.
async fn rename(server: &Server, session: &str, title: &str) {
    let (status, error) = server.patch(session, json!({ "title": title })).await;
    assert_eq!(status, StatusCode::OK, "{error}");
}

/// The title in the next event.
async fn next_title(events: &mut Events) -> String {
    let event = next(events).await;
    assert_eq!(event.kind, "session.updated");
    event.properties["info"]["title"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_client_that_comes_back_gets_exactly_what_it_missed() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut all = server.events().await;
    assert_eq!(
        (all.seen[0].sequence, all.seen[0].kind.as_str()),
        (None, "server.connected")
    );
    assert!(
        all.seen[0].whole["id"]
            .as_str()
            .unwrap()
            .starts_with("evt_")
    );
    server
        .prompt(&session, "echo one two three", model("mock", "mock"))
        .await;
    server.prompt(&session, "tool a.txt", json!({})).await;
    rename(&server, &session, "the end").await;
    all.until("session.updated", |p| p["info"]["title"] == "the end")
        .await;
    let seen: Vec<_> = all.seen[1..]
        .iter()
        .filter(|e| e.kind != "server.heartbeat")
        .collect();
    let numbers: Vec<_> = seen.iter().map(|e| e.sequence.expect("an id")).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(numbers.len() > 20, "{numbers:?}");

    for at in [0, 1, numbers.len() / 2, numbers.len() - 2] {
        for query in [false, true] {
            let mut again = match query {
                false => Events::open(&server, "/opencode/event", Some(numbers[at])).await,
                true => {
                    let path = format!("/opencode/event?lastEventID={}", numbers[at]);
                    Events::open(&server, &path, None).await
                }
            };
            for expected in &seen[at + 1..] {
                let event = next(&mut again).await;
                assert_eq!(
                    (event.sequence, event.whole),
                    (expected.sequence, expected.whole.clone())
                );
            }
            // The stream continues after it, without a repetition.
            let title = format!("{at} {query}");
            rename(&server, &session, &title).await;
            let mut before = numbers[numbers.len() - 1];
            loop {
                let event = next(&mut again).await;
                assert!(event.sequence > Some(before), "{event:?} after {before}");
                before = event.sequence.unwrap();
                if event.properties["info"]["title"] == title {
                    break;
                }
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_gap_that_is_too_large_is_told() {
    let server = with_tiny_ring().await;
    let session = server.create().await;
    let mut all = server.events().await;
    for n in 0..=3 * RING_EVENTS {
        rename(&server, &session, &format!("title {n}")).await;
    }
    let last = format!("title {}", 3 * RING_EVENTS);
    all.until("session.updated", |p| p["info"]["title"] == last)
        .await;
    let first = all.seen.iter().find_map(|e| e.sequence).unwrap();
    let newest = all.seen.last().unwrap().sequence.unwrap();

    let mut late = Events::open(&server, "/opencode/event", Some(first)).await;
    let resync = next(&mut late).await;
    assert_eq!(
        (resync.kind.as_str(), resync.sequence),
        ("server.resync", None)
    );
    let oldest = newest - RING_EVENTS + 1;
    assert_eq!(
        resync.properties,
        json!({ "lastEventID": first, "oldestEventID": oldest })
    );
    for number in oldest..=newest {
        assert_eq!(next(&mut late).await.sequence, Some(number));
    }
    rename(&server, &session, "on it goes").await;
    assert_eq!(next_title(&mut late).await, "on it goes");
    server.stop().await;
}

#[tokio::test]
async fn a_number_from_before_a_restart_is_a_gap() {
    let mut server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    rename(&server, &session, "before").await;
    let before = next(&mut events).await.sequence.unwrap();
    server.kill().await;
    server.restart().await;
    let mut events = Events::open(&server, "/opencode/event", Some(before)).await;
    rename(&server, &session, "after").await;
    let resync = next(&mut events).await;
    assert_eq!(resync.kind, "server.resync");
    assert_eq!(resync.properties["lastEventID"], before);
    assert_eq!(next_title(&mut events).await, "after");
    let (status, error) = server
        .send(Method::GET, "/opencode/event?lastEventID=x", None)
        .await;
    assert_eq!(
        (status, &error["name"]),
        (StatusCode::BAD_REQUEST, &json!("BadRequest"))
    );
    server.stop().await;
}

#[tokio::test]
async fn each_directory_sees_its_own_and_global_sees_all() {
    let server = Server::start().await;
    let other = server.folder.path().join("other ä");
    std::fs::create_dir(&other).unwrap();
    let other = other.to_str().unwrap();
    let encoded = other.replace(' ', "%20").replace('ä', "%C3%A4");
    let header = [("x-opencode-directory", encoded.as_str())];
    let path = "/opencode/session";
    let made = server
        .request(Method::POST, path, Some(json!({ "title": "new" })), &header)
        .await;
    let there: Value = made.json().await.unwrap();
    assert_eq!(there["directory"], other);
    let there = there["id"].as_str().unwrap();
    let here = server.create().await;

    let mut home = server.events().await;
    let mut by_query = Events::open(
        &server,
        &format!("/opencode/event?directory={encoded}"),
        None,
    )
    .await;
    let mut global = Events::open(&server, "/opencode/global/event", None).await;
    assert_eq!(global.seen[0].whole["directory"], Value::Null);
    rename(&server, &here, "here").await;
    rename(&server, there, "there").await;
    rename(&server, &here, "here again").await;
    assert_eq!(next_title(&mut home).await, "here");
    assert_eq!(next_title(&mut home).await, "here again");
    assert_eq!(next_title(&mut by_query).await, "there");
    let work = server.work();
    for (title, directory) in [
        ("here", work.to_str().unwrap()),
        ("there", other),
        ("here again", work.to_str().unwrap()),
    ] {
        let event = next(&mut global).await;
        assert_eq!(event.whole["directory"], directory);
        let payload = &event.whole["payload"];
        assert_eq!(payload["properties"]["info"]["title"], title);
        assert!(payload["id"].as_str().unwrap().starts_with("evt_"));
        assert!(event.sequence.is_some());
    }

    // The agent works where the session is, and a request there is only for it.
    let answer = server.prompt(there, "cwd", json!({})).await;
    assert_eq!(text_of(&answer), other);
    let stream = server
        .request(Method::GET, "/opencode/event", None, &header)
        .await;
    assert_eq!(stream.status(), StatusCode::OK);
    let nowhere = [("x-opencode-directory", "/nonexistent")];
    let refused = server
        .request(Method::POST, path, Some(json!({})), &nowhere)
        .await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    server.stop().await;
}

#[tokio::test]
async fn quiet_streams_have_heartbeats() {
    let server = Server::start().await;
    let mut bare = server.events().await;
    let mut global = Events::open(&server, "/opencode/global/event", None).await;
    let opened = Instant::now();
    bare.until("server.heartbeat", |_| true).await;
    let beat = global.until("server.heartbeat", |_| true).await;
    let waited = opened.elapsed();
    assert!(waited > Duration::from_secs(8), "{waited:?}");
    assert!(waited < Duration::from_secs(20), "{waited:?}");
    assert_eq!(beat.whole["payload"]["properties"], json!({}));
    server.stop().await;
}

#[tokio::test]
async fn what_does_not_exist_is_reported_in_json() {
    let server = Server::start().await;
    for (method, path, expected) in [
        (Method::GET, "/", StatusCode::NOT_FOUND),
        (Method::GET, "/opencode", StatusCode::NOT_FOUND),
        (Method::GET, "/opencode/nope", StatusCode::NOT_FOUND),
        (
            Method::POST,
            "/opencode/session/ses_x/nope",
            StatusCode::NOT_FOUND,
        ),
        (Method::GET, "/opencode/nope", StatusCode::NOT_FOUND),
        (Method::GET, "/opencode/api/nope", StatusCode::NOT_FOUND),
        (Method::GET, "/sessions", StatusCode::NOT_FOUND),
        (
            Method::GET,
            "/opencode/session/ses_missing",
            StatusCode::NOT_FOUND,
        ),
        (
            Method::PUT,
            "/opencode/session",
            StatusCode::METHOD_NOT_ALLOWED,
        ),
    ] {
        let response = server.request(method, path, None, &[]).await;
        assert_eq!(response.status(), expected, "{path}");
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert!(kind.starts_with("application/json"), "{path}: {kind}");
        let error: Value = response.json().await.unwrap();
        let message = &error["data"]["message"];
        assert!(
            message.is_string() || error["message"].is_string(),
            "{path}: {error}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_shutdown_ends_streams_and_turns() {
    let mut server = Server::start().await;
    let session = server.create().await;
    let mut streams = vec![
        server.events().await,
        server.events().await,
        Events::open(&server, "/opencode/global/event", None).await,
    ];
    let running = server.prompt_later(&session, "slow 60", model("mock", "mock"));
    for stream in &mut streams {
        stream.until("message.part.delta", |_| true).await;
    }
    let asked = Instant::now();
    server.terminate().await;
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    for stream in &mut streams {
        stream.until_end().await;
    }
    assert_eq!(server.processes(), Vec::<u32>::new());
    let (status, answer) = answered(running).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["info"]["error"]["name"], "MessageAbortedError");
    assert!(text_of(&answer).starts_with("tick 1 "));

    server.restart().await;
    assert_eq!(server.messages(&session).await[1], answer);
    assert_eq!(server.get("/opencode/session/status").await, json!({}));
    let history = server.say(&session, "history").await;
    assert!(history.contains("tick 1 "), "{history}");
    server.stop().await;
}
