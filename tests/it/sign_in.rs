//! A backend whose user is not signed in is not shown as if it ran, says what to do, and can sign its user in.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Options, Server, model, text_of};

/// A backend that refuses every prompt, or every session, until its user has signed in; and the mock agent behind it.
async fn server_with(fault: &str, file: Option<&str>) -> Server {
    let baton = env!("CARGO_BIN_EXE_baton");
    let command = [baton, "mock-agent", "--models", "x", "--fault", fault];
    let set = file.map(|file| format!("set = {{ BATON_MOCK_SIGNED_IN = {file:?} }}\n"));
    let set = set.unwrap_or_default();
    Server::start_with(Options {
        config: format!(
            "[agents.first]\nlogin = \"run first login\"\ncommand = {command:?}\n{set}"
        ),
        arguments: vec!["--agents".into(), "first,mock".into()],
    })
    .await
}

async fn backend(server: &Server, id: &str) -> Value {
    let all = server.get("/opencode/backend").await;
    let found = all.as_array().unwrap().iter().find(|b| b["id"] == id);
    found.unwrap().clone()
}

/// The backends that `GET /provider` has as connected, and all.
async fn providers(server: &Server) -> (Vec<String>, Vec<String>) {
    let listed = server.get("/opencode/provider").await;
    let names = |list: &Value, key: &str| {
        let name = |it: &Value| it.get(key).unwrap_or(it).as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(name).collect()
    };
    (names(&listed["connected"], ""), names(&listed["all"], "id"))
}

/// Which backend answers a new session that names no model.
async fn default_backend(server: &Server) -> String {
    let session = server.create().await;
    let answer = server.prompt(&session, "echo hi", json!({})).await;
    answer["info"]["providerID"].as_str().unwrap().to_owned()
}

async fn refused_prompt(server: &Server) -> String {
    let session = server.create().await;
    let answer = server
        .prompt(&session, "echo hi", model("first", "x"))
        .await;
    let error = &answer["info"]["error"];
    assert_eq!(error["name"], "ProviderAuthError", "{answer}");
    error["data"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_backend_that_refuses_a_prompt_is_not_connected_until_one_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signed-in");
    let mut server = server_with("auth-at-prompt", file.to_str()).await;
    assert_eq!(providers(&server).await.0, ["first", "mock"]);
    let said = refused_prompt(&server).await;
    assert!(said.contains("first login"), "{said}");

    let (connected, all) = providers(&server).await;
    assert_eq!(
        (connected.as_slice(), all.len()),
        (&["mock".to_owned()][..], 2)
    );
    let listed = server.get("/opencode/config/providers").await;
    assert_eq!(listed["providers"].as_array().unwrap().len(), 1);
    assert_eq!(default_backend(&server).await, "mock");
    let first = backend(&server, "first").await;
    assert_eq!(first["status"], "not-signed-in", "{first}");
    assert_eq!(first["login"], "run first login");
    assert!(first["reason"].as_str().unwrap().contains("first login"));

    // It is not forgotten, and a probe, to which it looks as if it ran, changes nothing.
    server.terminate().await;
    server.restart().await;
    server.get("/opencode/provider").await;
    assert_eq!(default_backend(&server).await, "mock");
    std::fs::write(&file, "").unwrap();
    let session = server.create().await;
    let answer = server
        .prompt(&session, "echo hi", model("first", "x"))
        .await;
    assert_eq!(text_of(&answer), "hi");
    assert_eq!(providers(&server).await.0, ["first", "mock"]);
    assert_eq!(backend(&server, "first").await["status"], "ready");
    assert_eq!(default_backend(&server).await, "first");
    server.stop().await;
}

#[tokio::test]
async fn a_backend_can_sign_its_user_in() {
    for fault in ["auth-required", "auth-at-prompt"] {
        let server = server_with(fault, None).await;
        server.get("/opencode/provider").await;
        if fault == "auth-at-prompt" {
            refused_prompt(&server).await;
        }
        let first = backend(&server, "first").await;
        assert_eq!(first["status"], "not-signed-in", "{first}");
        let ids: Vec<_> = first["authMethods"].as_array().unwrap().iter().collect();
        assert_eq!(ids[0]["id"], "mock-login");
        assert_eq!(
            (&ids[1]["id"], &ids[1]["terminal"]),
            (&json!("mock-terminal"), &json!(true))
        );
        let ways = server.get("/opencode/provider/auth").await;
        assert_eq!(
            ways,
            json!({"first": [{"type": "oauth", "label": "Mock login"}]})
        );

        let path = "/opencode/backend/first/authenticate";
        for wrong in ["mock-terminal", "nope"] {
            let body = Some(json!({ "methodId": wrong }));
            let (status, error) = server.send(Method::POST, path, body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
            let message = error["data"]["message"].as_str().unwrap();
            assert!(
                message.contains("methodId") && message.contains("first login"),
                "{message}"
            );
        }
        let body = Some(json!({ "methodId": "mock-login" }));
        let now = server.ok(Method::POST, path, body.clone()).await;
        assert_eq!(now["status"], "ready", "{now}");
        assert_eq!(providers(&server).await.0, ["first", "mock"]);
        let (status, _) = server
            .send(Method::POST, "/opencode/backend/nope/authenticate", body)
            .await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        if fault == "auth-required" {
            // The agent keeps it for the life of a process only: each is told.
            assert_eq!(default_backend(&server).await, "first");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn open_code_clients_sign_in_their_way() {
    let server = server_with("auth-required", None).await;
    server.get("/opencode/provider").await;
    let path = |step: &str| format!("/opencode/provider/first/oauth/{step}");
    let body = |method: u64| Some(json!({ "method": method }));
    let flow = server.ok(Method::POST, &path("authorize"), body(0)).await;
    assert_eq!(
        (&flow["method"], &flow["instructions"]),
        (&json!("auto"), &json!("Signs in to nothing"))
    );
    let (status, _) = server.send(Method::POST, &path("callback"), body(1)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "that one needs a terminal");
    assert_eq!(
        server.ok(Method::POST, &path("callback"), body(0)).await,
        true
    );
    assert_eq!(providers(&server).await.0, ["first", "mock"]);
    server.stop().await;
}

#[tokio::test]
async fn a_backend_that_cannot_run_is_listed_with_the_reason() {
    let server = Server::start_with(Options {
        config: "[agents.absent]\ncommand = [\"/nonexistent/agent\"]\n\
                 [agents.broken]\ncommand = [\"false\"]\n"
            .to_owned(),
        arguments: vec!["--agents".into(), "absent,broken,mock".into()],
    })
    .await;
    let (connected, all) = providers(&server).await;
    assert_eq!(connected, ["mock"]);
    assert_eq!(all, ["absent", "broken", "mock"]);
    for (id, status, word) in [
        ("absent", "not-installed", "/nonexistent/agent"),
        ("broken", "failed", "did not start"),
        ("mock", "ready", ""),
    ] {
        let found = backend(&server, id).await;
        assert_eq!(found["status"], status, "{found}");
        assert!(
            found["reason"].as_str().unwrap_or_default().contains(word),
            "{found}"
        );
        assert!(found["command"].is_array() && found["install"].is_string());
    }
    assert_eq!(default_backend(&server).await, "mock");
    server.stop().await;
}
