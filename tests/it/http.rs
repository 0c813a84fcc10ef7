//! The edges of the HTTP surface: what is refused, with which status and body, and what browsers see.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Events, Options, PATIENCE, Server};

const JSON: (&str, &str) = ("content-type", "application/json");
const MISSING: &str = "/opencode/session/ses_missing";

/// Sends raw bytes of a body.
async fn send_raw(
    server: &Server,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<reqwest::Body>,
) -> (StatusCode, Value) {
    let url = format!("{}{path}", server.url);
    let mut request = server.client.request(method, url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.expect("an answer");
    let status = response.status();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).expect("JSON"))
}

async fn patch_raw(
    server: &Server,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (StatusCode, Value) {
    send_raw(server, Method::PATCH, path, headers, body.to_owned()).await
}

/// Sends a request line by line, for what a proper client would not send.
async fn speak(server: &Server, request: &str) -> String {
    let address = server.url.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("in time")
        .expect("read");
    answer
}

fn error(name: &str, message: &str, kind: &str) -> Value {
    json!({ "name": name, "data": { "message": message, "kind": kind } })
}

#[tokio::test]
async fn bodies_that_cannot_be_understood_are_refused_before_the_session_is_looked_for() {
    let server = Server::start().await;
    for (body, message) in [
        (
            "{\"title\":5}",
            "Expected string | null, got 5\n  at [\"title\"]",
        ),
        ("[]", "Expected object, got array"),
        ("null", "Expected object, got null"),
        ("", "Expected object, got undefined"),
        (
            "{\"providerID\":\"mock\"}",
            "providerID and modelID come together; modelID is missing\n  at [\"modelID\"]",
        ),
        (
            "{\"model\":{\"providerId\":\"x\"}}",
            "Unknown field \"providerId\". Did you mean \"providerID\"?\n  at [\"model\"][\"providerId\"]",
        ),
    ] {
        let refused = patch_raw(&server, MISSING, &[JSON], body).await;
        assert_eq!(
            refused,
            (
                StatusCode::BAD_REQUEST,
                error("BadRequest", message, "Payload")
            ),
            "{body}"
        );
    }
    let deep = format!("{{\"metadata\":{}", "[".repeat(100_000));
    for body in ["{", "{\"title\":\"x\"} x", "\u{feff}{}", deep.as_str()] {
        let (status, value) = patch_raw(&server, MISSING, &[JSON], body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{value}");
        assert_eq!(value["data"]["kind"], "Body");
    }
    let (status, value) = patch_raw(&server, MISSING, &[JSON], "{}").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(value["name"], "NotFoundError");
    assert_eq!(value["data"]["message"], "Session not found: ses_missing");
    server.stop().await;
}

#[tokio::test]
async fn content_types_other_than_json_are_refused() {
    let server = Server::start().await;
    let session = format!("/opencode/session/{}", server.create().await);
    for good in [
        "application/json; charset=utf-8",
        "application/merge-patch+json",
        "APPLICATION/JSON",
    ] {
        let (status, value) = patch_raw(
            &server,
            &session,
            &[("content-type", good)],
            "{\"title\":\"t\"}",
        )
        .await;
        assert_eq!(status, StatusCode::OK, "{good}: {value}");
    }
    for bad in [&[("content-type", "text/plain")][..], &[][..]] {
        let (status, value) = patch_raw(&server, &session, bad, "{\"title\":\"t\"}").await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(value["name"], "BadRequest");
    }
    let merge = [("content-type", "application/merge-patch+json")];
    let path = format!("{session}/message");
    let (status, _) = send_raw(&server, Method::POST, &path, &merge, "{}").await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    server.stop().await;
}

#[tokio::test]
async fn headers_parameters_and_ids_are_checked() {
    let server = Server::start().await;
    let session = format!("/opencode/session/{}", server.create().await);
    let long = "x".repeat(257);
    for (headers, at) in [
        (("if-match", "newest"), "if-match"),
        (("x-client-id", long.as_str()), "x-client-id"),
    ] {
        let (status, value) = patch_raw(&server, &session, &[JSON, headers], "{}").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{value}");
        assert_eq!(value["data"]["kind"], "Headers");
        assert!(
            value["data"]["message"]
                .as_str()
                .unwrap()
                .ends_with(&format!("at [\"{at}\"]"))
        );
    }
    for (path, kind) in [
        ("/opencode/session/msg_1", "Params"),
        ("/opencode/session/ses_%FF", "Params"),
        ("/opencode/session?limit=-1", "Query"),
        ("/opencode/session?start=soon", "Query"),
        ("/opencode/session?roots=maybe", "Query"),
        ("/opencode/event?lastEventID=x", "Headers"),
    ] {
        let (status, value) = server.send(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(
            (&value["name"], &value["data"]["kind"]),
            (&json!("BadRequest"), &json!(kind)),
            "{path}"
        );
    }
    let directory = |d: &str| format!("/opencode/session?directory={d}");
    for bad in ["relative", "/does/not/exist", "/etc/hostname"] {
        let (status, value) = server.send(Method::POST, &directory(bad), None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{value}");
    }
    let made = server
        .request(
            Method::POST,
            "/opencode/session",
            None,
            &[("x-opencode-directory", "%2Ftmp%2F")],
        )
        .await;
    assert!(made.headers().contains_key("etag"));
    let made: Value = made.json().await.expect("a session");
    assert_eq!(made["directory"], "/tmp");
    let (here, there) = (
        server.get("/opencode/session").await,
        server.get(&directory("/tmp/")).await,
    );
    assert_eq!(
        (
            here.as_array().unwrap().len(),
            there.as_array().unwrap().len()
        ),
        // Both are in no repository, and therefore in one project.
        (2, 1)
    );
    assert_eq!(there[0]["id"], made["id"]);
    server.stop().await;
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods_answer_in_json() {
    let server = Server::start().await;
    for path in [
        "/",
        "/opencode",
        "/opencode/nope",
        "/opencode/session/",
        "/opencode/api/nope",
        "/index.html",
    ] {
        let (status, value) = server.send(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        let named = value["name"].as_str().or(value["_tag"].as_str());
        assert_eq!(named, Some("NotFoundError"), "{path}: {value}");
    }
    let response = server.request(Method::PUT, MISSING, None, &[]).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    let allow = response.headers()["allow"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(
        ["GET", "PATCH", "DELETE"].iter().all(|m| allow.contains(m)),
        "{allow}"
    );
    let value: Value = response.json().await.expect("JSON");
    assert_eq!(value["name"], "MethodNotAllowedError");
    server.stop().await;
}

#[tokio::test]
async fn opencode_2_errors_have_opencode_2s_shape() {
    let server = Server::start().await;
    let path = "/opencode/api/session/ses_missing/model";
    let body = json!({ "model": { "providerID": "mock", "id": "mock" } });
    let (status, value) = server.send(Method::POST, path, Some(body)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let message = "Session not found: ses_missing";
    assert_eq!(
        value,
        json!({ "_tag": "SessionNotFoundError", "message": message, "sessionID": "ses_missing" })
    );
    let (status, value) = server
        .send(
            Method::POST,
            path,
            Some(json!({ "model": { "providerID": "x" } })),
        )
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(value["_tag"], "InvalidRequestError");
    assert!(
        value["message"]
            .as_str()
            .unwrap()
            .ends_with("[\"model\"][\"id\"]"),
        "{value}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let config = "[limits]\nbody_bytes = 1000\n".to_owned();
    let arguments = vec!["--agents".to_owned(), "mock".to_owned()];
    let server = Server::start_with(Options { config, arguments }).await;
    let body = format!("{{\"title\":\"{}\"}}", "x".repeat(2000));
    let (status, value) = patch_raw(&server, MISSING, &[JSON], &body).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(value["name"], "BadRequest");
    assert!(
        value["data"]["message"]
            .as_str()
            .unwrap()
            .contains("1000 bytes"),
        "{value}"
    );
    server.stop().await;
}

#[tokio::test]
async fn browsers_of_this_machine_may_and_others_may_not() {
    let server = Server::start().await;
    let session = format!("/opencode/session/{}", server.create().await);
    for origin in [
        "http://localhost:3000",
        "http://127.0.0.1:4096",
        "https://app.opencode.ai",
    ] {
        let ask = [
            ("origin", origin),
            ("access-control-request-method", "PATCH"),
            (
                "access-control-request-headers",
                "content-type,x-opencode-directory",
            ),
        ];
        let preflight = server.request(Method::OPTIONS, &session, None, &ask).await;
        assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
        let header = |name: &str| preflight.headers()[name].to_str().expect("text").to_owned();
        assert_eq!(header("access-control-allow-origin"), origin);
        assert!(header("access-control-allow-methods").contains("PATCH"));
        assert!(header("access-control-allow-headers").contains("x-opencode-directory"));
        assert_eq!(header("access-control-max-age"), "86400");
        let refused = server
            .request(
                Method::PATCH,
                MISSING,
                Some(json!({})),
                &[("origin", origin)],
            )
            .await;
        assert_eq!(refused.status(), StatusCode::NOT_FOUND);
        assert_eq!(refused.headers()["access-control-allow-origin"], origin);
    }
    let evil = [("origin", "https://evil.example")];
    let read = server.request(Method::GET, &session, None, &evil).await;
    assert_eq!(read.status(), StatusCode::FORBIDDEN);
    assert!(!read.headers().contains_key("access-control-allow-origin"));
    let write = server
        .request(Method::POST, &format!("{session}/abort"), None, &evil)
        .await;
    assert_eq!(write.status(), StatusCode::FORBIDDEN);
    server.stop().await;
}

#[tokio::test]
async fn a_foreign_host_name_is_refused_without_a_password() {
    let server = Server::start().await;
    let ask = |host: &str| {
        format!("GET /global/health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    };
    let refused = speak(&server, &ask("rebound.example:2468")).await;
    assert!(
        refused.starts_with("HTTP/1.1 403") && refused.contains("ForbiddenError"),
        "{refused}"
    );
    for good in ["localhost:1", "127.0.0.1", "[::1]:9"] {
        let answer = speak(&server, &ask(good)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_password_is_asked_for_where_one_is_set() {
    let config =
        "[server]\npassword = \"secret\"\ncors_origins = [\"https://tools.example\"]\n".to_owned();
    let arguments = vec!["--agents".to_owned(), "mock".to_owned()];
    let server = Server::start_with(Options { config, arguments }).await;
    for path in [
        "/opencode/session",
        "/global/health",
        "/opencode/event",
        "/docs/",
        "/nope",
    ] {
        let refused = server.request(Method::GET, path, None, &[]).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert!(refused.headers().contains_key("www-authenticate"));
    }
    let wrong = [("authorization", "Bearer wrong")];
    let refused = server
        .request(Method::GET, "/opencode/session", None, &wrong)
        .await;
    let value: Value = refused.json().await.expect("JSON");
    assert_eq!(value["name"], "UnauthorizedError");
    for right in ["Bearer secret", "Basic b3BlbmNvZGU6c2VjcmV0"] {
        let answer = server
            .request(
                Method::GET,
                "/opencode/session",
                None,
                &[("authorization", right)],
            )
            .await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let ask = [
        ("origin", "https://tools.example"),
        ("access-control-request-method", "GET"),
    ];
    let preflight = server
        .request(Method::OPTIONS, "/opencode/session", None, &ask)
        .await;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        preflight.headers()["access-control-allow-origin"],
        "https://tools.example"
    );
    server.stop().await;
}

#[tokio::test]
async fn answers_are_compressed_and_event_streams_are_not() {
    let server = Server::start().await;
    let accept = [("accept-encoding", "gzip")];
    let list = server
        .request(Method::GET, "/opencode/provider", None, &accept)
        .await;
    assert_eq!(list.headers()["content-encoding"], "gzip");
    let events = server
        .request(Method::GET, "/opencode/event", None, &accept)
        .await;
    assert!(!events.headers().contains_key("content-encoding"));
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache, no-transform"),
        ("x-content-type-options", "nosniff"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(events.headers()[name], value);
    }
    drop(events);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_comes_back_gets_the_events_that_it_missed() {
    let server = Server::start().await;
    let mut events = server.events().await;
    let session = server.create().await;
    let created = events
        .until("session.created", |p| p["sessionID"] == session)
        .await;
    for title in ["one", "two"] {
        server.patch(&session, json!({ "title": title })).await;
    }
    let mut again = Events::open(&server, "/opencode/event", created.sequence).await;
    for title in ["one", "two"] {
        let updated = again.until("session.updated", |_| true).await;
        assert_eq!(updated.properties["info"]["title"], title);
    }
    let mut global = Events::open(&server, "/opencode/global/event", created.sequence).await;
    let updated = global.until("session.updated", |_| true).await;
    let work = server.work().canonicalize().expect("a directory");
    assert_eq!(updated.whole["directory"], work.to_str().expect("UTF-8"));
    assert!(updated.sequence > created.sequence);
    let mut late = Events::open(&server, "/opencode/event?lastEventID=1", None).await;
    assert_eq!(late.next().await.kind, "server.resync");
    server.stop().await;
}

#[tokio::test]
async fn the_catalogue_is_what_opencodes_clients_expect() {
    let server = Server::start().await;
    let list = server.get("/opencode/provider").await;
    assert_eq!(list["connected"], json!(["mock"]));
    assert_eq!(list["default"], json!({ "mock": "mock" }));
    let config = server.get("/opencode/config/providers").await;
    assert_eq!(config["providers"], list["all"]);
    let strong = &list["all"][0]["models"]["mock-strong"];
    assert_eq!(
        (&strong["id"], &strong["providerID"]),
        (&json!("mock-strong"), &json!("mock"))
    );
    // It is not known yet, and OpenCode's clients then show no percentage.
    assert_eq!(strong["limit"]["context"], 0);
    let variants = strong["variants"].as_object().unwrap();
    let names: Vec<_> = variants.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["low", "medium", "high"], "in the agent's own order");
    let agents = server.get("/opencode/agent").await;
    let names: Vec<_> = agents
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (&a["name"], a["hidden"] == true))
        .collect();
    assert_eq!(
        names,
        [
            (&json!("build"), false),
            (&json!("plan"), false),
            (&json!("mock"), true)
        ]
    );
    assert_eq!(server.get("/opencode/config").await["share"], "disabled");
    let project = server.get("/opencode/project/current").await;
    let session = server
        .get(&format!("/opencode/session/{}", server.create().await))
        .await;
    assert_eq!(project["id"], session["projectID"]);
    assert_eq!(
        server.get("/opencode/path").await["directory"],
        session["directory"]
    );
    for (path, empty) in [
        ("/opencode/permission", json!([])),
        ("/opencode/question", json!([])),
        ("/opencode/session/status", json!({})),
    ] {
        assert_eq!(server.get(path).await, empty);
    }
    for path in [
        "/global/health",
        "/opencode/global/health",
        "/api/health",
        "/opencode/api/health",
    ] {
        assert_eq!(server.get(path).await["healthy"], true);
    }
    let document = server.get("/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    let docs = server.request(Method::GET, "/docs/", None, &[]).await;
    assert!(docs.text().await.expect("HTML").contains("swagger-ui"));
    server.stop().await;
}

#[tokio::test]
async fn an_open_event_stream_and_a_waiting_prompt_do_not_hold_up_the_shutdown() {
    let mut server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let url = format!("{}/opencode/session/{session}/message", server.url);
    let body = json!({ "parts": [{ "type": "text", "text": "slow 600" }] });
    let prompt = tokio::spawn(server.client.post(url).json(&body).send());
    events.until("message.part.delta", |_| true).await;
    let begun = std::time::Instant::now();
    server.terminate().await;
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    let answer = prompt
        .await
        .expect("no panic")
        .expect("an answer, although the server stops");
    let value: Value = answer.json().await.expect("JSON");
    assert_eq!(
        value["info"]["error"]["name"], "MessageAbortedError",
        "{value}"
    );
    assert_eq!(server.processes(), Vec::<u32>::new());
}

#[tokio::test]
async fn two_servers_on_one_data_directory_are_refused() {
    let server = Server::start().await;
    let mut second = tokio::process::Command::new(env!("CARGO_BIN_EXE_baton"));
    second
        .args(["serve", "--port", "0", "--data-dir"])
        .arg(server.folder.path().join("data"));
    let output = second
        .env("HOME", server.folder.path())
        .output()
        .await
        .expect("it ran");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("another baton uses the data directory"),
        "{said}"
    );
    assert!(output.stdout.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn wrong_settings_end_it_with_status_2() {
    let folder = tempfile::tempdir().expect("scratch directory");
    std::fs::write(folder.path().join("bad.toml"), "[server]\nprot = 1\n").expect("written");
    for arguments in [
        &["serve", "--host", "0.0.0.0"][..],
        &["serve", "--config", "bad.toml"],
        &["serve", "--port", "70000"],
        &["serve", "--agents", "nope"],
        &["nonsense"],
    ] {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_baton"));
        command
            .args(arguments)
            .current_dir(folder.path())
            .env("HOME", folder.path());
        let output = command.output().await.expect("it ran");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(
            said.len() > 20 && output.stdout.is_empty(),
            "{arguments:?}: {said}"
        );
    }
}

#[tokio::test]
async fn an_error_of_an_open_code_2_route_is_readable_for_a_client_that_takes_gzip() {
    let server = Server::start().await;
    let headers = [("accept-encoding", "gzip")];
    let response = server
        .request(Method::GET, "/opencode/api/nothing", None, &headers)
        .await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let encoded = response.headers().contains_key("content-encoding");
    let body = response.bytes().await.expect("a body");
    // The client of the tests does not decode, so that it sees the bytes on the wire.
    assert_eq!(encoded, !body.starts_with(b"{"), "header and body disagree");
    server.stop().await;
}
