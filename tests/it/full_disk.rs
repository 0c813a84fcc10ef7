//! The disk is full for a while: a limit on the size of the server's files does the same to its writes.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::concurrency::{consistent, selection};
use crate::harness::{Server, model, text_of};

/// Clients of the one session.
const CLIENTS: usize = 64;
/// What each of them does, in number.
const OPERATIONS: usize = 24;
/// After this many answers the disk is full, or has room again.
const ANSWERS_PER_TURN: usize = 60;

/// Lets no file of the server grow beyond the store's log as it is now, or lifts that.
pub(crate) fn limit(server: &Server, limited: bool) {
    let log = server.folder.path().join("data/baton.sqlite-wal");
    let bytes = std::fs::metadata(log).expect("the store's log").len();
    let limit = if limited {
        bytes.to_string()
    } else {
        "unlimited".to_owned()
    };
    let status = Command::new("prlimit")
        .arg(format!("--pid={}", server.pid()))
        .arg(format!("--fsize={limit}:unlimited"))
        .status();
    assert!(status.expect("prlimit of util-linux").success());
}

async fn patch(server: &Server, session: &str, model: &str) -> (StatusCode, Value) {
    let path = format!("/opencode/session/{session}");
    let body = json!({ "providerID": "mock", "modelID": model });
    server.send(Method::PATCH, &path, Some(body)).await
}

#[tokio::test]
async fn nothing_is_acknowledged_that_is_not_stored_and_all_goes_on_when_there_is_room() {
    let mut server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let path = format!("/opencode/session/{session}");
    let before = server.get(&path).await;
    let mut events = server.events().await;

    limit(&server, true);
    for wanted in ["mock-fast", "mock-strong", "mock-fast"] {
        let (status, error) = patch(&server, &session, wanted).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{error}");
        assert_eq!(error["name"], "ServiceUnavailableError");
    }
    let prompt = json!({ "parts": [{ "type": "text", "text": "echo two" }] });
    let message = format!("{path}/message");
    let (status, _) = server.send(Method::POST, &message, Some(prompt)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let now = server.get(&path).await;
    assert_eq!(now["revision"], before["revision"]);
    assert_eq!(server.messages(&session).await.len(), 2);

    limit(&server, false);
    let (status, after) = patch(&server, &session, "mock-strong").await;
    assert_eq!(status, StatusCode::OK, "{after}");
    let changed = events.until("session.model_changed", |_| true).await;
    assert_eq!(changed.properties["revision"], after["revision"]);
    assert_eq!(
        after["revision"].as_u64(),
        before["revision"].as_u64().map(|r| r + 1)
    );
    let trail = server.get(&format!("{path}/model")).await;
    let last = trail["switches"].as_array().and_then(|s| s.last()).unwrap();
    assert_eq!(last["current"], trail["selected"]);
    server.kill().await;
    server.restart().await;
    assert_eq!(server.get(&path).await["revision"], after["revision"]);
    let answer = server.prompt(&session, "echo three", json!({})).await;
    assert_eq!(text_of(&answer), "three");
    server.stop().await;
}

#[tokio::test]
async fn a_turn_that_cannot_be_stored_ends_when_it_can() {
    let server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let mut events = server.events().await;
    let running = server.prompt_later(&session, "slow 1", json!({}));
    events.until("message.part.delta", |_| true).await;
    limit(&server, true);
    // Everything is said by then; its end is not stored, so it is not published.
    events
        .until("message.part.delta", |p| {
            p["delta"].as_str().is_some_and(|d| d.contains("done"))
        })
        .await;
    let messages = server.messages(&session).await;
    let last = messages.last().expect("the answer");
    assert_eq!(last["info"]["time"].get("completed"), None, "{last}");
    assert!(!running.is_finished());
    limit(&server, false);
    let (status, answer) = running.await.expect("an answer");
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["info"]["error"], Value::Null);
    events.until("session.idle", |_| true).await;
    server.stop().await;
}

