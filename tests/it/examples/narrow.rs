//! Errors of a server with little room, and of one from whose data directory something is gone.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::recorder::Recorder;
use crate::connections::{connect, until_closed};
use crate::full_disk::limit;
use crate::harness::{Options, Server, model};
use crate::revert::{init_repository, prompts, try_revert};

const CONFIG: &str =
    "[limits]\nbody_bytes = 1000\nsessions = 1\n[timeouts]\nheader_s = 10\nbody_s = 1\n";
/// Where sessions are made, in both versions.
const MADE_AT: [&str; 2] = ["/opencode/session", "/opencode/api/session"];

/// Keeps each of them.
pub(super) async fn refusals(recorder: &mut Recorder<'_>) {
    let server = Server::start_with(Options {
        config: CONFIG.to_owned(),
        arguments: vec!["--agents".into(), "mock".into()],
    })
    .await;
    init_repository(&server);
    let session = server.create().await;
    server
        .prompt(&session, "tool a.txt", model("mock", "mock"))
        .await;
    for path in MADE_AT {
        bodies(recorder, &server, path).await;
        let (status, error) = server.send(Method::POST, path, Some(json!({}))).await;
        let cause = "There are as many sessions as may be (limits.sessions), or the disk is full.";
        recorder.keep_error(cause, status, &error);
    }

    let spent = json!({ "limit": { "tokens": 1 } });
    let (status, limited) = server.patch(&session, spent).await;
    assert_eq!(status, StatusCode::OK, "{limited}");
    for (path, prompt) in [
        (
            format!("/opencode/session/{session}/message"),
            json!({ "parts": [{ "type": "text", "text": "go on" }] }),
        ),
        (
            format!("/opencode/api/session/{session}/prompt"),
            json!({ "prompt": { "text": "go on" } }),
        ),
    ] {
        let (status, error) = server.send(Method::POST, &path, Some(prompt)).await;
        let cause = "The session has spent what it may spend.";
        recorder.keep_error(cause, status, &error);
    }
    limit(&server, true);
    let to = json!({ "providerID": "mock", "modelID": "mock-fast" });
    let (status, error) = server.patch(&session, to).await;
    let cause = "Nothing can be stored for now.";
    recorder.keep_error(cause, status, &error);
    let to = json!({ "model": { "providerID": "mock", "id": "mock-fast" } });
    let path = format!("/opencode/api/session/{session}/model");
    let (status, error) = server.send(Method::POST, &path, Some(to)).await;
    recorder.keep_error(cause, status, &error);
    limit(&server, false);

    let prompt = prompts(&server, &session).await.remove(0);
    std::fs::remove_dir_all(server.folder.path().join("data/snapshot")).expect("snapshots");
    let (status, error) = try_revert(&server, &session, json!({ "messageID": prompt })).await;
    recorder.keep_error(
        "The files of a revert are gone from the data directory.",
        status,
        &error,
    );
    server.stop().await;
}

/// Bodies that are too large, of another type, and too slow.
async fn bodies(recorder: &mut Recorder<'_>, server: &Server, path: &str) {
    let large = json!({ "title": "x".repeat(2_000) });
    let (status, error) = server.send(Method::POST, path, Some(large)).await;
    let cause = "The body is larger than the server takes (limits.body_bytes).";
    recorder.keep_error(cause, status, &error);

    let request = server.client.post(format!("{}{path}", server.url));
    let request = request.header("content-type", "text/plain").body("{}");
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let error = answer.json().await.expect("JSON");
    recorder.keep_error("The body is not said to be JSON.", status, &error);

    let half = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{{"
    );
    let answer = until_closed(connect(server).await, &half).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let (_, error) = answer.split_once("\r\n\r\n").expect("a body");
    let error: Value = serde_json::from_str(error).expect("JSON");
    let cause = "The body has not arrived in time (timeouts.body_s).";
    recorder.keep_error(cause, StatusCode::REQUEST_TIMEOUT, &error);
}
