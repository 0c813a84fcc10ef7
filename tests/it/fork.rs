//! Forking: the copy, what its agent knows, and that both go on independently.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Server, answered, model, text_of};
use crate::revert::{prompts, revert};

async fn try_fork(server: &Server, session: &str, body: Option<Value>) -> (StatusCode, Value) {
    let path = format!("/opencode/session/{session}/fork");
    server.send(Method::POST, &path, body).await
}

async fn fork(server: &Server, session: &str, body: Value) -> (String, Value) {
    let (status, fork) = try_fork(server, session, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{fork}");
    (fork["id"].as_str().unwrap().to_owned(), fork)
}

/// A message without what a copy has anew.
fn said(message: &Value) -> Value {
    let mut parts = message["parts"].clone();
    for part in parts.as_array_mut().unwrap() {
        for id in ["id", "messageID", "sessionID"] {
            part.as_object_mut().unwrap().remove(id);
        }
    }
    let mut info = message["info"].clone();
    for id in ["id", "sessionID", "parentID"] {
        info.as_object_mut().unwrap().remove(id);
    }
    json!([info, parts])
}

#[tokio::test]
async fn a_fork_has_a_copy_and_goes_its_own_way() {
    let mut server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock-strong"))
        .await;
    let rules = json!([{ "permission": "bash", "pattern": "*", "action": "deny" }]);
    server
        .patch(
            &session,
            json!({ "permission": rules, "metadata": { "a": 1 } }),
        )
        .await;
    for text in ["tool a.txt", "echo three"] {
        server.prompt(&session, text, json!({})).await;
    }
    let original = server.messages(&session).await;
    let mut events = server.events().await;
    let (copy, info) = fork(&server, &session, json!({})).await;
    assert_eq!(info["title"], "test (fork #1)");
    assert_eq!(info["model"]["id"], "mock-strong");
    assert_eq!((&info["permission"], info.get("parentID")), (&rules, None));
    assert_eq!(info["metadata"], json!({ "a": 1 }));
    let source = server.get(&format!("/opencode/session/{session}")).await;
    assert_eq!(info["directory"], source["directory"]);
    events
        .until("session.created", |p| p["info"]["id"] == copy)
        .await;
    let last = &original.last().unwrap()["parts"].as_array().unwrap().len();
    for _ in 0..*last {
        events
            .until("message.part.updated", |p| p["sessionID"] == copy)
            .await;
    }

    // All of it is there, under new ids, also after a crash right after the answer.
    server.kill().await;
    server.restart().await;
    let copied = server.messages(&copy).await;
    let both = |messages: &[Value]| messages.iter().map(said).collect::<Vec<_>>();
    assert_eq!(both(&copied), both(&original));
    for (at, message) in copied.iter().enumerate() {
        assert_ne!(message["info"]["id"], original[at]["info"]["id"]);
        assert_eq!(message["info"]["sessionID"], copy);
        if message["info"]["role"] == "assistant" {
            assert_eq!(message["info"]["parentID"], copied[at - 1]["info"]["id"]);
        }
        for part in message["parts"].as_array().unwrap() {
            assert_eq!(
                (&part["messageID"], &part["sessionID"]),
                (&message["info"]["id"], &json!(copy))
            );
        }
    }
    let ids: Vec<_> = copied
        .iter()
        .map(|m| m["info"]["id"].as_str().unwrap())
        .collect();
    assert!(ids.is_sorted(), "clients sort by id: {ids:?}");

    // Its agent is handed the copied conversation; the original one knows nothing of it.
    let native = server.say(&session, "session").await;
    let history = server.say(&copy, "history").await;
    assert!(history.starts_with("model: mock-strong"), "{history}");
    for text in ["| echo one", "| edited a.txt", "| echo three"] {
        assert_eq!(history.matches(text).count(), 1, "{text} in {history}");
    }
    server.say(&copy, "echo only in the copy").await;
    assert_ne!(server.say(&copy, "session").await, native);
    let history = server.say(&session, "history").await;
    assert!(!history.contains("only in the copy"), "{history}");
    let (_, again) = fork(&server, &copy, json!({})).await;
    assert_eq!(again["title"], "test (fork #2)");
    server.stop().await;
}

#[tokio::test]
async fn a_fork_ends_before_a_message() {
    let server = Server::start().await;
    let session = server.create().await;
    for text in ["echo one", "echo two", "echo three"] {
        server.prompt(&session, text, json!({})).await;
    }
    let ids = prompts(&server, &session).await;
    let (copy, _) = fork(&server, &session, json!({ "messageID": ids[2] })).await;
    assert_eq!(server.messages(&copy).await.len(), 4);
    let history = server.say(&copy, "history").await;
    assert!(
        history.contains("echo two") && !history.contains("three"),
        "{history}"
    );
    // Before an answer: its prompt is copied.
    let answer = server.messages(&session).await[3]["info"]["id"].clone();
    let (copy, _) = fork(&server, &session, json!({ "messageID": answer })).await;
    assert_eq!(server.messages(&copy).await.len(), 3);
    // What is reverted is not part of the conversation.
    revert(&server, &session, &ids[1]).await;
    let (copy, info) = fork(&server, &session, json!({})).await;
    assert_eq!(
        (server.messages(&copy).await.len(), info.get("revert")),
        (2, None)
    );

    let count = server
        .get("/opencode/session")
        .await
        .as_array()
        .unwrap()
        .len();
    for (body, status) in [
        (Some(json!({ "messageID": "msg_none" })), 404),
        (Some(json!({ "messageID": 5 })), 400),
        (Some(json!([])), 400),
        (Some(json!({ "messageId": ids[0] })), 400),
    ] {
        let (got, error) = try_fork(&server, &session, body).await;
        assert_eq!(got.as_u16(), status, "{error}");
    }
    assert_eq!(
        try_fork(&server, "ses_none", None).await.0,
        StatusCode::NOT_FOUND
    );
    let now = server
        .get("/opencode/session")
        .await
        .as_array()
        .unwrap()
        .len();
    assert_eq!(now, count);
    assert_eq!(try_fork(&server, &session, None).await.0, StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn a_busy_session_is_forked_as_far_as_it_is() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let waiting = server.prompt_later(&session, "slow 60", model("mock", "mock"));
    events.until("message.part.delta", |_| true).await;
    let (copy, _) = fork(&server, &session, json!({})).await;
    let copied = server.messages(&copy).await;
    assert_eq!(copied[1]["info"]["error"]["name"], "MessageAbortedError");
    assert!(copied[1]["info"]["time"]["completed"].is_u64());
    assert!(!text_of(&copied[1]).is_empty());
    let history = server.say(&copy, "history").await;
    assert!(
        history.contains("slow 60") && history.contains("interrupted"),
        "{history}"
    );
    let status = server.get("/opencode/session/status").await;
    assert_eq!(
        (status.get(&copy), &status[&session]["type"]),
        (None, &json!("busy"))
    );
    server.abort(&session).await;
    answered(waiting).await;
    server.stop().await;
}
