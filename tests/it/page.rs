//! The page's files, the Markdown that the server renders for it, and the text of a handover.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Options, Server, model};

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// A server with both built-in mock agents.
async fn both() -> Server {
    let arguments = vec!["--agents".into(), "mock,mock2".into()];
    Server::start_with(Options {
        arguments,
        ..Options::default()
    })
    .await
}

/// The quoted text after one of these.
fn named(text: &str, before: &str) -> Vec<String> {
    let pieces = text.split(before).skip(1);
    let quoted = pieces.filter_map(|piece| piece.split('"').next());
    quoted.map(str::to_owned).collect()
}

#[tokio::test]
async fn every_file_that_the_page_names_is_there_and_nothing_else() {
    let server = Server::start().await;
    let page = server.request(Method::GET, "/", None, &[BROWSER]).await;
    let page = page.text().await.expect("a page");
    assert!(
        !page.contains("http://www.") && !page.contains("https://"),
        "the page names another server"
    );
    let mut waiting: Vec<_> = ["href=\"/ui/", "src=\"/ui/"]
        .iter()
        .flat_map(|before| named(&page, before))
        .collect();
    let mut seen = Vec::new();
    while let Some(name) = waiting.pop() {
        if seen.contains(&name) {
            continue;
        }
        let path = format!("/ui/{name}");
        let file = server.request(Method::GET, &path, None, &[]).await;
        assert_eq!(file.status(), StatusCode::OK, "{path}");
        let headers = file.headers().clone();
        let kind = match name.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            other => panic!("{other:?}"),
        };
        assert_eq!(headers["content-type"], kind, "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let text = file.text().await.expect("text");
        // Comments name the file with the types, which no browser loads.
        let modules = named(&text, "from \"./").into_iter();
        waiting.extend(modules.filter(|name| name != "types.js"));
        seen.push(name);
    }
    assert!(seen.len() > 20, "{seen:?}");
    for nothing in [
        "/ui/",
        "/ui/nope.js",
        "/ui/index.html",
        "/ui/mod.rs",
        "/ui/..%2fmod.rs",
        "/opencode/ui/main.js",
    ] {
        let (status, body) = server.send(Method::GET, nothing, None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{nothing} {body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_pages_files_are_kept_from_strangers_as_everything_else() {
    let arguments = ["--agents", "mock", "--password", "a-long-password"].map(str::to_owned);
    let server = Server::start_with(Options {
        arguments: arguments.to_vec(),
        ..Options::default()
    })
    .await;
    let body = json!({ "texts": ["a"] });
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let body = (method == Method::POST).then(|| body.clone());
        server.request(method, path, body, headers).await.status()
    };
    let right = ("authorization", "Bearer a-long-password");
    for (method, path) in [(Method::GET, "/ui/main.js"), (Method::POST, "/ui/markdown")] {
        assert_eq!(
            ask(method.clone(), path, &[]).await,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(ask(method.clone(), path, &[right]).await, StatusCode::OK);
        for foreign in [
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://evil.example"),
        ] {
            let got = ask(method.clone(), path, &[right, foreign]).await;
            assert_eq!(got, StatusCode::FORBIDDEN, "{path} {foreign:?}");
        }
    }
    server.stop().await;
}

async fn markdown(server: &Server, body: Value) -> (StatusCode, Value) {
    server.send(Method::POST, "/ui/markdown", Some(body)).await
}

#[tokio::test]
async fn markdown_is_rendered_and_html_in_it_stays_text() {
    let server = Server::start().await;
    let texts = [
        "**bold**".to_owned(),
        "<script>alert(1)</script>\n\n[x](javascript:alert(1)) ![p](https://evil.example/p.png)"
            .to_owned(),
        "```rust\nlet x = 1;\n```".to_owned(),
        "x".repeat(300_000),
    ];
    let (status, answer) = markdown(&server, json!({ "texts": texts })).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let html = answer["html"].as_array().expect("a list");
    assert_eq!(html[0], "<p><strong>bold</strong></p>\n");
    let hostile = html[1].as_str().expect("HTML");
    assert!(hostile.contains("&lt;script&gt;"), "{hostile}");
    for bad in ["<script", "<img", "javascript:"] {
        assert!(!hostile.contains(bad), "{hostile}");
    }
    assert!(html[2].as_str().is_some_and(|code| code.contains("hl-")));
    assert_eq!(html[3], Value::Null, "too long");
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_list_of_texts_is_refused_with_its_bounds() {
    let server = Server::start().await;
    for wrong in [
        json!({}),
        json!({ "texts": "a" }),
        json!({ "texts": [1] }),
        json!({ "texts": vec!["a"; 65] }),
        json!({ "texts": ["x".repeat(600_000), "x".repeat(600_000)] }),
    ] {
        let (status, body) = markdown(&server, wrong).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let message = body["data"]["message"].as_str().expect("a message");
        assert!(
            message.contains("at most 64") && message.contains("texts"),
            "{message}"
        );
    }
    server.stop().await;
}

async fn handover(server: &Server, session: &str, revision: &Value) -> Value {
    let path = format!("/opencode/session/{session}/model/{revision}");
    server.get(&path).await
}

#[tokio::test]
async fn the_text_that_a_model_was_given_can_be_read_until_what_it_quotes_is_gone() {
    let server = both().await;
    let session = server.create().await;
    let first = server
        .prompt(&session, "echo plum", model("mock", "mock-fast"))
        .await;
    server.prompt(&session, "read 4", json!({})).await;
    let path = format!("/opencode/session/{session}?wait=true");
    let wish = json!({ "providerID": "mock2", "modelID": "mock2-strong" });
    let by = [("user-agent", "curl/8.14.1")];
    let switched = server.request(Method::PATCH, &path, Some(wish), &by).await;
    let switched: Value = switched.json().await.expect("JSON");
    let revision = switched["revision"].clone();
    assert_eq!(
        handover(&server, &session, &revision).await["given"],
        json!([])
    );

    // The mock answers with all that it was given, of which the text has to be a part, word for word.
    let history = server.say(&session, "history").await;
    let read = handover(&server, &session, &revision).await;
    assert_eq!(read["revision"], revision);
    let given = &read["given"][0];
    let text = given["text"].as_str().expect("a text");
    assert!(
        text.contains("| echo plum") && history.contains(text.trim_end()),
        "{text}\n---\n{history}"
    );
    assert_eq!(given["model"]["modelID"], "mock2-strong");
    let left_out = &given["leftOut"][0];
    assert_eq!(left_out["tool"], "read");
    assert_eq!(left_out["of"], "assistant mock/mock-fast");
    assert!(text.contains(left_out["what"].as_str().expect("a text")));
    let trail = server
        .get(&format!("/opencode/session/{session}/model"))
        .await;
    let entries = trail["switches"].as_array().expect("a list");
    let entry = entries.last().expect("an entry");
    assert_eq!(entry["program"], "curl/8.14.1");
    let transfer = &entry["transfer"];
    assert_eq!(transfer["bytes"], text.len());
    assert_eq!(transfer["elided"], 1);

    // Answers say with which selection they were given.
    let messages = server.messages(&session).await;
    let last = &messages[messages.len() - 1]["info"];
    assert_eq!(last["revision"], revision);
    assert_ne!(first["info"]["revision"], revision);

    // A catch-up is its own text; an agent that knows everything is given none.
    let back = server.select(&session, "mock", "mock-fast").await;
    server.say(&session, "echo back").await;
    let read = handover(&server, &session, &back["revision"]).await;
    let missed = read["given"][0]["text"].as_str().expect("a text");
    assert!(
        missed.starts_with("[what you missed in this session]"),
        "{missed}"
    );
    let native = server.select(&session, "mock", "mock-strong").await;
    server.say(&session, "echo native").await;
    assert_eq!(
        handover(&server, &session, &native["revision"]).await["given"],
        json!([])
    );

    // What is taken out of the conversation is in no text any more.
    let message = first["info"]["id"].as_str().expect("an id");
    let path = format!("/opencode/session/{session}/message/{message}");
    server.ok(Method::DELETE, &path, None).await;
    assert_eq!(
        handover(&server, &session, &revision).await["given"],
        json!([])
    );
    server.stop().await;
}

#[tokio::test]
async fn a_handover_is_asked_for_by_a_session_and_a_revision() {
    let server = Server::start().await;
    let session = server.create().await;
    for wrong in ["x", "-1", "1.5", "99999999999999999999"] {
        let path = format!("/opencode/session/{session}/model/{wrong}");
        let (status, body) = server.send(Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
        let message = body["data"]["message"].as_str().expect("a message");
        assert!(message.ends_with("at [\"revision\"]"), "{message}");
    }
    let unknown = "/opencode/session/ses_00000000000000000000000000/model/1";
    let (status, _) = server.send(Method::GET, unknown, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    server.stop().await;
}

#[tokio::test]
async fn the_second_mock_agent_has_models_and_efforts_of_its_own() {
    let server = both().await;
    let list = server.get("/opencode/provider").await;
    let all = list["all"].as_array().expect("a list");
    let mock2 = all.iter().find(|it| it["id"] == "mock2").expect("there");
    let models = mock2["models"].as_object().expect("models");
    assert_eq!(models.keys().collect::<Vec<_>>(), ["mock2", "mock2-strong"]);
    let strong = &models["mock2-strong"];
    assert_eq!(strong["limit"]["context"], 16_000);
    let efforts: Vec<_> = strong["variants"]
        .as_object()
        .expect("efforts")
        .keys()
        .collect();
    assert_eq!(efforts, ["quick", "thorough"]);
    // It is never what a session starts with.
    let session = server.create().await;
    let answer = server.prompt(&session, "model", json!({})).await;
    assert_eq!(answer["info"]["providerID"], "mock");
    server.stop().await;
}
