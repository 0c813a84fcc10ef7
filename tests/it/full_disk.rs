//! The disk is full for a while: a limit on the size of the server's files does the same to its writes.

use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Server, model, text_of};

/// Lets no file of the server grow beyond the store's log as it is now, or lifts that.
fn limit(server: &Server, limited: bool) {
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
    // Everything is said by then; its end is not stored, so nobody is told of it.
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
