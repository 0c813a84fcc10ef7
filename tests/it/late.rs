//! What an agent says and asks between turns, over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::handoff::pair;
use crate::harness::{Server, model, parts_of, text_of};

#[tokio::test]
async fn late_text_is_told_stored_and_handed_over() {
    let server = pair(&["--models", "x"], "").await;
    let session = server.create().await;
    let mut events = server.events().await;
    let answer = server
        .prompt(&session, "later 0.5 echo AMBER", model("mock", "mock"))
        .await;
    assert_eq!(text_of(&answer), "later");
    let id = answer["info"]["id"].clone();
    let told = events
        .until("message.part.updated", |p| {
            let text = p["part"]["text"].as_str().unwrap_or_default();
            p["part"]["messageID"] == id && text.ends_with("AMBER")
        })
        .await;
    assert_eq!(told.properties["part"]["messageID"], id);
    let messages = server.messages(&session).await;
    assert_eq!(messages.len(), 2);
    assert!(text_of(&messages[1]).ends_with("AMBER"), "{}", messages[1]);
    assert_eq!(messages[1]["info"]["modelID"], "mock");
    server.select(&session, "second", "x").await;
    let history = server.say(&session, "history").await;
    assert!(history.contains("AMBER"), "{history}");
    server.stop().await;
}

#[tokio::test]
async fn a_job_ends_after_its_turn() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let answer = server
        .prompt(&session, "job 0.5", model("mock", "mock"))
        .await;
    let call = parts_of(&answer, "tool")[0].clone();
    let ended = events
        .until("message.part.updated", |p| {
            let output = p["part"]["state"]["output"].as_str();
            output.is_some_and(|output| output.contains("mock output of: make"))
        })
        .await;
    assert_eq!(ended.properties["part"]["id"], call["id"]);
    let stored = server.messages(&session).await.remove(1);
    assert_eq!(parts_of(&stored, "tool")[0], &ended.properties["part"]);
    server.stop().await;
}

#[tokio::test]
async fn a_permission_between_turns_reaches_the_user_and_the_agent() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let prompt = "later 0.3 permission make all";
    let answer = server.prompt(&session, prompt, model("mock", "mock")).await;
    let asked = events.until("permission.asked", |_| true).await.properties;
    assert_eq!(asked["patterns"], json!(["make all"]));
    assert_eq!(asked["tool"]["messageID"], answer["info"]["id"]);
    assert_eq!(server.get("/opencode/permission").await, json!([asked]));
    let path = format!(
        "/opencode/permission/{}/reply",
        asked["id"].as_str().unwrap()
    );
    server
        .ok(Method::POST, &path, Some(json!({ "reply": "once" })))
        .await;
    events
        .until("message.part.updated", |p| {
            let text = p["part"]["text"].as_str();
            text.is_some_and(|text| text.contains("permission granted: once"))
        })
        .await;
    let stored = server.messages(&session).await.remove(1);
    assert_eq!(parts_of(&stored, "tool")[0]["state"]["status"], "completed");

    // One that waits when its session is deleted is taken back.
    let prompt = server.prompt(&session, prompt, json!({})).await;
    assert_eq!(prompt["info"]["error"], Value::Null);
    events.until("permission.asked", |_| true).await;
    let path = format!("/opencode/session/{session}");
    server.ok(Method::DELETE, &path, None).await;
    events
        .until("permission.replied", |p| p["reply"] == "reject")
        .await;
    assert_eq!(server.get("/opencode/permission").await, json!([]));
    server.stop().await;
}
