//! What a backend offers is known, or asked for when it is needed, however much that is.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Options, Server};

/// Models of an agent with a long list; those with `strong` in their name have efforts.
const MODELS: usize = 5_000;
/// A model that comes after those whose efforts a probe looks up.
const BEYOND_A_PROBE: usize = 100;

fn name(n: usize) -> String {
    // Every second model has efforts, so that most of them are beyond what a probe looks up.
    match n.is_multiple_of(2) {
        true => format!("strong-{n}"),
        false => format!("plain-{n}"),
    }
}

async fn server_with(models: usize) -> Server {
    let models: Vec<_> = (0..models).map(name).collect();
    let baton = env!("CARGO_BIN_EXE_baton");
    let command = [baton, "mock-agent", "--models", &models.join(",")];
    Server::start_with(Options {
        config: format!("[agents.many]\ncommand = {command:?}\n"),
        arguments: vec!["--agents".into(), "many".into()],
    })
    .await
}

async fn select(
    server: &Server,
    session: &str,
    n: usize,
    variant: Option<&str>,
) -> (StatusCode, Value) {
    let mut body = json!({"providerID": "many", "modelID": name(n)});
    if let Some(variant) = variant {
        body["variant"] = variant.into();
    }
    server.patch(session, body).await
}

#[tokio::test]
async fn five_thousand_models_are_listed_and_each_can_be_selected_with_its_efforts() {
    let server = server_with(MODELS).await;
    let session = server.create().await;
    let (status, changed) = select(&server, &session, MODELS - 2, Some("high")).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!(changed["model"]["variant"], "high");

    for path in ["/opencode/provider", "/opencode/config/providers"] {
        let listed = server.get(path).await;
        let providers = listed["all"].as_array().or(listed["providers"].as_array());
        let many = providers
            .unwrap()
            .iter()
            .find(|p| p["id"] == "many")
            .unwrap();
        assert_eq!(many["models"].as_object().unwrap().len(), MODELS);
        let last = &many["models"][name(MODELS - 2)];
        assert!(last["variants"]["high"].is_object(), "learnt: {last}");
    }
    let (status, changed) = select(&server, &session, MODELS - 1, None).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    server.stop().await;
}

#[tokio::test]
async fn an_effort_that_was_not_looked_up_is_kept_where_the_model_has_it_and_refused_where_not() {
    let server = server_with(BEYOND_A_PROBE + 10).await;
    let session = server.create().await;
    let (_, first) = select(&server, &session, 0, Some("high")).await;
    assert_eq!(first["model"]["variant"], "high", "{first}");
    let (_, kept) = select(&server, &session, BEYOND_A_PROBE, None).await;
    assert_eq!(kept["model"]["variant"], "high", "{kept}");

    for n in [BEYOND_A_PROBE, BEYOND_A_PROBE + 2] {
        let (status, refused) = select(&server, &session, n, Some("nonsense")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{n}: {refused}");
        let message = refused["data"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("nonsense"), "{refused}");
        assert_eq!(
            refused["data"]["suggestions"],
            json!(["low", "medium", "high"])
        );
    }
    let (status, refused) = select(&server, &session, BEYOND_A_PROBE + 1, Some("high")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "has no efforts: {refused}");
    // What was learnt outlives the next probe, which does not look that far.
    server
        .ok(Method::POST, "/opencode/instance/dispose", None)
        .await;
    let (_, after) = select(&server, &session, BEYOND_A_PROBE, Some("low")).await;
    assert_eq!(after["model"]["variant"], "low", "{after}");
    server.stop().await;
}

#[tokio::test]
async fn who_has_the_list_is_told_so_until_something_is_learnt() {
    let server = server_with(BEYOND_A_PROBE + 10).await;
    let session = server.create().await;
    let path = "/opencode/provider";
    let list = async |tag: &str| {
        let headers = [("if-none-match", tag)];
        server.request(Method::GET, path, None, &headers).await
    };
    let first = list("\"none\"").await;
    assert_eq!(first.status(), StatusCode::OK);
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = list(&tag).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(again.text().await.unwrap(), "");

    let (status, changed) = select(&server, &session, BEYOND_A_PROBE, Some("high")).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    let later = list(&tag).await;
    assert_eq!(later.status(), StatusCode::OK);
    let listed: Value = later.json().await.unwrap();
    let model = &listed["all"][0]["models"][name(BEYOND_A_PROBE)];
    assert!(model["variants"]["high"].is_object(), "learnt: {model}");
    server.stop().await;
}
