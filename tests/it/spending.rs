//! Spending limits over HTTP: what a PATCH takes, how a prompt is refused, and what the configuration says.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Options, Server};

fn prompt() -> Option<Value> {
    Some(json!({ "parts": [{ "type": "text", "text": "echo more" }] }))
}

async fn limit(server: &Server, session: &str, limit: Value) -> Value {
    let (status, patched) = server.patch(session, json!({ "limit": limit })).await;
    assert_eq!(status, StatusCode::OK, "{patched}");
    patched["limit"].clone()
}

#[tokio::test]
async fn the_next_prompt_is_refused_and_says_why() {
    let server = Server::start().await;
    let session = server.create().await;
    let limited = limit(&server, &session, json!({ "tokens": 1 })).await;
    assert_eq!(limited, json!({ "tokens": 1, "hard": false }));
    server.prompt(&session, "echo first", json!({})).await;
    for path in ["message", "prompt_async"] {
        let path = format!("/opencode/session/{session}/{path}");
        let (status, refused) = server.send(Method::POST, &path, prompt()).await;
        assert_eq!(status, StatusCode::PAYMENT_REQUIRED, "{refused}");
        assert_eq!(refused["name"], "SpendingLimitError");
        let data = &refused["data"];
        assert_eq!(
            (&data["scope"], &data["allowed"]["tokens"]),
            (&json!("session"), &json!(1))
        );
        assert!(
            data["spent"]["tokens"]
                .as_u64()
                .is_some_and(|spent| spent >= 1),
            "{data}"
        );
        assert_eq!(data["usage"][0]["providerID"], "mock");
        let message = data["message"].as_str().expect("a message");
        assert!(
            message.contains("mock/mock") && message.contains("PATCH"),
            "{message}"
        );
    }
    let path = format!("/opencode/api/session/{session}/prompt");
    let second = json!({ "prompt": { "text": "echo more" } });
    let (status, refused) = server.send(Method::POST, &path, Some(second)).await;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED, "{refused}");
    assert_eq!(refused["_tag"], "SpendingLimitError", "{refused}");
    assert_eq!(
        limit(&server, &session, json!({})).await,
        json!({ "hard": false })
    );
    server.prompt(&session, "echo second", json!({})).await;
    assert_eq!(limit(&server, &session, Value::Null).await, Value::Null);
    for (wrong, field) in [
        (json!(5), "[\"limit\"]"),
        (json!({ "cost": "5" }), "[\"limit\"][\"cost\"]"),
        (json!({ "cost": -1 }), "[\"limit\"][\"cost\"]"),
        (json!({ "tokens": -1 }), "[\"limit\"][\"tokens\"]"),
        (json!({ "hard": "yes" }), "[\"limit\"][\"hard\"]"),
    ] {
        let (status, refused) = server.patch(&session, json!({ "limit": wrong })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(
            refused.to_string().contains(&field.replace('"', "\\\"")),
            "{wrong}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_day_is_limited_for_all_sessions_over_restarts() {
    let mut server = Server::start_with(Options {
        config: "[spending]\nday = { tokens = 1 }\nfree = [\"mock/mock-fast\"]\n".to_owned(),
        arguments: Vec::new(),
    })
    .await;
    let first = server.create().await;
    server.prompt(&first, "echo first", json!({})).await;
    server.kill().await;
    server.restart().await;
    let second = server.create().await;
    let path = format!("/opencode/session/{second}/message");
    let (status, refused) = server.send(Method::POST, &path, prompt()).await;
    assert_eq!(
        (status, &refused["data"]["scope"]),
        (StatusCode::PAYMENT_REQUIRED, &json!("day"))
    );
    // What costs nothing goes on.
    let model = json!({ "model": { "providerID": "mock", "modelID": "mock-fast" } });
    server.prompt(&second, "echo fine", model).await;
}
