//! Prompts: what a client can bring along, and how it reaches the agent.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Server, model, parts_of, text_of};

/// A transparent pixel.
const PIXEL: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// An id as a client makes it: the time as OpenCode writes it, and a tail of its own.
fn id_of_a_client(prefix: &str, tail: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let time = (now.as_millis() * 0x1000 + 1) & 0xffff_ffff_ffff;
    format!("{prefix}_{time:012x}{tail:0>14}")
}

#[tokio::test]
async fn files_are_given_to_the_agent() {
    let server = Server::start().await;
    let session = server.create().await;
    let parts = json!({ "parts": [
        { "type": "file", "mime": "image/png", "filename": "pixel.png", "url": PIXEL },
        { "type": "file", "mime": "text/plain", "filename": "a.txt", "url": "data:text/plain;base64,aGVsbG8gdGhlcmU=" },
        { "type": "text", "text": "history" },
    ]});
    let answer = server.prompt(&session, "", parts).await;
    let text = text_of(&answer);
    assert!(text.contains("user: [image image/png]"), "{text}");
    assert!(
        text.contains("user: [the user attached a.txt]\nhello there"),
        "{text}"
    );
    let messages = server.messages(&session).await;
    let files = parts_of(&messages[0], "file");
    assert_eq!(
        (files.len(), &files[0]["url"], &files[0]["filename"]),
        (2, &json!(PIXEL), &json!("pixel.png"))
    );
    server.stop().await;
}

#[tokio::test]
async fn an_instruction_goes_with_its_prompt_only() {
    let server = Server::start().await;
    let session = server.create().await;
    let answer = server
        .prompt(&session, "history", json!({ "system": "be brief" }))
        .await;
    assert!(text_of(&answer).contains("be brief"), "{answer}");
    let messages = server.messages(&session).await;
    assert_eq!(messages[0]["info"]["system"], "be brief");
    server.prompt(&session, "echo two", json!({})).await;
    let messages = server.messages(&session).await;
    assert_eq!(messages[2]["info"]["system"], Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn ids_of_a_client_are_kept_and_cannot_be_used_twice() {
    let server = Server::start().await;
    let session = server.create().await;
    let (message, part) = (
        id_of_a_client("msg", "FromAClient001"),
        id_of_a_client("prt", "FromAClient002"),
    );
    let body = |text: &str| {
        json!({
            "messageID": message, "model": { "providerID": "mock", "modelID": "mock" },
            "parts": [{ "id": part, "type": "text", "text": text }],
        })
    };
    let answer = server.prompt(&session, "", body("echo first")).await;
    assert_eq!(answer["info"]["parentID"], message);
    assert!(answer["info"]["id"].as_str() > Some(message.as_str()));
    let path = format!("/opencode/session/{session}/message/{message}");
    let stored = server.get(&path).await;
    assert_eq!(stored["parts"][0]["id"], part);

    let (status, error) = server.try_prompt(&session, "", body("echo again")).await;
    assert_eq!(status, StatusCode::CONFLICT, "{error}");
    assert_eq!(server.get(&path).await, stored);
    let more = json!({ "messageID": "prt_1" });
    let (status, error) = server.try_prompt(&session, "echo x", more).await;
    assert_eq!(
        (status, &error["name"]),
        (StatusCode::BAD_REQUEST, &json!("BadRequest"))
    );
    assert_eq!(server.messages(&session).await.len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn a_message_without_reply_goes_with_the_next_prompt() {
    let server = Server::start().await;
    let session = server.create().await;
    let more =
        json!({ "noReply": true, "model": { "providerID": "mock", "modelID": "mock-fast" } });
    let stored = server.prompt(&session, "the build is red", more).await;
    assert_eq!(stored["info"]["role"], "user");
    assert_eq!(stored["info"]["model"]["modelID"], "mock-fast");
    assert_eq!(server.get("/opencode/session/status").await, json!({}));
    assert_eq!(server.messages(&session).await.len(), 1);
    let history = server.say(&session, "history").await;
    assert!(history.starts_with("model: mock-fast"), "{history}");
    assert!(history.contains("| the build is red"), "{history}");
    // The agent has it now: it is not told again.
    let history = server.say(&session, "history").await;
    assert_eq!(
        history.matches("| the build is red").count(),
        2,
        "{history}"
    );
    server.stop().await;
}

#[tokio::test]
async fn init_asks_the_model_that_it_names_for_a_guide() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let path = format!("/opencode/session/{session}/init");
    let id = id_of_a_client("msg", "Init");
    let body = json!({ "providerID": "mock", "modelID": "mock-fast", "messageID": id });
    assert_eq!(server.ok(Method::POST, &path, Some(body)).await, true);
    let changed = events.until("session.model_changed", |_| true).await;
    assert_eq!(changed.properties["source"], "init");
    let messages = server.messages(&session).await;
    assert_eq!(messages[0]["info"]["id"], id);
    assert!(text_of(&messages[0]).contains("AGENTS.md"));
    assert!(text_of(&messages[1]).starts_with("This is mock-fast."));
    let body = json!({ "providerID": "mock", "modelID": "nope" });
    let (status, _) = server.send(Method::POST, &path, Some(body)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(server.messages(&session).await.len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn an_answer_has_the_form_that_the_prompt_asks_for() {
    let server = Server::start().await;
    let session = server.create().await;
    let schema =
        json!({"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]});
    let ask = async |text: &str, format: Value| {
        let mut body = model("mock", "mock");
        body["format"] = format;
        server.prompt(&session, text, body).await
    };
    let format = json!({"type": "json_schema", "schema": schema});
    let answer = ask("echo {\"a\": 1}", format.clone()).await;
    assert_eq!(answer["info"]["structured"], json!({"a": 1}), "{answer}");
    assert_eq!(answer["info"]["error"], Value::Null);
    let messages = server.messages(&session).await;
    assert_eq!(messages[0]["info"]["format"], format);

    // The mock does not know how to correct itself.
    let answer = ask(
        "echo no idea",
        json!({"type": "json_schema", "schema": schema, "retryCount": 1}),
    )
    .await;
    let error = &answer["info"]["error"];
    assert_eq!(error["name"], "StructuredOutputError", "{answer}");
    assert_eq!(error["data"]["retries"], 1);
    assert_eq!(answer["info"]["structured"], Value::Null);

    let answer = ask("echo plain", json!({"type": "text"})).await;
    assert_eq!(
        (text_of(&answer).as_str(), &answer["info"]["structured"]),
        ("plain", &Value::Null)
    );

    let path = format!("/opencode/session/{session}/message");
    let before = server.messages(&session).await.len();
    for (format, at) in [
        (
            json!({"type": "json_schema", "schema": {"type": 5}}),
            "schema",
        ),
        (
            json!({"type": "json_schema", "schema": {"$ref": "file:///etc/passwd"}}),
            "schema",
        ),
        (json!({"type": "json_schema"}), "schema"),
        (json!({"type": "yaml"}), "type"),
        (
            json!({"type": "json_schema", "schema": {}, "retryCount": -1}),
            "retryCount",
        ),
        (json!("json"), "format"),
    ] {
        let body = json!({"parts": [{"type": "text", "text": "echo x"}], "format": format});
        let refused = server.request(Method::POST, &path, Some(body), &[]).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{format}");
        let refused = refused.text().await.unwrap();
        assert!(refused.contains(at), "{format}: {refused}");
    }
    assert_eq!(server.messages(&session).await.len(), before);
    server.stop().await;
}
