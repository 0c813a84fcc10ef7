//! The main operation: the model of a live session is changed.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Events, Server, model, text_of};

/// The events of a switch, in the order of a stream: everything from `session.model_changed` on.
async fn switch_events(events: &mut Events) -> Vec<(String, Value)> {
    let from = events.seen.len();
    events.until("session.model_applied", |_| true).await;
    let all = events.seen[from..]
        .iter()
        .skip_while(|e| e.kind != "session.model_changed");
    all.map(|e| (e.kind.clone(), e.properties.clone()))
        .collect()
}

#[tokio::test]
async fn a_conversation_goes_on_with_another_model() {
    let server = Server::start().await;
    let session = server.create().await;
    let first = server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    assert_eq!(text_of(&first), "one");
    assert_eq!(
        (&first["info"]["modelID"], &first["info"]["role"]),
        (&json!("mock"), &json!("assistant"))
    );

    let mut events = server.events().await;
    let wish = json!({ "providerID": "mock", "modelID": "mock-strong", "variant": "high" });
    let (status, patched) = server.patch(&session, wish).await;
    assert_eq!(status, StatusCode::OK, "{patched}");
    assert_eq!(
        patched["model"],
        json!({ "id": "mock-strong", "providerID": "mock", "variant": "high" })
    );

    let seen = switch_events(&mut events).await;
    let kinds: Vec<_> = seen.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "session.model_changed",
            "session.updated",
            "session.next.model.switched",
            "session.model_applied"
        ]
    );
    let revision = &patched["revision"];
    assert_eq!(&seen[0].1["revision"], revision);
    assert_eq!(&seen[1].1["info"]["revision"], revision);
    assert_eq!(&seen[3].1["revision"], revision);
    assert_eq!(seen[0].1["source"], "patch");
    assert_eq!(seen[0].1["effective"], "immediate");
    assert_eq!(seen[0].1["previous"]["modelID"], "mock");
    assert_eq!(seen[3].1["transfer"]["kind"], "native");

    let history = server.prompt(&session, "history", json!({})).await;
    let text = text_of(&history);
    assert!(text.starts_with("model: mock-strong (high)"), "{text}");
    assert!(
        text.contains("user: echo one") && text.contains("assistant [mock]: one"),
        "{text}"
    );
    assert_eq!(history["info"]["variant"], "high");
    let info = server.get(&format!("/opencode/session/{session}")).await;
    assert_eq!(info["runtime"]["applied"]["modelID"], "mock-strong");
    assert_eq!(info["runtime"]["pending"], Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn a_turn_in_flight_keeps_its_model() {
    let server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo warm", model("mock", "mock-fast"))
        .await;
    let mut events = server.events().await;
    server.prompt_async(&session, "slow 3", json!({})).await;
    events.until("message.part.delta", |_| true).await;

    let (status, patched) = server
        .patch(
            &session,
            json!({ "providerID": "mock", "modelID": "mock-strong" }),
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(patched["runtime"]["status"], "busy");
    assert_eq!(patched["runtime"]["pending"]["modelID"], "mock-strong");
    let changed = events.until("session.model_changed", |_| true).await;
    assert_eq!(changed.properties["effective"], "next_turn");
    let idle_before = events.seen.iter().any(|e| e.kind == "session.idle");
    assert!(
        !idle_before,
        "the PATCH was answered while the turn was running"
    );

    events.until("session.model_applied", |_| true).await;
    assert!(
        events.kinds().contains(&"session.idle"),
        "it is applied after the turn"
    );
    let after = server.prompt(&session, "model", json!({})).await;
    assert_eq!(text_of(&after), "mock-strong (medium)");
    let messages = server
        .get(&format!("/opencode/session/{session}/message"))
        .await;
    let models: Vec<_> = messages
        .as_array()
        .unwrap()
        .iter()
        .filter(|m| m["info"]["role"] == "assistant")
        .map(|m| m["info"]["modelID"].clone())
        .collect();
    assert_eq!(models, ["mock-fast", "mock-fast", "mock-strong"]);
    server.stop().await;
}

#[tokio::test]
async fn a_messages_own_model_is_selected_for_good() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    server
        .prompt(&session, "model", model("mock", "mock"))
        .await;
    let changed = events.until("session.model_changed", |_| true).await;
    assert_eq!(
        (
            &changed.properties["source"],
            &changed.properties["previous"]
        ),
        (&json!("message"), &Value::Null)
    );
    let answer = server
        .prompt(&session, "model", model("mock", "mock-fast"))
        .await;
    assert_eq!(text_of(&answer), "mock-fast");
    let answer = server.prompt(&session, "model", json!({})).await;
    assert_eq!(text_of(&answer), "mock-fast", "the session stays with it");
    server.stop().await;
}

#[tokio::test]
async fn a_no_op_costs_nothing() {
    let server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let path = format!("/opencode/session/{session}");
    let before = server.request(Method::GET, &path, None, &[]).await;
    let etag = before.headers()["etag"].to_str().unwrap().to_owned();
    let mut events = server.events().await;
    let body = json!({ "providerID": "mock", "modelID": "mock" });
    let same = server
        .request(Method::PATCH, &path, Some(body), &[("if-match", &etag)])
        .await;
    assert_eq!(same.status(), StatusCode::OK);
    assert_eq!(same.headers()["etag"], etag.as_str());
    // The next event is that of a real change: the no-op has made none.
    server.patch(&session, json!({ "title": "renamed" })).await;
    let next = events.next().await;
    assert_eq!(
        (next.kind.as_str(), &next.properties["info"]["title"]),
        ("session.updated", &json!("renamed"))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_stale_if_match_is_refused() {
    let server = Server::start().await;
    let session = server.create().await;
    let path = format!("/opencode/session/{session}");
    let title = |t: &str| Some(json!({ "title": t, "providerID": "mock", "modelID": "mock-fast" }));
    let first = server
        .request(Method::PATCH, &path, title("a"), &[("if-match", "\"1\"")])
        .await;
    assert_eq!(first.status(), StatusCode::OK);
    let response = server
        .request(Method::PATCH, &path, title("b"), &[("if-match", "\"1\"")])
        .await;
    assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["name"], "RevisionConflictError");
    assert_eq!(error["data"]["revision"], 2);
    assert_eq!(server.get(&path).await["title"], "a");
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_and_changes_nothing() {
    let server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let path = format!("/opencode/session/{session}");
    let before = server.get(&path).await;
    for (body, name, says) in [
        (json!({ "providerID": "mock" }), "BadRequest", "modelID"),
        (json!({ "modelID": "mock" }), "BadRequest", "providerID"),
        (
            json!({ "providerID": "mock", "modelID": 5 }),
            "BadRequest",
            "[\"modelID\"]",
        ),
        (
            json!({ "provider_id": "mock", "modelID": "mock" }),
            "BadRequest",
            "providerID",
        ),
        (json!({ "model": "mock/mock" }), "BadRequest", "[\"model\"]"),
        (
            json!({ "model": { "providerID": "mock", "modelid": "x" } }),
            "BadRequest",
            "modelID",
        ),
        (
            json!({ "providerID": "mok", "modelID": "mock" }),
            "ProviderModelNotFoundError",
            "mock",
        ),
        (
            json!({ "providerID": "mock", "modelID": "mock-stong" }),
            "ProviderModelNotFoundError",
            "mock-strong",
        ),
        (
            json!({ "providerID": "mock", "modelID": "mock-strong", "variant": "ultra" }),
            "ProviderModelNotFoundError",
            "high",
        ),
        (json!({ "agent": "archtect" }), "AgentNotFoundError", "plan"),
        (
            json!({ "title": "no", "providerID": "mock", "modelID": "nope" }),
            "ProviderModelNotFoundError",
            "mock",
        ),
    ] {
        let (status, error) = server.patch(&session, body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {error}");
        assert_eq!(error["name"], name, "{body}: {error}");
        let message = error["data"].to_string();
        assert!(
            message.contains(&says.replace('"', "\\\"")),
            "{body}: {message}"
        );
    }
    assert_eq!(server.get(&path).await, before);
    let (status, error) = server
        .try_prompt(&session, "echo two", model("mock", "nope"))
        .await;
    assert_eq!(
        (status, &error["name"]),
        (
            StatusCode::BAD_REQUEST,
            &json!("ProviderModelNotFoundError")
        )
    );
    let messages = server.get(&format!("{path}/message")).await;
    assert_eq!(
        messages.as_array().unwrap().len(),
        2,
        "a refused message is not stored"
    );
    let (status, error) = server
        .send(
            Method::PATCH,
            "/opencode/session/ses_missing",
            Some(json!({ "title": "x" })),
        )
        .await;
    assert_eq!(
        (status, &error["name"]),
        (StatusCode::NOT_FOUND, &json!("NotFoundError"))
    );
    server.stop().await;
}

#[tokio::test]
async fn everything_in_one_patch_is_all_or_nothing() {
    let server = Server::start().await;
    let session = server.create().await;
    let body = json!({
        "model": { "providerID": "mock", "id": "mock-strong", "variant": "low" }, "agent": "plan",
        "title": "new", "metadata": { "a": 1 }, "permission": [{ "permission": "bash", "pattern": "*", "action": "deny" }],
        "time": { "archived": 5 }
    });
    let path = format!("/opencode/session/{session}?wait=true");
    let patched = server.ok(Method::PATCH, &path, Some(body)).await;
    assert_eq!(
        (&patched["revision"], &patched["title"], &patched["agent"]),
        (&json!(2), &json!("new"), &json!("plan"))
    );
    assert_eq!(
        (&patched["metadata"]["a"], &patched["time"]["archived"]),
        (&json!(1), &json!(5))
    );
    assert_eq!(patched["permission"][0]["action"], "deny");
    let applied = json!({ "providerID": "mock", "modelID": "mock-strong", "variant": "low", "agent": "plan" });
    assert_eq!(
        patched["runtime"],
        json!({ "status": "idle", "applied": applied, "pending": null })
    );
    let answer = server.prompt(&session, "mode", json!({})).await;
    assert_eq!(text_of(&answer), "plan");
    server.stop().await;
}

#[tokio::test]
async fn open_code_2_routes_go_through_the_same_operation() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let body = json!({ "model": { "id": "mock-fast", "providerID": "mock" } });
    let (status, answer) = server
        .send(
            Method::POST,
            &format!("/opencode/api/session/{session}/model"),
            Some(body),
        )
        .await;
    assert_eq!((status, answer), (StatusCode::NO_CONTENT, Value::Null));
    let changed = events.until("session.model_changed", |_| true).await;
    assert_eq!(changed.properties["current"]["modelID"], "mock-fast");
    let (status, _) = server
        .send(
            Method::POST,
            &format!("/opencode/api/session/{session}/agent"),
            Some(json!({ "agent": "plan" })),
        )
        .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    events
        .until("session.next.agent.switched", |p| p["agent"] == "plan")
        .await;
    let (status, error) = server
        .send(
            Method::POST,
            &format!("/opencode/api/session/{session}/model"),
            Some(json!({ "model": { "id": "x" } })),
        )
        .await;
    assert_eq!(
        (status, &error["_tag"]),
        (StatusCode::BAD_REQUEST, &json!("InvalidRequestError"))
    );
    server.stop().await;
}

#[tokio::test]
async fn prompts_to_a_busy_session_wait_and_keep_the_model_of_their_admission() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    server
        .prompt_async(&session, "slow 1", model("mock", "mock"))
        .await;
    server.prompt_async(&session, "model", json!({})).await;
    server
        .patch(
            &session,
            json!({ "providerID": "mock", "modelID": "mock-fast" }),
        )
        .await;
    server.prompt_async(&session, "model", json!({})).await;
    events.until("session.idle", |_| true).await;
    let messages = server
        .get(&format!("/opencode/session/{session}/message"))
        .await;
    let answers: Vec<_> = messages
        .as_array()
        .unwrap()
        .iter()
        .filter(|m| m["info"]["role"] == "assistant")
        .collect();
    let said: Vec<_> = answers.iter().map(|m| text_of(m)).collect();
    assert_eq!(&said[1..], ["mock", "mock-fast"]);
    let models: Vec<_> = answers
        .iter()
        .map(|m| m["info"]["modelID"].as_str().unwrap())
        .collect();
    assert_eq!(models, ["mock", "mock", "mock-fast"]);
    server.stop().await;
}
