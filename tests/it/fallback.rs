//! Chains of models over HTTP: what a PATCH takes, what a client sees of a prompt that goes on elsewhere, and what the
//! configuration refuses.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Options, Server, text_of};

const CHAIN: &str = "[fallback]\nchain = [{ providerID = \"mock\", modelID = \"mock-fast\" }]\n";

/// A server with a backend whose provider refuses every prompt.
async fn limited(more: &str) -> Server {
    let command = [
        env!("CARGO_BIN_EXE_baton"),
        "mock-agent",
        "--fault",
        "rate-limited",
    ];
    Server::start_with(Options {
        config: format!("{more}[agents.limited]\ncommand = {command:?}\n"),
        arguments: vec!["--agents".into(), "mock,limited".into()],
    })
    .await
}

async fn on_limited(server: &Server) -> String {
    let session = server.create().await;
    let wish = json!({ "providerID": "limited", "modelID": "mock" });
    let (status, patched) = server.patch(&session, wish).await;
    assert_eq!(status, StatusCode::OK, "{patched}");
    session
}

async fn switches(server: &Server, session: &str) -> Vec<Value> {
    let history = server
        .get(&format!("/opencode/session/{session}/model"))
        .await;
    history["switches"].as_array().expect("a trail").clone()
}

/// Since the Unix epoch.
fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
}

#[tokio::test]
async fn a_prompt_goes_on_with_the_next_of_the_chain_and_everybody_is_told() {
    let server = limited(CHAIN).await;
    let session = on_limited(&server).await;
    let mut events = server.events().await;
    let answer = server.prompt(&session, "echo AMBER", json!({})).await;
    assert_eq!(text_of(&answer), "AMBER");
    assert_eq!(
        (&answer["info"]["providerID"], &answer["info"]["modelID"]),
        (&json!("mock"), &json!("mock-fast"))
    );
    let changed = events
        .until("session.model_changed", |p| p["source"] == "fallback")
        .await;
    let reason = &changed.properties["reason"];
    assert_eq!(reason["cause"], "rate_limit", "{reason}");
    assert!(reason["until"].as_u64().is_some(), "{reason}");
    let trail = switches(&server, &session).await;
    assert_eq!(trail.last().expect("an entry")["reason"], *reason);
    let messages = server.messages(&session).await;
    let failed = messages
        .iter()
        .find(|m| m["info"]["providerID"] == "limited")
        .expect("the one that failed");
    assert_eq!(failed["info"]["error"]["name"], "APIError", "{failed}");
    // It is given once: a failed answer is not handed over.
    let known = text_of(&server.prompt(&session, "history", json!({})).await);
    assert_eq!(known.matches("429").count(), 0, "{known}");
    // After its time the session goes back, is refused again, and goes on once more.
    let until = Duration::from_millis(reason["until"].as_u64().expect("a time"));
    let left = until.saturating_sub(now());
    tokio::time::sleep(left + Duration::from_millis(1)).await;
    let answer = server.prompt(&session, "echo again", json!({})).await;
    assert_eq!(answer["info"]["providerID"], "mock", "{answer}");
    let trail = switches(&server, &session).await;
    let causes: Vec<_> = trail
        .iter()
        .map(|entry| &entry["reason"]["cause"])
        .collect();
    assert_eq!(
        causes.iter().filter(|c| **c == "rate_limit").count(),
        2,
        "{causes:?}"
    );
    assert!(causes.contains(&&json!("recovered")), "{causes:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_chain_of_a_session_is_shown_and_checked() {
    let server = limited(CHAIN).await;
    let session = on_limited(&server).await;
    let chain = json!([{ "providerID": "mock", "modelID": "mock-strong", "variant": "high" }]);
    let (status, patched) = server.patch(&session, json!({ "fallback": chain })).await;
    assert_eq!(
        (status, &patched["fallback"]),
        (StatusCode::OK, &chain),
        "{patched}"
    );
    let answer = server.prompt(&session, "model", json!({})).await;
    assert_eq!(answer["info"]["variant"], "high", "{answer}");
    // The same again is not a change.
    let revision = server.get(&format!("/opencode/session/{session}")).await["revision"].clone();
    let (_, again) = server.patch(&session, json!({ "fallback": chain })).await;
    assert_eq!(again["revision"], revision);
    for (body, at) in [
        (json!({ "fallback": "mock" }), "[\"fallback\"]"),
        (json!({ "fallback": ["mock/mock"] }), "[\"fallback\"][0]"),
        (
            json!({ "fallback": [{ "providerID": "mock" }] }),
            "[\"fallback\"][0][\"modelID\"]",
        ),
        (
            json!({ "fallback": [{ "providerID": "mock", "modelID": "nope" }] }),
            "[\"fallback\"][0]",
        ),
        (
            json!({ "fallback": [{ "providerID": "nobody", "modelID": "mock" }] }),
            "[\"fallback\"][0]",
        ),
        (
            json!({ "title": "new", "fallback": [{ "providerID": "mock", "modelID": "mock", "variant": "huge" }] }),
            "[\"fallback\"][0]",
        ),
    ] {
        let (status, refused) = server.patch(&session, body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        let message = refused["data"]["message"].as_str().expect("a message");
        assert!(message.contains(at), "{body}: {message}");
    }
    let info = server.get(&format!("/opencode/session/{session}")).await;
    assert_eq!(
        (&info["fallback"], info["title"] == "new"),
        (&chain, false),
        "nothing was changed"
    );
    let (_, none) = server.patch(&session, json!({ "fallback": null })).await;
    assert_eq!(none["fallback"], Value::Null);
    let (_, empty) = server.patch(&session, json!({ "fallback": [] })).await;
    assert_eq!(empty["fallback"], json!([]));
    let wish = json!({ "providerID": "limited", "modelID": "mock" });
    server.patch(&session, wish).await;
    let refused = server.prompt(&session, "echo hello", json!({})).await;
    assert_eq!(
        refused["info"]["error"]["name"], "APIError",
        "no chain, no other model: {refused}"
    );
    let path = format!("/opencode/session/{session}/fork");
    let fork = server.ok(Method::POST, &path, Some(json!({}))).await;
    assert_eq!(
        fork["fallback"],
        json!([]),
        "a fork has the chain of its origin"
    );
    server.stop().await;
}
