//! OpenCode 2's routes, below `/opencode/api`.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::Server;

/// Where its routes are.
pub(crate) const API: &str = "/opencode/api";

/// A request of OpenCode 2.
pub(crate) async fn api(
    server: &Server,
    method: Method,
    path: &str,
    body: Value,
) -> (StatusCode, Value) {
    let body = (!body.is_null()).then_some(body);
    server.send(method, &format!("{API}{path}"), body).await
}

/// Sends a prompt and waits until it is answered.
pub(crate) async fn ask(server: &Server, session: &str, text: &str) -> Value {
    let path = format!("/session/{session}/prompt");
    let (status, admitted) = api(
        server,
        Method::POST,
        &path,
        json!({ "prompt": { "text": text } }),
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{admitted}");
    let (status, _) = api(
        server,
        Method::POST,
        &format!("/session/{session}/wait"),
        Value::Null,
    )
    .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    admitted["data"].clone()
}

/// A session of the mock, by its id.
pub(crate) async fn create(server: &Server) -> String {
    let body = json!({ "model": { "providerID": "mock", "id": "mock" } });
    let (status, created) = api(server, Method::POST, "/session", body).await;
    assert_eq!(status, StatusCode::OK, "{created}");
    created["data"]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn the_catalogue_has_what_can_be_selected() {
    let server = Server::start().await;
    server.get("/opencode/provider").await;
    let work = server.work().canonicalize().unwrap();
    let here = server.get(&format!("{API}/location")).await;
    assert_eq!(here["directory"], work.to_str().unwrap());
    std::fs::create_dir(work.join("x")).unwrap();
    let query = format!("location%5Bdirectory%5D={}//x/", work.display());
    let there = server.get(&format!("{API}/location?{query}")).await;
    assert_eq!(there["directory"], work.join("x").to_str().unwrap());
    assert_eq!(there["project"]["id"], here["project"]["id"]);

    let models = server.get(&format!("{API}/model")).await;
    assert_eq!(models["location"], here);
    let ids: Vec<_> = models["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["id"].as_str().unwrap())
        .collect();
    assert!(
        ids.contains(&"mock") && ids.contains(&"mock-strong"),
        "{ids:?}"
    );
    let default = server.get(&format!("{API}/model/default")).await;
    assert_eq!(default["data"]["id"], "mock");
    assert_eq!(
        server.get(&format!("{API}/provider")).await["data"][0]["id"],
        "mock"
    );
    assert_eq!(
        server.get(&format!("{API}/provider/mock")).await["data"]["id"],
        "mock"
    );
    let (status, missing) = api(&server, Method::GET, "/provider/nope", Value::Null).await;
    assert_eq!(
        (status, &missing["_tag"]),
        (StatusCode::NOT_FOUND, &json!("ProviderNotFoundError"))
    );
    assert_eq!(missing["providerID"], "nope");
    let agents = server.get(&format!("{API}/agent")).await;
    let ids: Vec<_> = agents["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["id"].clone())
        .collect();
    assert_eq!(ids, ["build", "plan", "mock"]);
    for empty in [
        "/integration",
        "/reference",
        "/skill",
        "/permission/request",
        "/question/request",
    ] {
        assert_eq!(
            server.get(&format!("{API}{empty}")).await,
            json!({ "location": here, "data": [] }),
            "{empty}"
        );
    }
    assert_eq!(
        server.get(&format!("{API}/permission/saved")).await,
        json!({ "data": [] })
    );
    let path = format!("{API}/integration/x");
    let (status, refusal) = server.send(Method::GET, &path, None).await;
    assert_eq!(
        (status, &refusal["_tag"]),
        (StatusCode::BAD_REQUEST, &json!("InvalidRequestError"))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_conversation_goes_through_the_second_version_and_the_first_sees_it() {
    let server = Server::start().await;
    let session = create(&server).await;
    let admitted = ask(&server, &session, "echo one").await;
    assert_eq!(admitted["prompt"], json!({ "text": "echo one" }));
    let path = format!("/session/{session}/model");
    let body = json!({ "model": { "providerID": "mock", "id": "mock-strong" } });
    assert_eq!(
        api(&server, Method::POST, &path, body).await.0,
        StatusCode::NO_CONTENT
    );
    ask(&server, &session, "tool a.txt").await;

    let listed = server
        .get(&format!("{API}/session/{session}/message?order=asc"))
        .await;
    let messages = listed["data"].as_array().unwrap();
    let types: Vec<_> = messages
        .iter()
        .map(|m| m["type"].as_str().unwrap())
        .collect();
    let expected = ["user", "assistant", "model-switched", "user", "assistant"];
    assert_eq!(types, expected);
    assert_eq!(messages[0]["id"], admitted["id"]);
    assert_eq!(
        messages[1]["content"][0],
        json!({ "type": "text", "id": messages[1]["content"][0]["id"], "text": "one" })
    );
    assert_eq!(messages[4]["model"]["id"], "mock-strong");
    let tool = messages[4]["content"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["type"] == "tool")
        .expect("a call");
    assert_eq!(tool["state"]["status"], "completed");
    let one = server
        .get(&format!(
            "{API}/session/{session}/message/{}",
            admitted["id"].as_str().unwrap()
        ))
        .await;
    assert_eq!(one["data"], messages[0]);
    let context = server
        .get(&format!("{API}/session/{session}/context"))
        .await;
    assert_eq!(context["data"], listed["data"]);
    // The first version has the same prompts and answers.
    let mut first = server.messages(&session).await;
    // The line about the switch is not a prompt, and the second version has the switch itself.
    first.retain(|message| message["parts"][0]["ignored"] != true);
    assert_eq!(first.len(), 4);
    assert_eq!(first[0]["info"]["id"], admitted["id"]);
    server.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages() {
    let server = Server::start().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(create(&server).await);
    }
    let mut seen = Vec::new();
    let mut path = format!("{API}/session?limit=2");
    loop {
        let page = server.get(&path).await;
        seen.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|s| s["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["cursor"]["next"].as_str() else {
            break;
        };
        path = format!("{API}/session?limit=2&cursor={next}");
    }
    made.reverse();
    assert_eq!(seen, made, "each once, the newest first");
    for wrong in ["cursor=zzz", "limit=0", "limit=x", "order=up"] {
        for list in [
            "/session".to_owned(),
            format!("/session/{}/message", made[0]),
        ] {
            let (status, refused) = api(
                &server,
                Method::GET,
                &format!("{list}?{wrong}"),
                Value::Null,
            )
            .await;
            let tag = if wrong.starts_with("cursor") {
                "InvalidCursorError"
            } else {
                "InvalidRequestError"
            };
            assert_eq!(
                (status, &refused["_tag"]),
                (StatusCode::BAD_REQUEST, &json!(tag)),
                "{list} {wrong}"
            );
        }
    }
    let elsewhere = server
        .get(&format!("{API}/session?directory=/nowhere"))
        .await;
    assert_eq!(elsewhere, json!({ "data": [], "cursor": {} }));
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_and_stores_nothing() {
    let server = Server::start().await;
    let session = create(&server).await;
    let prompt = format!("/session/{session}/prompt");
    for (path, body, status, tag) in [
        (prompt.as_str(), json!({}), 400, "InvalidRequestError"),
        (&prompt, json!({ "prompt": {} }), 400, "InvalidRequestError"),
        (
            &prompt,
            json!({ "prompt": "hi" }),
            400,
            "InvalidRequestError",
        ),
        (
            &prompt,
            json!({ "prompt": { "text": "x" }, "delivery": "now" }),
            400,
            "InvalidRequestError",
        ),
        (
            &prompt,
            json!({ "prompt": { "text": "x", "files": [{}] } }),
            400,
            "InvalidRequestError",
        ),
        (
            &prompt,
            json!({ "prompt": { "text": "x", "agents": [{ "name": "a", "source": {} }] } }),
            400,
            "InvalidRequestError",
        ),
        (
            &prompt,
            json!({ "id": "x", "prompt": { "text": "x" } }),
            400,
            "InvalidRequestError",
        ),
        (
            "/session/ses_missing/prompt",
            json!({ "prompt": { "text": "x" } }),
            404,
            "SessionNotFoundError",
        ),
        (
            "/session/ses_missing/wait",
            Value::Null,
            404,
            "SessionNotFoundError",
        ),
        (
            "/session/ses_missing/interrupt",
            Value::Null,
            404,
            "SessionNotFoundError",
        ),
        (
            "/session",
            json!({ "id": "ses_mine" }),
            400,
            "InvalidRequestError",
        ),
        (
            "/session",
            json!({ "model": { "providerID": "mock", "id": "nope" } }),
            400,
            "ProviderModelNotFoundError",
        ),
        (
            "/session",
            json!({ "location": {} }),
            400,
            "InvalidRequestError",
        ),
        (
            "/session",
            json!({ "location": { "directory": "/nowhere/at/all" } }),
            400,
            "InvalidRequestError",
        ),
    ] {
        let (got, refused) = api(&server, Method::POST, path, body.clone()).await;
        assert_eq!(
            (got.as_u16(), &refused["_tag"]),
            (status, &json!(tag)),
            "{path} {body}: {refused}"
        );
        assert!(refused["message"].is_string());
    }
    for path in [
        "",
        "/message",
        "/context",
        "/history",
        "/event",
        "/permission",
        "/question",
    ] {
        let (got, refused) = api(
            &server,
            Method::GET,
            &format!("/session/ses_missing{path}"),
            Value::Null,
        )
        .await;
        assert_eq!(
            (got, &refused["_tag"]),
            (StatusCode::NOT_FOUND, &json!("SessionNotFoundError")),
            "{path}"
        );
    }
    let (got, refused) = api(
        &server,
        Method::GET,
        &format!("/session/{session}/message/msg_x"),
        Value::Null,
    )
    .await;
    assert_eq!(
        (got, &refused["_tag"]),
        (StatusCode::NOT_FOUND, &json!("MessageNotFoundError"))
    );
    assert_eq!(server.messages(&session).await, Vec::<Value>::new());
    let twice = json!({ "id": "msg_twice", "prompt": { "text": "echo x" }, "resume": false });
    assert_eq!(
        api(&server, Method::POST, &prompt, twice.clone()).await.0,
        StatusCode::OK
    );
    let (got, refused) = api(&server, Method::POST, &prompt, twice).await;
    assert_eq!(
        (got, &refused["_tag"]),
        (StatusCode::CONFLICT, &json!("ConflictError"))
    );
    assert_eq!(
        server.messages(&session).await.len(),
        1,
        "stored, and not answered"
    );
    server.stop().await;
}
