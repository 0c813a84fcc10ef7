//! Attacks by web pages: what a browser can be made to send, and what it is told.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Log, Options, PATIENCE, Server};

/// How a page is related to the server, and how it asks.
fn fetch(
    site: &'static str,
    mode: &'static str,
    dest: &'static str,
) -> [(&'static str, &'static str); 3] {
    [
        ("sec-fetch-site", site),
        ("sec-fetch-mode", mode),
        ("sec-fetch-dest", dest),
    ]
}

async fn status(
    server: &Server,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> StatusCode {
    server.request(method, path, None, headers).await.status()
}

/// Sends bytes and reads the answer's head.
async fn speak(server: &Server, request: &str) -> String {
    let address = server.url.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("in time")
        .expect("read");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn other_sites_can_embed_nothing_and_link_to_the_pages_only() {
    let server = Server::start().await;
    let id = server.create().await;
    let session = format!("/opencode/session/{id}");
    for site in ["cross-site", "same-site"] {
        for path in [
            "/",
            "/docs/",
            "/opencode/session",
            &session,
            "/opencode/event",
            "/openapi.json",
            "/nope",
        ] {
            for how in [
                fetch(site, "no-cors", "image"),
                fetch(site, "no-cors", "script"),
                fetch(site, "cors", "empty"),
                fetch(site, "navigate", "iframe"),
                fetch(site, "websocket", "websocket"),
            ] {
                let got = status(&server, Method::GET, path, &how).await;
                assert_eq!(got, StatusCode::FORBIDDEN, "{path} {how:?}");
            }
        }
        let link = fetch(site, "navigate", "document");
        assert_ne!(
            status(&server, Method::GET, "/", &link).await,
            StatusCode::FORBIDDEN
        );
        assert_eq!(
            status(&server, Method::GET, "/docs/", &link).await,
            StatusCode::OK
        );
        for path in ["/opencode/session", "/opencode/project/current", &session] {
            assert_eq!(
                status(&server, Method::GET, path, &link).await,
                StatusCode::FORBIDDEN
            );
        }
        let form = status(&server, Method::POST, "/docs/", &link).await;
        assert_eq!(form, StatusCode::FORBIDDEN);
        // A page that may use the server says who it is.
        let mut allowed = fetch(site, "cors", "empty").to_vec();
        allowed.push(("origin", "http://localhost:3000"));
        assert_eq!(
            status(&server, Method::GET, &session, &allowed).await,
            StatusCode::OK
        );
    }
    for own in [
        fetch("same-origin", "cors", "empty"),
        fetch("none", "navigate", "document"),
    ] {
        assert_eq!(
            status(&server, Method::GET, &session, &own).await,
            StatusCode::OK
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn other_origins_may_neither_read_nor_change() {
    let server = Server::start().await;
    let session = format!("/opencode/session/{}", server.create().await);
    for origin in [
        "null",
        "",
        "https://evil.example",
        "http://localhost.evil.example",
        "http://localhost:1/",
        "http://user@localhost",
        "localhost",
        "http://localhost, http://evil.example",
        "file://",
    ] {
        let headers = [("origin", origin)];
        for method in [Method::GET, Method::DELETE, Method::OPTIONS] {
            let answer = server.request(method, &session, None, &headers).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{origin:?}");
            assert!(!answer.headers().contains_key("access-control-allow-origin"));
        }
    }
    assert_eq!(
        status(&server, Method::GET, &session, &[]).await,
        StatusCode::OK
    );
    server.stop().await;
}

#[tokio::test]
async fn a_request_names_one_host() {
    let server = Server::start().await;
    let host = server.url.strip_prefix("http://").expect("a URL");
    let get = |target: &str, hosts: &[&str]| {
        let hosts: String = hosts.iter().map(|h| format!("Host: {h}\r\n")).collect();
        format!("GET {target} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n")
    };
    let health = "/global/health";
    let absolute = format!("http://{host}{health}");
    for good in [get(health, &[host]), get(&absolute, &[host])] {
        let answer = speak(&server, &good).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{good}{answer}");
    }
    for bad in [
        get(health, &[]),
        get(health, &[""]),
        get(health, &[host, host]),
        get(health, &[host, "evil.example"]),
        get(health, &["local host"]),
        get(health, &["user@localhost"]),
        get("http://evil.example/global/health", &[host]),
        get(&format!("http://user@{host}{health}"), &[host]),
        get(&absolute, &["localhost:1"]),
        "GET /global/health HTTP/1.0\r\n\r\n".to_owned(),
    ] {
        let answer = speak(&server, &bad).await;
        assert!(
            answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.0 400"),
            "{bad}{answer}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_get_stores_nothing() {
    let mut server = Server::start().await;
    let before = server.get("/opencode/project").await;
    let repository = server.folder.path().join("elsewhere");
    std::fs::create_dir(&repository).expect("made");
    let git = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=n", "-c", "user.email=e"])
            .args(arguments);
        assert!(
            git.current_dir(&repository)
                .status()
                .expect("git")
                .success()
        );
    };
    git(&["init", "--quiet"]);
    git(&["commit", "--quiet", "--allow-empty", "-m", "one"]);
    let there = format!("directory={}", repository.display());
    let current = server
        .get(&format!("/opencode/project/current?{there}"))
        .await;
    let id = current["id"].as_str().expect("an id").to_owned();
    assert_ne!(id, "global");
    server.get(&format!("/opencode/project?{there}")).await;
    let ids = |list: &Value| {
        let list = list.as_array().expect("a list").iter();
        list.map(|p| p["id"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&server.get("/opencode/project").await), ids(&before));
    // Nothing is still being started, which the kill would leave behind.
    server.get("/opencode/provider").await;
    server.kill().await;
    server.restart().await;
    assert_eq!(ids(&server.get("/opencode/project").await), ids(&before));
    // A session makes it one that is used.
    server
        .ok(
            Method::POST,
            &format!("/opencode/session?{there}"),
            Some(json!({})),
        )
        .await;
    assert!(ids(&server.get("/opencode/project").await).contains(&id));
    server.stop().await;
}

#[tokio::test]
async fn a_get_of_a_browser_takes_nothing_away() {
    let server = Server::start().await;
    let next = "/opencode/tui/control/next";
    server
        .ok(Method::POST, "/opencode/tui/open-help", None)
        .await;
    for headers in [
        &fetch("same-origin", "cors", "empty")[..],
        &[("sec-fetch-dest", "image")],
        &[("origin", "http://localhost:3000")],
        &[("user-agent", "Mozilla/5.0 (X11; Linux x86_64)")],
    ] {
        assert_eq!(
            status(&server, Method::GET, next, headers).await,
            StatusCode::FORBIDDEN
        );
    }
    // Node.js marks its requests like this. It still gets the command.
    let node = server
        .request(Method::GET, next, None, &[("sec-fetch-mode", "cors")])
        .await;
    let command: Value = node.json().await.expect("JSON");
    assert_eq!(command["path"], "/tui/open-help");
    server.stop().await;
}

#[tokio::test]
async fn every_answer_forbids_sniffing_and_framing() {
    let server = Server::start().await;
    let evil = [("origin", "https://evil.example")];
    let mut answers = Vec::new();
    for path in [
        "/docs/",
        "/docs/swagger-ui.css",
        "/openapi.json",
        "/opencode/session",
        "/nope",
        "/opencode/event",
    ] {
        answers.push(server.request(Method::GET, path, None, &[]).await);
    }
    answers.push(server.request(Method::GET, "/docs/", None, &evil).await);
    answers.push(
        server
            .request(Method::OPTIONS, "/opencode/session", None, &[])
            .await,
    );
    let says = |headers: &HeaderMap, name: &str| {
        let values = headers.get_all(name).iter();
        values
            .map(|v| v.to_str().expect("text").to_owned())
            .collect::<String>()
    };
    let mut pages = 0;
    for answer in answers {
        let (url, headers) = (answer.url().clone(), answer.headers());
        assert_eq!(says(headers, "x-content-type-options"), "nosniff", "{url}");
        if says(headers, "content-type").starts_with("text/html") {
            pages += 1;
            assert!(
                says(headers, "content-security-policy").contains("frame-ancestors 'none'"),
                "{url}"
            );
            assert_eq!(says(headers, "x-frame-options"), "DENY");
        }
    }
    assert_eq!(pages, 1);
    server.stop().await;
}

#[tokio::test]
async fn a_token_in_the_address_opens_event_streams_only_and_is_logged_nowhere() {
    let options = Options {
        arguments: vec!["--agents".into(), "mock".into()],
        ..Options::default()
    };
    let log = tempfile::NamedTempFile::new().expect("a file");
    let to = Log::EverythingTo(log.reopen().expect("open"));
    let server = Server::start_among(options, to, &[("BATON_PASSWORD", "query-password")]).await;
    // opencode:query-password
    let token = "b3BlbmNvZGU6cXVlcnktcGFzc3dvcmQ%3D";
    for path in [
        "/opencode/event",
        "/opencode/global/event",
        "/opencode/api/event",
    ] {
        for token in [token, "query-password"] {
            let path = format!("{path}?a=b&auth_token={token}");
            assert_eq!(
                status(&server, Method::GET, &path, &[]).await,
                StatusCode::OK,
                "{path}"
            );
        }
        let wrong = format!("{path}?auth_token=wrong");
        assert_eq!(
            status(&server, Method::GET, &wrong, &[]).await,
            StatusCode::UNAUTHORIZED
        );
    }
    for (method, path) in [
        (Method::GET, "/opencode/session"),
        (Method::GET, "/opencode/project/current"),
        (Method::GET, "/docs/"),
        (Method::GET, "/global/health"),
        (Method::POST, "/opencode/session"),
        (Method::POST, "/opencode/event"),
    ] {
        let path = format!("{path}?auth_token={token}");
        assert_eq!(
            status(&server, method, &path, &[]).await,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    let bearer = [("authorization", "Bearer query-password")];
    let nowhere = format!("/opencode/nowhere?auth_token={token}");
    let answer = server.request(Method::GET, &nowhere, None, &bearer).await;
    assert!(!answer.text().await.expect("text").contains("b3Blbm"));
    server.stop().await;
    let text = std::fs::read_to_string(log.path()).expect("a log");
    assert!(
        !text.contains("b3Blbm") && !text.contains("query-password"),
        "{text}"
    );
}
