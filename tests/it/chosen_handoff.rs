//! How a client chooses what is handed over, and sees it before.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::handoff::pair;
use crate::harness::{Server, text_of};

/// A session that knows AMBER by `mock`.
async fn told(server: &Server) -> String {
    let session = server.create().await;
    let model = json!({ "model": { "providerID": "mock", "modelID": "mock" } });
    server.prompt(&session, "echo AMBER", model).await;
    session
}

fn to_second(more: &Value) -> Value {
    let mut wish = json!({ "providerID": "second", "modelID": "x" });
    for (name, value) in more.as_object().expect("an object") {
        wish[name] = value.clone();
    }
    wish
}

#[tokio::test]
async fn a_summary_goes_over_and_everybody_is_told() {
    let server = pair(&["--models", "x,y"], "").await;
    let session = told(&server).await;
    let mut events = server.events().await;
    let wish = to_second(&json!({ "handoff": "summary", "note": "be careful" }));
    let (status, patched) = server.patch(&session, wish).await;
    assert_eq!(status, StatusCode::OK, "{patched}");
    let wished = json!({ "mode": "summary", "note": "be careful" });
    assert_eq!(patched["handoff"], wished);
    let changed = events.until("session.model_changed", |_| true).await;
    assert_eq!(changed.properties["handoff"], wished);

    let known = text_of(&server.prompt(&session, "history", json!({})).await);
    assert!(
        known.contains("be careful") && !known.contains("echo AMBER"),
        "{known}"
    );
    let history = server
        .get(&format!("/opencode/session/{session}/model"))
        .await;
    let entry = history["switches"]
        .as_array()
        .expect("a trail")
        .last()
        .expect("an entry");
    assert_eq!(
        (&entry["transfer"]["kind"], &entry["handoff"]),
        (&json!("summary"), &wished)
    );
    let messages = server.messages(&session).await;
    let summary = messages
        .iter()
        .find(|m| m["info"]["summary"] == true)
        .expect("a summary");
    assert_eq!(summary["info"]["providerID"], "mock");
    let wish = messages
        .iter()
        .find(|m| m["parts"][0]["type"] == "compaction")
        .expect("its wish");
    assert_eq!(wish["info"]["handoff"], true);
    assert_eq!(summary["info"]["parentID"], wish["info"]["id"]);
    let revision = entry["revision"].as_u64().expect("a revision");
    let given = server
        .get(&format!("/opencode/session/{session}/model/{revision}"))
        .await;
    let text = given["given"][0]["text"].as_str().expect("a text");
    assert!(
        text.contains("summary of everything") && text.contains("| be careful"),
        "{text}"
    );
    let info = server.get(&format!("/opencode/session/{session}")).await;
    assert_eq!(info["handoff"], Value::Null);
}

#[tokio::test]
async fn a_wish_outlives_a_restart() {
    let mut server = pair(&["--models", "x,y"], "").await;
    let session = told(&server).await;
    let (status, _) = server
        .patch(&session, to_second(&json!({ "handoff": "none" })))
        .await;
    assert_eq!(status, StatusCode::OK);
    server.kill().await;
    server.restart().await;
    let known = text_of(&server.prompt(&session, "history", json!({})).await);
    assert!(!known.contains("AMBER"), "{known}");
    server.kill().await;
    server.restart().await;
    let known = text_of(&server.prompt(&session, "history", json!({})).await);
    assert!(!known.contains("AMBER"), "{known}");
}

#[tokio::test]
async fn a_preview_shows_what_would_go_over() {
    let server = pair(&["--models", "x,y"], "").await;
    let session = told(&server).await;
    let preview = async |query: &str| {
        server
            .get(&format!("/opencode/session/{session}/handoff{query}"))
            .await
    };
    let there = preview("?providerID=second&modelID=x").await;
    assert_eq!(
        (&there["handoff"], &there["kind"]),
        (&json!("transcript"), &json!("transcript"))
    );
    let text = there["text"].as_str().expect("a text");
    assert!(text.contains("| AMBER"), "{text}");
    assert_eq!(there["bytes"], text.len());
    let summary = preview("?providerID=second&modelID=x&handoff=summary").await;
    assert_eq!(summary["text"], Value::Null);
    assert_eq!(summary["summary"]["by"]["providerID"], "mock", "{summary}");
    let own = preview("").await;
    assert_eq!((&own["kind"], &own["text"]), (&json!("native"), &json!("")));
}

#[tokio::test]
async fn what_cannot_be_wished_for_names_its_field() {
    let server = pair(&["--models", "x,y"], "").await;
    let session = told(&server).await;
    let before = server.get(&format!("/opencode/session/{session}")).await;
    for (wish, field) in [
        (json!({ "handoff": "everything" }), "[\"handoff\"]"),
        (json!({ "handoff": 5 }), "[\"handoff\"]"),
        (json!({ "note": 5 }), "[\"note\"]"),
        (json!({ "note": "a".repeat(16 * 1024 + 1) }), "[\"note\"]"),
    ] {
        let (status, refused) = server.patch(&session, wish.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wish}");
        assert!(
            refused.to_string().contains(&field.replace('"', "\\\"")),
            "{refused}"
        );
    }
    let after = server.get(&format!("/opencode/session/{session}")).await;
    assert_eq!(before, after);
    for query in [
        "handoff=everything",
        "providerID=second",
        "providerID=second&modelID=nope",
    ] {
        let path = format!("/opencode/session/{session}/handoff?{query}");
        let (status, refused) = server.send(Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {refused}");
    }
}
