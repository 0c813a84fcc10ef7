//! Parts that are edited and deleted, and the refusal to share.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Server, answered, model, parts_of};

fn path_of(part: &Value) -> String {
    let field = |name: &str| part[name].as_str().unwrap().to_owned();
    let (session, message, id) = (field("sessionID"), field("messageID"), field("id"));
    format!("/opencode/session/{session}/message/{message}/part/{id}")
}

#[tokio::test]
async fn an_agent_is_told_what_was_edited() {
    let mut server = Server::start().await;
    let session = server.create().await;
    let answer = server
        .prompt(&session, "tool a.txt", model("mock", "mock"))
        .await;
    let native = server.say(&session, "session").await;

    // Changing what agents never see is no reason for a new native session.
    let mut thought = parts_of(&answer, "reasoning")[0].clone();
    thought["text"] = json!("another thought");
    let saved = server
        .ok(Method::PATCH, &path_of(&thought), Some(thought.clone()))
        .await;
    assert_eq!(saved, thought);
    assert_eq!(server.say(&session, "session").await, native);

    let mut events = server.events().await;
    let mut text = parts_of(&answer, "text")[0].clone();
    assert_eq!(text["text"], "edited a.txt");
    text["text"] = json!("a better answer");
    server
        .ok(Method::PATCH, &path_of(&text), Some(text.clone()))
        .await;
    let told = events
        .until("message.part.updated", |_| true)
        .await
        .properties;
    assert_eq!(told["part"], text);
    let prompt = server.messages(&session).await[0]["info"]["id"].clone();
    let added = json!({ "id": "prt_added", "sessionID": session, "messageID": prompt, "type": "text", "text": "in addition" });
    server
        .ok(Method::PATCH, &path_of(&added), Some(added.clone()))
        .await;
    server.kill().await;
    server.restart().await;
    let messages = server.messages(&session).await;
    assert_eq!(messages[0]["parts"][1], added);
    assert_eq!(parts_of(&messages[1], "text")[0], &text);
    let history = server.say(&session, "history").await;
    assert!(
        history.contains("| a better answer\n") && history.contains("[text]\n| in addition\n"),
        "{history}"
    );
    assert!(!history.contains("| edited a.txt"), "{history}");
    let edited = server.say(&session, "session").await;
    assert_ne!(edited, native);

    let mut events = server.events().await;
    let gone = server.ok(Method::DELETE, &path_of(&added), None).await;
    assert_eq!(gone, true);
    let told = events
        .until("message.part.removed", |_| true)
        .await
        .properties;
    assert_eq!(
        told,
        json!({ "sessionID": session, "messageID": prompt, "partID": "prt_added" })
    );
    let (status, _) = server.send(Method::DELETE, &path_of(&added), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let history = server.say(&session, "history").await;
    assert!(!history.contains("[text]\n| in addition\n"), "{history}");
    server.stop().await;
}

#[tokio::test]
async fn parts_of_other_messages_change_nothing() {
    let server = Server::start().await;
    let session = server.create().await;
    let answer = server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let text = parts_of(&answer, "text")[0].clone();
    let before = server.messages(&session).await;
    for (field, value) in [
        ("id", json!("prt_other")),
        ("messageID", json!("msg_other")),
        ("sessionID", json!("ses_other")),
        ("type", json!("nonsense")),
        ("text", json!(null)),
    ] {
        let mut bad = text.clone();
        bad[field] = value;
        let (status, error) = server.send(Method::PATCH, &path_of(&text), Some(bad)).await;
        assert_eq!(
            (status, &error["name"]),
            (StatusCode::BAD_REQUEST, &json!("BadRequest")),
            "{field}: {error}"
        );
    }
    let mut elsewhere = text.clone();
    elsewhere["messageID"] = json!("msg_none");
    let (status, _) = server
        .send(Method::PATCH, &path_of(&elsewhere), Some(elsewhere.clone()))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    elsewhere["sessionID"] = json!("ses_none");
    let (status, _) = server
        .send(Method::PATCH, &path_of(&elsewhere), Some(elsewhere.clone()))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(server.messages(&session).await, before);

    // The answer that is being written is the agent's alone; what came before is not.
    let mut events = server.events().await;
    let waiting = server.prompt_later(&session, "slow 60", json!({}));
    let delta = events
        .until("message.part.delta", |_| true)
        .await
        .properties;
    let live = json!({ "id": delta["partID"], "sessionID": session, "messageID": delta["messageID"], "type": "text", "text": "x" });
    let (status, _) = server
        .send(Method::PATCH, &path_of(&live), Some(live.clone()))
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(
        server.send(Method::DELETE, &path_of(&live), None).await.0,
        StatusCode::CONFLICT
    );
    let mut early = text.clone();
    early["text"] = json!("edited while busy");
    server
        .ok(Method::PATCH, &path_of(&early), Some(early))
        .await;
    server.abort(&session).await;
    answered(waiting).await;
    let history = server.say(&session, "history").await;
    assert!(history.contains("| edited while busy"), "{history}");
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_shared() {
    let server = Server::start().await;
    let session = server.create().await;
    let path = format!("/opencode/session/{session}/share");
    let (status, error) = server.send(Method::POST, &path, None).await;
    assert_eq!(
        (status, &error["name"]),
        (StatusCode::BAD_REQUEST, &json!("BadRequest"))
    );
    assert!(
        error["data"]["message"]
            .as_str()
            .unwrap()
            .contains("shares nothing"),
        "{error}"
    );
    let unshared = server.ok(Method::DELETE, &path, None).await;
    assert_eq!(
        unshared,
        server.get(&format!("/opencode/session/{session}")).await
    );
    let missing = "/opencode/session/ses_none/share";
    assert_eq!(
        server.send(Method::POST, missing, None).await.0,
        StatusCode::NOT_FOUND
    );
    server.stop().await;
}
