//! The line of the transcript about a switch: what clients see that take a session's model from
//! its last user message.

use serde_json::{Value, json};

use crate::harness::{Server, model, text_of};

/// The texts of a session's messages that no model is given.
pub(crate) async fn notices(server: &Server, session: &str) -> Vec<String> {
    let messages = server.messages(session).await;
    let parts = messages.iter().flat_map(|m| m["parts"].as_array().unwrap());
    parts
        .filter(|part| part["ignored"] == true)
        .map(|part| part["text"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_switch_without_a_message_shows_in_the_transcript() {
    let server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let mut events = server.events().await;

    server.select(&session, "mock", "mock-fast").await;
    let shown = events.until("message.updated", |_| true).await.properties;
    assert_eq!(
        shown["info"]["model"],
        json!({ "providerID": "mock", "modelID": "mock-fast" })
    );
    assert_eq!(shown["info"]["role"], "user");
    let part = events
        .until("message.part.updated", |_| true)
        .await
        .properties;
    let part = &part["part"];
    assert_eq!(part["messageID"], shown["info"]["id"]);
    assert_eq!(part["text"], "Model: Mock (Mock) → Mock Fast (Mock)");
    let switch = &part["metadata"]["modelSwitch"];
    assert_eq!(
        (
            &switch["previous"]["modelID"],
            &switch["current"]["modelID"]
        ),
        (&json!("mock"), &json!("mock-fast"))
    );
    let last = server.messages(&session).await.pop().unwrap();
    assert_eq!(last["info"], shown["info"]);

    // The model is not told: its native session is the same one, and the notice is not a turn.
    let history = server.prompt(&session, "history", json!({})).await;
    let text = text_of(&history);
    assert!(text.starts_with("model: mock-fast"), "{text}");
    assert!(!text.contains("Model:"), "{text}");
    assert_eq!(notices(&server, &session).await.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn there_is_one_line_between_two_prompts_and_none_after_going_back() {
    let server = Server::start().await;
    let session = server.create().await;
    server.select(&session, "mock", "mock-fast").await;
    assert_eq!(server.messages(&session).await, Vec::<Value>::new());

    server.prompt(&session, "echo one", json!({})).await;
    server.select(&session, "mock", "mock").await;
    server.select(&session, "mock", "mock-strong").await;
    let strong = ["Model: Mock Fast (Mock) → Mock Strong (Mock)"];
    assert_eq!(notices(&server, &session).await, strong);

    let mut events = server.events().await;
    server.select(&session, "mock", "mock-fast").await;
    events.until("message.removed", |_| true).await;
    assert_eq!(notices(&server, &session).await, Vec::<String>::new());

    server.select(&session, "mock", "mock-strong").await;
    server.prompt(&session, "echo two", json!({})).await;
    server.select(&session, "mock", "mock").await;
    let both = [strong[0], "Model: Mock Strong (Mock) → Mock (Mock)"];
    assert_eq!(notices(&server, &session).await, both);
    server.stop().await;
}

#[tokio::test]
async fn a_message_with_a_model_speaks_for_itself() {
    let server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    server
        .prompt(&session, "echo two", model("mock", "mock-fast"))
        .await;
    assert_eq!(notices(&server, &session).await, Vec::<String>::new());
    server.stop().await;
}

#[tokio::test]
async fn a_switch_during_a_turn_shows_after_it() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    server
        .prompt_async(&session, "slow 2", model("mock", "mock"))
        .await;
    events.until("message.part.delta", |_| true).await;
    server.select(&session, "mock", "mock-fast").await;
    let order = events.kinds().into_iter().map(str::to_owned);
    let before: Vec<String> = order.collect();
    events
        .until("message.part.updated", |p| p["part"]["ignored"] == true)
        .await;
    let kinds = events.kinds();
    let idle = kinds.iter().position(|k| *k == "session.idle");
    assert!(
        idle.is_some_and(|idle| idle < kinds.len() - 1),
        "{before:?} {kinds:?}"
    );

    // One that the agent makes by itself is known when its turn ends.
    server
        .prompt(&session, "switch mock-strong", json!({}))
        .await;
    let seen = notices(&server, &session).await;
    assert_eq!(
        seen.last().map(String::as_str),
        Some("Model: Mock Fast (Mock) → Mock Strong (Mock)")
    );
    server.stop().await;
}

#[tokio::test]
async fn a_line_survives_a_restart_and_is_rewritten_after_it() {
    let mut server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    server.select(&session, "mock", "mock-fast").await;
    server.kill().await;
    server.restart().await;
    assert_eq!(notices(&server, &session).await.len(), 1);
    server.select(&session, "mock", "mock-strong").await;
    let line = ["Model: Mock (Mock) → Mock Strong (Mock)"];
    assert_eq!(notices(&server, &session).await, line);
    server.stop().await;
}