/// Which selection was seen at which revision, by anybody and anywhere.
#[derive(Default)]
struct Seen(Mutex<BTreeMap<u64, Value>>);

impl Seen {
    fn note(&self, revision: &Value, selection: &Value) {
        let revision = revision.as_u64().expect("revision");
        let mut seen = self.0.lock().unwrap();
        let first = seen.entry(revision).or_insert_with(|| selection.clone());
        assert_eq!(first, selection, "two selections at revision {revision}");
    }
}

/// Changes and reads one session; answers the last revision that was acknowledged, and how often the disk was full.
async fn client(
    server: Arc<Server>,
    path: String,
    seen: Arc<Seen>,
    done: Arc<AtomicUsize>,
    number: usize,
) -> (u64, usize) {
    let (mut acknowledged, mut full) = (0, 0);
    for n in 0..OPERATIONS {
        match (n + number) % 4 {
            0 => {
                let trail = server.get(&format!("{path}/model")).await;
                seen.note(&trail["revision"], &trail["selected"]);
                let last = trail["switches"].as_array().and_then(|s| s.last()).unwrap();
                assert_eq!(last["current"], trail["selected"]);
            }
            1 => {
                let session = server.get(&path).await;
                consistent(&session);
                seen.note(&session["revision"], &selection(&session));
            }
            _ => {
                let model = ["mock", "mock-fast", "mock-strong"][(n * 7 + number) % 3];
                let body = json!({ "providerID": "mock", "modelID": model });
                let (status, session) = server.send(Method::PATCH, &path, Some(body)).await;
                if status == StatusCode::OK {
                    assert_eq!(session["model"]["id"], model);
                    acknowledged = acknowledged.max(consistent(&session));
                    seen.note(&session["revision"], &selection(&session));
                } else {
                    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{session}");
                    full += 1;
                }
            }
        }
        let answers = done.fetch_add(1, Ordering::Relaxed) + 1;
        if answers.is_multiple_of(ANSWERS_PER_TURN) {
            limit(&server, answers / ANSWERS_PER_TURN % 2 == 1);
        }
    }
    (acknowledged, full)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_readers_agree_at_every_moment_while_the_disk_is_full_on_and_off() {
    let server = Arc::new(Server::start().await);
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let path = format!("/opencode/session/{session}");
    let mut events = server.events().await;
    let (seen, done) = (Arc::new(Seen::default()), Arc::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (seen, done) = (Arc::clone(&seen), Arc::clone(&done));
            tokio::spawn(client(
                Arc::clone(&server),
                path.clone(),
                seen,
                done,
                number,
            ))
        })
        .collect();
    let (mut acknowledged, mut full) = (0, 0);
    for client in clients {
        let (revision, refused) = client.await.expect("no disagreement");
        acknowledged = acknowledged.max(revision);
        full += refused;
    }
    limit(&server, false);
    assert!(full > 0, "the disk was never full");
    let last = server.select(&session, "mock", "mock-fast").await;
    assert!(last["revision"].as_u64() >= Some(acknowledged));
    let revision = last["revision"].clone();
    events
        .until("session.updated", |p| p["info"]["revision"] == revision)
        .await;
    for changed in events.of("session.model_changed") {
        seen.note(&changed["revision"], &changed["current"]);
    }
    for updated in events.of("session.updated") {
        seen.note(&updated["info"]["revision"], &selection(&updated["info"]));
    }
    println!("{full} refused, {} revisions", seen.0.lock().unwrap().len());

    let mut server = Arc::into_inner(server).expect("no client is left");
    server.kill().await;
    server.restart().await;
    let trail = server.get(&format!("{path}/model")).await;
    assert_eq!(trail["revision"], revision);
    let switches = trail["switches"].as_array().expect("switches");
    for (before, after) in switches.iter().zip(switches.iter().skip(1)) {
        assert_eq!(after["previous"], before["current"]);
    }
    for switch in switches {
        seen.note(&switch["revision"], &switch["current"]);
    }
    server.stop().await;
}
