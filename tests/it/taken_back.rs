//! A message whose own model takes back what somebody else has selected says so everywhere.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Server, model, prompt_body, text_of};
use crate::notice::notices;

/// Sends a prompt as a client.
async fn say_as(server: &Server, session: &str, header: (&str, &str), more: Value) -> Value {
    let path = format!("/opencode/session/{session}/message");
    let body = Some(prompt_body("model", more));
    let answer = server.request(Method::POST, &path, body, &[header]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

/// PATCHes a session as a client, and waits until it is applied.
async fn select_as(server: &Server, session: &str, client: &str, id: &str) {
    let path = format!("/opencode/session/{session}?wait=true");
    let body = Some(json!({ "providerID": "mock", "modelID": id }));
    let headers = [("x-client-id", client)];
    let patched = server.request(Method::PATCH, &path, body, &headers).await;
    assert_eq!(patched.status(), StatusCode::OK);
}

const UI: (&str, &str) = ("user-agent", "opencode/1.18.33");

#[tokio::test]
async fn a_patch_that_a_ui_takes_back_is_shown() {
    let server = Server::start().await;
    let session = server.create().await;
    let own = model("mock", "mock");
    let first = say_as(&server, &session, UI, own.clone()).await;
    assert_eq!(first["info"]["overrides"], Value::Null);
    let mut events = server.events().await;
    select_as(&server, &session, "script", "mock-fast").await;

    let answer = say_as(&server, &session, UI, own.clone()).await;
    assert_eq!(text_of(&answer), "mock", "a message's own model selects");
    let overrides = &answer["info"]["overrides"];
    assert_eq!(
        (&overrides["source"], &overrides["client"]),
        (&json!("patch"), &json!("script")),
        "{answer}"
    );
    assert!(overrides["time"].as_u64() > Some(0));
    let changed = events
        .until("session.model_changed", |p| p["source"] == "message")
        .await;
    assert_eq!(&changed.properties["overrides"], overrides);
    assert_eq!(changed.properties["pinned"], false);
    let toast = events
        .until("tui.toast.show", |p| p["variant"] == "warning")
        .await;
    let said = toast.properties["message"].as_str().unwrap();
    assert!(said.contains("takes back"), "{said}");
    let line = "Model: Mock (Mock) → Mock Fast (Mock)\nModel: Mock Fast (Mock) → Mock (Mock)\n\
        Baton: the next message names this itself. It takes back what a PATCH (by script) has selected.";
    assert_eq!(notices(&server, &session).await, [line]);
    // It is above the prompt, whose message says the same.
    let messages = server.messages(&session).await;
    let prompt = &messages[messages.len() - 2];
    assert_eq!(&prompt["info"]["overrides"], overrides);
    assert_eq!(messages[messages.len() - 3]["parts"][0]["text"], line);
    let path = format!("/opencode/session/{session}/model");
    let history = server.get(&path).await;
    let last = history["switches"].as_array().unwrap().last().unwrap();
    assert_eq!(&last["overrides"], overrides);
    // No model is given the line.
    let heard = server.say(&session, "history").await;
    assert!(!heard.contains("Baton:"), "{heard}");

    // It is told once: the next switch of that client is its own.
    let answer = say_as(&server, &session, UI, model("mock", "mock-strong")).await;
    assert_eq!(answer["info"]["overrides"], Value::Null);
    // A client that has sent a message since knows what was selected.
    select_as(&server, &session, "script", "mock-fast").await;
    say_as(&server, &session, UI, json!({})).await;
    let answer = say_as(&server, &session, UI, own.clone()).await;
    assert_eq!(answer["info"]["overrides"], Value::Null);
    // And the client that has patched takes back its own.
    select_as(&server, &session, "script", "mock-fast").await;
    let script = ("x-client-id", "script");
    let answer = say_as(&server, &session, script, own).await;
    assert_eq!(answer["info"]["overrides"], Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn what_was_not_applied_yet_is_taken_back_in_a_line_of_its_own() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    server
        .prompt_async(&session, "slow 3", model("mock", "mock"))
        .await;
    events.until("message.part.delta", |_| true).await;
    let wish = json!({ "providerID": "mock", "modelID": "mock-fast" });
    server.patch(&session, wish).await;
    // A client may bring an id of its own; what sorts by id has the line above the prompt all the same.
    let id = "msg_202251794001T5xuqPOlqRuPz6";
    let mut body = prompt_body("model", model("mock", "mock"));
    body["messageID"] = json!(id);
    let path = format!("/opencode/session/{session}/message");
    let answer = server.ok(Method::POST, &path, Some(body)).await;
    assert_eq!(answer["info"]["overrides"]["source"], "patch");
    assert_eq!(answer["info"]["overrides"]["client"], Value::Null);
    let messages = server.messages(&session).await;
    let at = messages.iter().position(|m| m["info"]["id"] == id).unwrap();
    let line = &messages[at - 1];
    assert_eq!(
        line["parts"][0]["text"],
        "Model: Mock Fast (Mock) → Mock (Mock)\nBaton: the next message names this itself. It takes back what a PATCH has \
         selected."
    );
    assert!(line["info"]["id"].as_str() < Some(id));
    server.stop().await;
}
