//! The OpenAPI document: the committed one is the one that the code makes, and the server gives it in each form. And
//! what the document says of bodies, methods and pages holds.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::Server;

#[test]
fn the_committed_document_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let made = baton::http::openapi::document();
    assert!(
        committed.trim_end() == made,
        "openapi/openapi.json is out of date. Run: cargo run -- openapi > openapi/openapi.json"
    );
}

#[tokio::test]
async fn a_server_gives_the_document_in_each_form_with_its_own_address() {
    let server = Server::start().await;
    for (path, version, operations) in [
        ("/openapi.json", "3.1.0", 100..200),
        ("/openapi-3.0.json", "3.0.3", 100..200),
        ("/openapi.json?core", "3.1.0", 25..26),
        ("/openapi-3.0.json?core=true", "3.0.3", 25..26),
    ] {
        let document = server.get(path).await;
        assert_eq!(document["openapi"], version, "{path}");
        let urls: Vec<_> = document["servers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| &s["url"])
            .collect();
        assert_eq!(
            urls,
            [server.url.as_str(), "http://{host}:{port}", "/"],
            "{path}"
        );
        let paths = document["paths"].as_object().unwrap().values();
        let count: usize = paths.map(|item| item.as_object().unwrap().len()).sum();
        assert!(operations.contains(&count), "{path}: {count}");
    }
    let (status, error) = server.send(Method::GET, "/openapi.json?core=5", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_has_the_document_is_told_so() {
    let server = Server::start().await;
    let get = async |path: &str, headers: &[(&str, &str)]| {
        server.request(Method::GET, path, None, headers).await
    };
    let first = get("/openapi.json", &[]).await;
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".to_owned(),
    ] {
        let again = get("/openapi.json", &[("if-none-match", &known)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(again.text().await.unwrap(), "");
    }
    let other = get("/openapi.json?core", &[("if-none-match", &tag)]).await;
    assert_eq!(other.status(), StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn where_a_body_is_optional_nothing_can_be_sent_in_every_way() {
    let server = Server::start().await;
    let session = server.create().await;
    for path in ["/session".to_owned(), format!("/session/{session}/fork")] {
        for body in ["", "null", " null\n", "\r\n  ", "{}"] {
            let request = server.client.post(format!("{}{path}", server.url));
            let request = request
                .header("content-type", "application/json")
                .body(body);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path}: {body:?}");
        }
    }
    // Where one is needed, nothing is refused, whatever it looks like.
    for body in ["", "null", " \n"] {
        let request = server
            .client
            .patch(format!("{}/session/{session}", server.url));
        let request = request
            .header("content-type", "application/json")
            .body(body);
        assert_eq!(
            request.send().await.unwrap().status(),
            StatusCode::BAD_REQUEST,
            "{body:?}"
        );
    }
    server.stop().await;
}

#[test]
fn what_any_request_may_be_told_is_said_of_every_operation() {
    let document: Value = serde_json::from_str(&baton::http::openapi::document()).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            // No password, a stranger's page, an older server, too many guesses, a mistake, a server that stops.
            for status in ["401", "403", "405", "429", "500", "503"] {
                let response = &operation["responses"][status];
                assert!(response.is_object(), "{method} {path} has no {status}");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let server = Server::start().await;
    for (path, allowed, name) in [
        ("/opencode/session", "GET,HEAD,POST", "/name"),
        ("/opencode/api/session", "GET,HEAD,POST", "/_tag"),
    ] {
        let answer = server.request(Method::DELETE, path, None, &[]).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()["allow"], allowed, "{path}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(
            *body.pointer(name).unwrap(),
            "MethodNotAllowedError",
            "{body}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn pages_of_sessions_lead_to_each_other() {
    let server = Server::start().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(server.create().await);
    }
    let mut seen: Vec<String> = Vec::new();
    let mut path = "/opencode/session?limit=2&roots=true".to_owned();
    let mut pages = 0;
    loop {
        let answer = server.request(Method::GET, &path, None, &[]).await;
        let cursor = answer
            .headers()
            .get("x-next-cursor")
            .map(|c| c.to_str().unwrap().to_owned());
        let link = answer
            .headers()
            .get("link")
            .map(|l| l.to_str().unwrap().to_owned());
        let page: Vec<Value> = answer.json().await.unwrap();
        seen.extend(page.iter().map(|s| s["id"].as_str().unwrap().to_owned()));
        pages += 1;
        let (Some(cursor), Some(link)) = (&cursor, &link) else {
            assert_eq!(cursor, link);
            break;
        };
        path = format!("/opencode/session?limit=2&roots=true&cursor={cursor}");
        assert_eq!(*link, format!("<{path}>; rel=\"next\""));
        if pages == 1 {
            // The session that the cursor names moves to the top: nothing is left out or told twice.
            let last = seen.last().unwrap().clone();
            server.patch(&last, json!({ "title": "used again" })).await;
        } else {
            let gone = format!("/opencode/session/{}", seen.last().unwrap());
            server.ok(Method::DELETE, &gone, None).await;
        }
    }
    made.reverse();
    assert_eq!((seen, pages), (made, 3));
    let (status, error) = server
        .send(Method::GET, "/opencode/session?cursor=zzz", None)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
    server.stop().await;
}

#[tokio::test]
async fn a_path_that_is_no_text_is_refused_in_the_shape_of_its_operation() {
    let server = Server::start().await;
    let document: Value = serde_json::from_str(&baton::http::openapi::document()).unwrap();
    let mut tried = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        // What takes the rest of a path takes any bytes.
        if !path.contains('{') || path.ends_with("{path}") {
            continue;
        }
        let pieces = path.split('/').map(|piece| match piece.starts_with('{') {
            true => "%FF",
            false => piece,
        });
        let asked = pieces.collect::<Vec<_>>().join("/");
        for method in operations.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let (status, error) = server.send(method.clone(), &asked, Some(json!({}))).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{method} {asked}: {error}");
            let named = error["name"].is_string() || error["_tag"].is_string();
            assert!(named, "{method} {asked}: {error}");
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
    server.stop().await;
}
