//! Connections that hold a place and say nothing, that say too much, or that do not listen.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::harness::{Options, Server, model};

/// The longest that anything here may take; the server's deadlines are one second.
const PATIENCE: Duration = Duration::from_secs(20);

async fn server(config: &str) -> Server {
    Server::start_with(Options {
        arguments: vec!["--agents".into(), "mock".into()],
        config: config.to_owned(),
    })
    .await
}

pub(crate) async fn connect(server: &Server) -> TcpStream {
    let address = server.url.strip_prefix("http://").expect("a URL");
    TcpStream::connect(address).await.expect("connected")
}

/// Sends something and reads until the server closes the connection.
pub(crate) async fn until_closed(mut stream: TcpStream, sent: &str) -> String {
    if stream.write_all(sent.as_bytes()).await.is_err() {
        // Closed at once.
        return String::new();
    }
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset is an end, too.
    let _ended = read.expect("the server closes it");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn half_a_request_is_not_held_for_ever() {
    let server = server("[timeouts]\nheader_s = 1\nbody_s = 1\n").await;
    let head =
        "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    for half in [
        "",
        "GET /glo",
        "GET /global/health HTTP/1.1\r\nHost: localhost\r\n",
        head,
    ] {
        until_closed(connect(&server).await, half).await;
    }
    // A connection that has had its answer, and stays.
    let idle = "GET /global/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = until_closed(connect(&server).await, idle).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    for body in [
        "Content-Length: 100\r\n\r\n{",
        "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ] {
        let answer = until_closed(connect(&server).await, &format!("{head}{body}")).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("timeouts.body_s"), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn connections_have_a_limit_and_who_looks_after_the_server_gets_in() {
    let server = server("[limits]\nconnections = 4\n").await;
    let mut held = Vec::new();
    let ask =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    // Until the limit is reached, whatever else is connected.
    let refused = loop {
        held.push(connect(&server).await);
        let answer = until_closed(connect(&server).await, &ask("/opencode/session")).await;
        if !answer.starts_with("HTTP/1.1 200") {
            break answer;
        }
        assert!(held.len() < 10, "there is no limit");
    };
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("limits.connections"), "{refused}");
    let health = until_closed(connect(&server).await, &ask("/global/health")).await;
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    for _ in 0..30 {
        held.push(connect(&server).await);
    }
    // Beyond the reserve they are closed at once, and nothing hangs.
    let began = Instant::now();
    until_closed(connect(&server).await, "").await;
    assert!(began.elapsed() < PATIENCE);
    // Silent connections do not keep the reserve.
    loop {
        let answer = until_closed(connect(&server).await, &ask("/global/health")).await;
        if answer.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(held);
    // The places are given back.
    loop {
        let answer = until_closed(connect(&server).await, &ask("/opencode/session")).await;
        if answer.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{answer}");
        tokio::task::yield_now().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn event_streams_have_a_limit() {
    let server = server("[limits]\nevent_streams = 2\n").await;
    let first = server.events().await;
    let _second = server.events().await;
    for path in [
        "/opencode/event",
        "/opencode/global/event",
        "/opencode/api/event",
    ] {
        let (status, error) = server.send(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {error}");
    }
    drop(first);
    let began = Instant::now();
    let url = format!("{}/opencode/event", server.url);
    while reqwest::get(&url).await.expect("answered").status() != StatusCode::OK {
        assert!(began.elapsed() < PATIENCE, "the place was not given back");
        tokio::task::yield_now().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_cut() {
    let server = server("[timeouts]\nunread_s = 1\n").await;
    let session = server.create().await;
    let mut deaf = connect(&server).await;
    let subscribe = "GET /opencode/event HTTP/1.1\r\nHost: localhost\r\n\r\n";
    deaf.write_all(subscribe.as_bytes()).await.expect("sent");
    // More than the system keeps for it.
    let mut events = server.events().await;
    for _ in 0..12 {
        server
            .prompt(&session, "big 1000", model("mock", "mock"))
            .await;
    }
    events.until("session.idle", |_| true).await;
    let began = Instant::now();
    // Only once the server has given it up is there an end to what can be read.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut told = Vec::new();
    let read = tokio::time::timeout(PATIENCE, deaf.read_to_end(&mut told)).await;
    assert!(
        read.is_ok(),
        "it was not cut, {:?}, {} bytes",
        began.elapsed(),
        told.len()
    );
    assert_eq!(server.get("/opencode/session/status").await, json!({}));
    server.stop().await;
}

#[tokio::test]
async fn json_that_becomes_large_is_refused_before_it_is_read() {
    let server = server("").await;
    let wide = format!("{{\"title\": [{}0]}}", "0,".repeat(300_000));
    let deep = format!("{{\"title\": {}{}}}", "[".repeat(100), "]".repeat(100));
    for (body, expected) in [(wide, "limits.body_values"), (deep, "levels deep")] {
        let url = format!("{}/opencode/session", server.url);
        let request = reqwest::Client::new()
            .post(url)
            .header("content-type", "application/json");
        let answer = request.body(body).send().await.expect("answered");
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let text = answer.text().await.expect("text");
        assert!(text.contains(expected), "{text}");
    }
    server.stop().await;
}

#[tokio::test]
async fn open_files_are_raised_to_the_systems_hard_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    // Fewer than the server itself needs for its connections.
    let line = r#"ulimit -S -n 64 && ulimit -H -n 3000 && exec "$0" serve --port 0 --agents mock --data-dir "$1""#;
    let mut server = tokio::process::Command::new("sh")
        .args(["-c", line, env!("CARGO_BIN_EXE_baton")])
        .arg(folder.path())
        .env("HOME", folder.path())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("started");
    let stdout = server.stdout.take().expect("stdout");
    let mut lines = BufReader::new(stdout).lines();
    let ready = tokio::time::timeout(PATIENCE, lines.next_line()).await;
    let ready = ready.expect("in time").expect("stdout").expect("a line");
    let address = ready.strip_prefix("baton listening on http://");
    let address = address.expect("an address");
    let pid = server.id().expect("it runs");
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let files: Vec<_> = files.expect("files").split_whitespace().collect();
    assert_eq!(files[3..5], ["3000", "3000"], "{files:?}");
    // It makes use of them.
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(TcpStream::connect(address).await.expect("connected"));
    }
    let mut last = TcpStream::connect(address).await.expect("connected");
    let get = "GET /global/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    last.write_all(get.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    let read = tokio::time::timeout(PATIENCE, last.read_to_string(&mut answer)).await;
    read.expect("in time").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.kill().await.expect("killed");
}
