//! The same API at the root as below `/opencode`, and the page that a browser sees there.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Events, Options, Server};

/// What Firefox sends when an address is opened.
const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
/// They answer when something happens, not at once.
const STREAMS: [&str; 5] = [
    "/event",
    "/global/event",
    "/api/event",
    "/api/session/{sessionID}/event",
    "/tui/control/next",
];

/// Every GET of the document below `/opencode`, with the session's id in it.
async fn gets(server: &Server, session: &str) -> Vec<String> {
    let document = server.get("/openapi.json").await;
    let paths = document["paths"].as_object().expect("paths").iter();
    let gets = paths.filter(|(_, operations)| operations.get("get").is_some());
    let gets = gets.filter_map(|(path, _)| path.strip_prefix("/opencode"));
    let gets = gets.filter(|path| !STREAMS.contains(path));
    gets.map(|path| {
        let path = path.replace("{sessionID}", session);
        let pieces = path.split('/').map(|piece| match piece.starts_with('{') {
            true => "unknown",
            false => piece,
        });
        pieces.collect::<Vec<_>>().join("/")
    })
    .collect()
}

#[tokio::test]
async fn every_get_answers_the_same_at_both_places() {
    let server = Server::start().await;
    let session = server.create().await;
    server.prompt(&session, "echo one", json!({})).await;
    server.until_idle(&session).await;
    let gets = gets(&server, &session).await;
    assert!(gets.len() > 50, "{gets:#?}");
    for path in gets {
        let below = format!("/opencode{path}");
        let below = server.send(Method::GET, &below, None).await;
        assert_eq!(server.send(Method::GET, &path, None).await, below, "{path}");
        assert_ne!(
            below.1["data"]["message"],
            format!("There is no {path} here")
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_session_is_led_at_the_root_and_counted_once() {
    let server = Server::start().await;
    let mut events = Events::open(&server, "/event", None).await;
    let mut all = Events::open(&server, "/global/event", None).await;
    let session = server.ok(Method::POST, "/session", Some(json!({}))).await;
    let path = format!("/session/{}", session["id"].as_str().expect("an id"));
    let change = json!({ "providerID": "mock", "modelID": "mock-strong" });
    let patched = server.ok(Method::PATCH, &path, Some(change)).await;
    assert_eq!(patched["model"]["id"], "mock-strong");
    let own = |p: &Value| p["sessionID"] == session["id"];
    events.until("session.model_changed", own).await;
    let told = all.until("session.model_changed", own).await;
    assert_eq!(told.whole["directory"], session["directory"]);
    for text in ["echo one", "echo two"] {
        let prompt = json!({ "parts": [{ "type": "text", "text": text }] });
        server
            .ok(Method::POST, &format!("{path}/message"), Some(prompt))
            .await;
    }
    let newest = format!("{path}/message?limit=1");
    let page = server.request(Method::GET, &newest, None, &[]).await;
    let link = page.headers()["link"].to_str().expect("text").to_owned();
    assert!(
        link.contains(&path) && !link.contains("/opencode"),
        "{link}"
    );
    let metrics = server.get("/metrics").await;
    let metrics = metrics.as_str().expect("text");
    let count = "{method=\"PATCH\",route=\"/opencode/session/{sessionID}\",status=\"200\"} 1";
    assert!(metrics.contains(count), "{metrics}");
    assert!(!metrics.contains("route=\"/session"), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn the_root_asks_for_the_password_too() {
    let arguments = ["--agents", "mock", "--password", "a-long-password"].map(str::to_owned);
    let options = Options {
        arguments: arguments.to_vec(),
        ..Options::default()
    };
    let server = Server::start_with(options).await;
    let right = ("authorization", "Bearer a-long-password");
    for path in ["/", "/session", "/config/providers", "/event", "/nope"] {
        let refused = server.request(Method::GET, path, None, &[BROWSER]).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert!(refused.headers().contains_key("www-authenticate"), "{path}");
    }
    for path in ["/", "/session"] {
        let headers = [BROWSER, right];
        let answer = server.request(Method::GET, path, None, &headers).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_browser_gets_a_page_and_everybody_else_json() {
    let server = Server::start().await;
    let page = server.request(Method::GET, "/", None, &[BROWSER]).await;
    assert_eq!(page.status(), StatusCode::OK);
    let headers = page.headers().clone();
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(headers["x-frame-options"], "DENY");
    let policies: Vec<_> = headers.get_all("content-security-policy").iter().collect();
    let has = |policy: &str| {
        let has = |p: &&reqwest::header::HeaderValue| p.to_str().is_ok_and(|p| p.contains(policy));
        policies.iter().any(has)
    };
    assert!(has("default-src 'self'") && has("frame-ancestors 'none'"));
    assert!(!has("unsafe"), "{policies:?}");
    let text = page.text().await.expect("a page");
    let command = format!("opencode attach {}\n", server.url);
    assert!(text.contains(&command) && text.contains("/docs"), "{text}");

    for (path, headers) in [
        ("/", &[][..]),
        ("/nope", &[BROWSER]),
        ("/opencode/", &[BROWSER]),
    ] {
        let answer = server.request(Method::GET, path, None, headers).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        let body: Value = answer.json().await.expect("JSON");
        let message = body["data"]["message"].as_str().expect("a message");
        let says_where = message.ends_with("For an overview, see /");
        assert_eq!(says_where, !headers.is_empty(), "{message}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_document_opens_on_the_main_operation() {
    let server = Server::start().await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let client = client.build().expect("a client");
    let docs = client.get(format!("{}/docs", server.url)).send().await;
    let docs = docs.expect("an answer");
    assert_eq!(docs.status(), StatusCode::SEE_OTHER);
    // The page itself opens what follows the mark.
    assert_eq!(docs.headers()["location"], "/docs/#/session/session.update");
    let document = server.get("/openapi.json").await;
    let main = &document["paths"]["/opencode/session/{sessionID}"]["patch"];
    assert_eq!(main["operationId"], "session.update");
    assert_eq!(main["tags"], json!(["session"]));
    let summary = main["summary"].as_str().expect("a summary");
    assert!(
        summary.starts_with("Switch the model, provider or agent of a session"),
        "{summary}"
    );
    server.stop().await;
}
