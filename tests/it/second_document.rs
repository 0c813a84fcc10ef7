//! The events of OpenCode 2, and what the document says about them.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, answered, model};
use crate::second_events::Stream;

/// Checks events against a schema of the document that the server gives.
async fn all_fit(server: &Server, schema: &str, events: &[Value]) {
    let document = server.get("/openapi.json").await;
    let wanted = json!({
        "$ref": format!("#/components/schemas/{schema}"), "components": document["components"],
    });
    let checker = jsonschema::validator_for(&wanted).expect("a schema");
    for event in events {
        let wrong: Vec<_> = checker.iter_errors(event).map(|e| e.to_string()).collect();
        assert!(wrong.is_empty(), "{wrong:?}: {event:#}");
    }
}

#[tokio::test]
async fn every_event_of_the_second_version_is_what_the_document_says() {
    let server = Server::start().await;
    let mut stream = Stream::open(&server, "/event").await;
    let id = server.create().await;
    let mut later = model("mock", "mock");
    for text in [
        "tool", "plan", "image", "read 1", "bash ls", "error", "echo one",
    ] {
        server.prompt(&id, text, later.take()).await;
    }
    let (_, answer) = server
        .patch(
            &id,
            json!({ "providerID": "mock", "modelID": "mock-fast", "agent": "plan" }),
        )
        .await;
    assert_eq!(answer["agent"], "plan");
    server.patch(&id, json!({ "agent": "build" })).await;
    let mut events = server.events().await;
    for (text, asked, path, body) in [
        (
            "permission rm -rf build",
            "permission.asked",
            "permission",
            json!({ "reply": "once" }),
        ),
        (
            "question",
            "question.asked",
            "question",
            json!({ "answers": [["red"]] }),
        ),
    ] {
        let waiting = server.prompt_later(&id, text, json!({}));
        let request = events.until(asked, |_| true).await.properties["id"].clone();
        let path = format!(
            "/opencode/{path}/{}/reply",
            request.as_str().expect("an id")
        );
        server.ok(Method::POST, &path, Some(body)).await;
        answered(waiting).await;
    }
    let body = json!({ "providerID": "mock", "modelID": "mock" });
    server
        .ok(
            Method::POST,
            &format!("/opencode/session/{id}/summarize"),
            Some(body),
        )
        .await;
    server.until_idle(&id).await;
    server
        .ok(Method::DELETE, &format!("/opencode/session/{id}"), None)
        .await;
    let seen = stream.until("session.deleted").await;
    let kinds: HashSet<_> = seen
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    assert!(kinds.len() > 30, "{} kinds: {kinds:?}", kinds.len());
    all_fit(&server, "V2Event", &seen).await;
    server.stop().await;
}
