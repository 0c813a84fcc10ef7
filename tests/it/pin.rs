//! A pinned session: what messages name does not select another model.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Options, Server, model, text_of};
use crate::scripted::{session_of, talking};

/// PATCHes and expects success.
async fn patched(server: &Server, session: &str, body: Value) -> Value {
    let (status, patched) = server.patch(session, body).await;
    assert_eq!(status, StatusCode::OK, "{patched}");
    patched
}

async fn last_switch(server: &Server, session: &str) -> Value {
    let path = format!("/opencode/session/{session}/model");
    let history = server.get(&path).await;
    history["switches"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn a_pinned_model_answers_whatever_a_message_names() {
    let mut server = Server::start().await;
    let session = talking(&server, "mock", "mock").await;
    let mut events = server.events().await;
    let wish = json!({ "providerID": "mock", "modelID": "mock-fast", "pin": true });
    assert_eq!(patched(&server, &session, wish).await["pinned"], true);
    let changed = events.until("session.model_changed", |_| true).await;
    assert_eq!(changed.properties["pinned"], true);
    let updated = events.until("session.updated", |_| true).await;
    assert_eq!(updated.properties["info"]["pinned"], true);
    assert_eq!(last_switch(&server, &session).await["pinned"], true);

    let answer = server
        .prompt(&session, "model", model("mock", "mock"))
        .await;
    assert_eq!(text_of(&answer), "mock-fast");
    let named = json!({ "providerID": "mock", "modelID": "mock" });
    assert_eq!(answer["info"]["pinnedOver"], named, "{answer}");
    let toast = events
        .until("tui.toast.show", |p| p["variant"] == "warning")
        .await;
    let said = toast.properties["message"].as_str().unwrap();
    assert!(said.contains("pinned to Mock Fast (Mock)"), "{said}");
    let messages = server.messages(&session).await;
    let prompt = &messages[messages.len() - 2]["info"];
    assert_eq!(prompt["pinnedOver"], named);
    assert_eq!(prompt["model"]["modelID"], "mock-fast");
    // The same model is not another one, and a model that does not exist is not looked for.
    let answer = server
        .prompt(&session, "model", model("mock", "mock-fast"))
        .await;
    assert_eq!(answer["info"]["pinnedOver"], Value::Null);
    let answer = server
        .prompt(&session, "model", model("gone", "nothing"))
        .await;
    assert_eq!(answer["info"]["pinnedOver"]["providerID"], "gone");
    assert_eq!(text_of(&answer), "mock-fast");
    // An agent is still selected, and one that is a backend means its model.
    let answer = server
        .prompt(&session, "model", json!({ "agent": "plan" }))
        .await;
    assert_eq!(answer["info"]["agent"], "plan");
    let answer = server
        .prompt(&session, "model", json!({ "agent": "mock" }))
        .await;
    assert_eq!(text_of(&answer), "mock-fast");

    // Nor does `/init` select, and a restart changes nothing.
    let path = format!("/opencode/session/{session}/init");
    let init = json!({ "providerID": "mock", "modelID": "mock" });
    server.ok(Method::POST, &path, Some(init)).await;
    server.kill().await;
    server.restart().await;
    let now = session_of(&server, &session).await;
    assert_eq!(
        (&now["pinned"], &now["model"]["id"]),
        (&json!(true), &json!("mock-fast"))
    );
    let answer = server
        .prompt(&session, "model", model("mock", "mock"))
        .await;
    assert_eq!(text_of(&answer), "mock-fast");
    // A fork is another conversation, which nobody has open with another model.
    let fork = format!("/opencode/session/{session}/fork");
    let fork = server.ok(Method::POST, &fork, Some(json!({}))).await;
    assert_eq!(fork["pinned"], false);

    // A PATCH of something else leaves it; one that selects ends it.
    let renamed = patched(&server, &session, json!({ "title": "x" })).await;
    assert_eq!(renamed["pinned"], true);
    let other = json!({ "providerID": "mock", "modelID": "mock-strong" });
    assert_eq!(patched(&server, &session, other).await["pinned"], false);
    let answer = server
        .prompt(&session, "model", model("mock", "mock"))
        .await;
    assert_eq!(text_of(&answer), "mock");
    server.stop().await;
}

#[tokio::test]
async fn pin_alone_pins_what_is_selected() {
    let server = Server::start().await;
    let session = server.create().await;
    let (status, refused) = server.patch(&session, json!({ "pin": true })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{refused}");
    let said = refused.to_string();
    assert!(
        said.contains("providerID") && said.contains("pin"),
        "{said}"
    );
    for (pin, path) in [(json!("yes"), "pin"), (json!(1), "pin")] {
        let (status, refused) = server.patch(&session, json!({ "pin": pin })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(refused.to_string().contains(path), "{refused}");
    }
    patched(&server, &session, json!({ "pin": false })).await;

    server
        .prompt(&session, "echo one", model("mock", "mock-fast"))
        .await;
    let before = session_of(&server, &session).await["revision"].as_u64();
    let path = format!("/opencode/session/{session}?pin=true");
    let pinned = server.ok(Method::PATCH, &path, Some(json!({}))).await;
    assert_eq!(pinned["pinned"], true);
    assert_eq!(pinned["revision"].as_u64(), before.map(|r| r + 1));
    let entry = last_switch(&server, &session).await;
    assert_eq!(
        (&entry["pinned"], &entry["source"]),
        (&json!(true), &json!("patch"))
    );
    assert_eq!(entry["previous"], entry["current"]);
    let again = server.ok(Method::PATCH, &path, Some(json!({}))).await;
    assert_eq!(again["revision"], pinned["revision"]);
    let answer = server
        .prompt(&session, "model", model("mock", "mock"))
        .await;
    assert_eq!(text_of(&answer), "mock-fast");

    let (status, refused) = server
        .send(Method::PATCH, &path, Some(json!({ "pin": false })))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{refused}");
    let odd = format!("/opencode/session/{session}?pin=maybe");
    let (status, refused) = server.send(Method::PATCH, &odd, Some(json!({}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(refused.to_string().contains("pin"), "{refused}");

    let released = patched(&server, &session, json!({ "pin": false })).await;
    assert_eq!(released["pinned"], false);
    assert_eq!(last_switch(&server, &session).await["pinned"], false);
    let answer = server
        .prompt(&session, "model", model("mock", "mock"))
        .await;
    assert_eq!(text_of(&answer), "mock");
    server.stop().await;
}

#[tokio::test]
async fn patches_pin_where_that_is_configured() {
    let server = Server::start_with(Options {
        config: "[sessions]\npin_patches = true\n".to_owned(),
        arguments: vec!["--agents".into(), "mock".into()],
    })
    .await;
    let session = talking(&server, "mock", "mock").await;
    let fast = json!({ "providerID": "mock", "modelID": "mock-fast" });
    assert_eq!(patched(&server, &session, fast).await["pinned"], true);
    let strong = json!({ "providerID": "mock", "modelID": "mock-strong", "pin": false });
    assert_eq!(patched(&server, &session, strong).await["pinned"], false);
    // OpenCode 2's switch is a PATCH by another name.
    let path = format!("/opencode/api/session/{session}/model");
    let wish = json!({ "model": { "providerID": "mock", "id": "mock-fast" } });
    server.ok(Method::POST, &path, Some(wish)).await;
    assert_eq!(session_of(&server, &session).await["pinned"], true);
    server.stop().await;
}
