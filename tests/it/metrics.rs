//! What can be seen from outside: figures, request ids, the log, and turns that hang.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::harness::{Log, Options, PATIENCE, Server, answered, model};
use crate::scripted::{IMPATIENT, scripted, session_of, set_faults, talking, try_select};

const PASSWORD: &str = "the-password-of-metrics";
/// Stands in a variable with a telling name; its quotation mark is written differently in a log, in JSON, and in both.
const SECRET: &str = "key\"of-an-agent-1234";

/// The figures by name and labels.
type Figures = BTreeMap<String, f64>;

async fn text(server: &Server) -> String {
    let answer = server.request(Method::GET, "/metrics", None, &[]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let kind = answer.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    answer.text().await.unwrap()
}

async fn figures(server: &Server) -> Figures {
    let text = text(server).await;
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let read = samples.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("name and value");
        assert!(name.starts_with("baton_"), "{line}");
        (name.to_owned(), value.parse().expect("a number"))
    });
    read.collect()
}

fn figure(figures: &Figures, name: &str) -> f64 {
    figures.get(name).copied().unwrap_or(0.0)
}

/// Looks again and again until a figure is as expected.
async fn until(server: &Server, name: &str, fits: impl Fn(f64) -> bool) -> Figures {
    let began = Instant::now();
    loop {
        let figures = figures(server).await;
        if fits(figure(&figures, name)) {
            return figures;
        }
        assert!(began.elapsed() < PATIENCE, "{name} in {figures:#?}");
    }
}

const MESSAGE: &str = "method=\"POST\",route=\"/opencode/session/{sessionID}/message\"";

#[tokio::test]
async fn figures_follow_what_happens() {
    let server = scripted(&["second"], IMPATIENT).await;
    let before = figures(&server).await;
    set_faults(&server, "--fault noise");
    let session = talking(&server, "mock", "mock").await;
    server.select(&session, "second", "y").await;
    server.say(&session, "model").await;
    let path = "/opencode/session/ses_not_there/nothing";
    let (status, _) = server.send(Method::GET, path, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    let after = figures(&server).await;
    let grown = |name: &str| figure(&after, name) - figure(&before, name);
    for (name, by) in [
        (
            format!("baton_requests_total{{{MESSAGE},status=\"200\"}}"),
            2.0,
        ),
        (format!("baton_request_seconds_count{{{MESSAGE}}}"), 2.0),
        (
            "baton_requests_total{method=\"GET\",route=\"none\",status=\"404\"}".to_owned(),
            1.0,
        ),
        ("baton_first_token_seconds_count".to_owned(), 2.0),
        (
            "baton_switches_total{outcome=\"applied\",transfer=\"none\"}".to_owned(),
            1.0,
        ),
        (
            "baton_switches_total{outcome=\"applied\",transfer=\"transcript\"}".to_owned(),
            1.0,
        ),
        (
            "baton_switch_seconds_count{outcome=\"applied\"}".to_owned(),
            2.0,
        ),
    ] {
        assert_eq!(grown(&name), by, "{name} in {after:#?}");
    }
    for name in [
        "baton_store_commit_seconds_count",
        "baton_store_commit_batches_sum",
        "baton_agent_lines_dropped_total",
        "baton_ring_events",
        "baton_ring_bytes",
    ] {
        assert!(grown(name) > 0.0, "{name} in {after:#?}");
    }
    assert_eq!(figure(&after, "baton_agents_live"), 2.0, "{after:#?}");
    assert!(figure(&after, "baton_process_resident_bytes") > 1e6);
    assert!(figure(&after, "baton_process_open_fds") > 3.0);
    assert!(figure(&after, "baton_connections") >= 1.0);
    assert!(figure(&after, "baton_start_time_seconds") > 1.7e9);
    assert_eq!(figure(&after, "baton_store_failures_total"), 0.0);

    // Labels are words of this program.
    let all = text(&server).await;
    assert!(!all.contains("ses_") && !all.contains(&session), "{all}");
    server.stop().await;
}

#[tokio::test]
async fn what_waits_and_what_runs_is_counted_while_it_does() {
    let server = scripted(&["second"], IMPATIENT).await;
    let session = talking(&server, "mock", "mock").await;
    let events = server.events().await;
    let first = server.prompt_later(&session, "slow 60", json!({}));
    until(&server, "baton_turns_running", |n| n == 1.0).await;
    let second = server.prompt_later(&session, "echo two", json!({}));
    until(&server, "baton_prompts_waiting", |n| n == 1.0).await;
    let now = until(&server, "baton_event_subscribers", |n| n == 1.0).await;
    assert_eq!(figure(&now, "baton_permissions_waiting"), 0.0);
    // Two selections while the turn runs: the first of them is never applied.
    for id in ["x", "y"] {
        let (status, _) = server
            .patch(&session, json!({ "providerID": "second", "modelID": id }))
            .await;
        assert_eq!(status, StatusCode::OK);
    }
    let superseded = "baton_switches_total{outcome=\"superseded\",transfer=\"\"}";
    assert_eq!(figure(&figures(&server).await, superseded), 1.0);
    server.abort(&session).await;
    answered(first).await;
    let second = answered(second).await;
    assert_eq!(second.0, StatusCode::OK);
    // Its agent has followed: what is broken below is not a switch of this session.
    let (status, error) = try_select(&server, &session, "y").await;
    assert_eq!(status, StatusCode::OK, "{error}");
    drop(events);
    until(&server, "baton_event_subscribers", |n| n == 0.0).await;
    let now = until(&server, "baton_turns_running", |n| n == 0.0).await;
    assert_eq!(figure(&now, "baton_prompts_waiting"), 0.0);

    let other = talking(&server, "mock", "mock").await;
    let asked = server.prompt_later(&other, "permission rm -rf build", json!({}));
    until(&server, "baton_permissions_waiting", |n| n == 1.0).await;
    server.abort(&other).await;
    answered(asked).await;
    until(&server, "baton_permissions_waiting", |n| n == 0.0).await;

    set_faults(&server, "--never-answer session/set_config_option");
    let third = talking(&server, "mock", "mock").await;
    // The live process has no faults.
    until_ended(&server, &third).await;
    let (status, error) = try_select(&server, &third, "y").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{error}");
    let failed = "baton_switches_total{outcome=\"failed\",transfer=\"\"}";
    assert_eq!(figure(&figures(&server).await, failed), 1.0);
    server.stop().await;
}

/// Ends the agents that are not at work, so that the next ones are started anew.
async fn until_ended(server: &Server, session: &str) {
    server.until_idle(session).await;
    server
        .ok(Method::POST, "/opencode/instance/dispose", None)
        .await;
    until(server, "baton_agents_live", |n| n == 0.0).await;
}

async fn guarded(format: &str) -> (Server, NamedTempFile) {
    let options = Options {
        arguments: ["--agents", "mock", "--log-format", format]
            .map(str::to_owned)
            .to_vec(),
        ..Options::default()
    };
    let log = NamedTempFile::new().unwrap();
    let to = Log::EverythingTo(log.reopen().unwrap());
    let variables = [("BATON_PASSWORD", PASSWORD), ("METRICS_API_KEY", SECRET)];
    (Server::start_among(options, to, &variables).await, log)
}

fn log_of(file: &NamedTempFile) -> String {
    std::fs::read_to_string(file.path()).unwrap()
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let (server, log) = guarded("json").await;
    let bearer = format!("Bearer {PASSWORD}");
    let signed = [("authorization", bearer.as_str())];
    let stream = format!("/opencode/event?auth_token={PASSWORD}");
    let cases = [
        (Method::GET, "/opencode/session", &signed[..], 200),
        (Method::GET, "/metrics", &signed, 200),
        (Method::GET, "/metrics", &[], 401),
        (Method::GET, "/opencode/nothing", &signed, 404),
        (Method::GET, "/opencode/session/ses_none", &signed, 404),
        (Method::GET, "/opencode/api/session/ses_none", &signed, 404),
        (Method::DELETE, "/metrics", &signed, 405),
        (Method::PATCH, "/opencode/session/x", &signed, 400),
        (Method::GET, "/docs/", &signed, 200),
        (Method::GET, "/opencode/event", &signed, 200),
        (Method::GET, &stream, &[], 200),
        (Method::OPTIONS, "/opencode/session", &[], 204),
    ];
    for (n, (method, path, headers, status)) in cases.into_iter().enumerate() {
        let own = format!("my-id:{n}");
        let mut headers = headers.to_vec();
        if status == 204 {
            headers.push(("origin", "http://localhost:3000"));
            headers.push(("access-control-request-method", "GET"));
        }
        let made = server.request(method.clone(), path, None, &headers).await;
        let id = made.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert!(id.starts_with("req_") && id.len() == 24, "{path}: {id}");
        headers.push(("x-request-id", &own));
        let taken = server.request(method.clone(), path, None, &headers).await;
        assert_eq!(taken.status(), status, "{method} {path}");
        assert_eq!(taken.headers()["x-request-id"], *own, "{method} {path}");
    }
    for odd in ["two words", &"x".repeat(129), ""] {
        let answer = [signed[0], ("x-request-id", odd)];
        let answer = server
            .request(Method::GET, "/opencode/session", None, &answer)
            .await;
        let id = answer.headers()["x-request-id"].to_str().unwrap();
        assert!(id.starts_with("req_"), "{odd:?}: {id}");
    }
    let failed = text_with(&server, &signed).await;
    assert!(
        !failed.contains("baton_failed_sign_ins_total 1"),
        "{failed}"
    );
    let wrong = [("authorization", "Bearer wrong")];
    server.request(Method::GET, "/metrics", None, &wrong).await;
    let failed = text_with(&server, &signed).await;
    assert!(
        failed.contains("\nbaton_failed_sign_ins_total 1\n"),
        "{failed}"
    );
    server.stop().await;
    assert!(!log_of(&log).contains(PASSWORD));
}

async fn text_with(server: &Server, headers: &[(&str, &str)]) -> String {
    let answer = server.request(Method::GET, "/metrics", None, headers).await;
    answer.text().await.unwrap()
}

/// Has the server log something of a client: with secrets, under an id.
async fn log_something(server: &Server) {
    let bearer = format!("Bearer {PASSWORD}");
    let entry = json!({ "service": "test", "level": "error", "message": format!("it is {SECRET}"),
        "extra": { "told": SECRET, "password": PASSWORD } });
    let headers = [
        ("authorization", bearer.as_str()),
        ("x-request-id", "find-me-again"),
    ];
    let path = format!("/opencode/log?auth_token={PASSWORD}");
    let answer = server
        .request(Method::POST, &path, Some(entry), &headers)
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
}

fn assert_no_secret(log: &str) {
    assert!(log.contains("[masked]"), "{log}");
    for secret in [PASSWORD, "of-an-agent-1234"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn a_log_in_json_has_an_object_a_line_with_the_requests_id_and_no_secret() {
    let (server, log) = guarded("json").await;
    log_something(&server).await;
    server.stop().await;
    let log = log_of(&log);
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let of_client = |line: &&Value| line["target"] == "baton::client";
    let line = lines.iter().find(of_client).expect("the entry");
    assert_eq!(
        (&line["level"], &line["span"]["id"], &line["span"]["path"]),
        (
            &json!("ERROR"),
            &json!("find-me-again"),
            &json!("/opencode/log")
        ),
        "{line}"
    );
    assert!(line["timestamp"].is_string(), "{line}");
    assert!(
        lines
            .iter()
            .any(|line| line["fields"]["message"] == "stopping")
    );
    assert_no_secret(&log);
}

#[tokio::test]
async fn a_log_in_text_has_the_requests_id_and_no_secret() {
    let (server, log) = guarded("text").await;
    log_something(&server).await;
    server.stop().await;
    let log = log_of(&log);
    let line = log.lines().find(|line| line.contains("baton::client"));
    let line = line.expect("the entry");
    assert!(line.contains("request{id=\"find-me-again\""), "{line}");
    assert_no_secret(&log);
}

/// A server whose second agent has faults, with a log.
async fn watched(faults: &str) -> (Server, NamedTempFile) {
    let program = env!("CARGO_BIN_EXE_baton");
    let mut command = vec![program, "mock-agent", "--state-dir", "../second"];
    command.extend(["--models", "x"]);
    command.extend(faults.split_whitespace());
    let config =
        format!("[agents.second]\ncommand = {command:?}\n[timeouts]\nsilent_s = 1\ncancel_s = 1\n");
    let arguments = vec!["--agents".into(), "mock,second".into()];
    let log = NamedTempFile::new().unwrap();
    let to = Log::EverythingTo(log.reopen().unwrap());
    let server = Server::start_logging(Options { config, arguments }, to).await;
    (server, log)
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(now.unwrap().as_millis()).unwrap()
}

async fn turn_of(server: &Server, session: &str) -> Value {
    session_of(server, session).await["runtime"]["turn"].clone()
}

#[tokio::test]
async fn a_turn_that_hangs_can_be_seen_and_aborted() {
    let (server, log) = watched("--never-answer session/prompt").await;
    let session = server.create().await;
    assert_eq!(turn_of(&server, &session).await, Value::Null);
    let mut events = server.events().await;
    let began = now_ms();
    let waiting = server.prompt_later(&session, "echo one", model("second", "x"));
    let now = until(&server, "baton_silent_turns_total", |n| n >= 1.0).await;
    assert_eq!(figure(&now, "baton_silent_turns_total"), 1.0);
    assert!(figure(&now, "baton_turn_silence_seconds_max") >= 1.0);
    let turn = turn_of(&server, &session).await;
    let silent = events
        .until("session.silent", |p| p["sessionID"] == session)
        .await;
    assert_eq!(silent.properties["since"], turn["silentSince"], "{turn}");
    let toast = events.until("tui.toast.show", |_| true).await.properties;
    let said = toast["message"].as_str().unwrap();
    assert!(said.contains("has said nothing for 1 s"), "{toast}");
    let started = turn["started"].as_u64().expect("when it began");
    assert!((began..=now_ms()).contains(&started), "{turn}");
    // It was given a second time to fall silent, and is told once.
    until(&server, "baton_turn_silence_seconds_max", |s| s >= 2.0).await;
    let told = log_of(&log);
    let told: Vec<_> = told
        .lines()
        .filter(|l| l.contains("says nothing"))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("WARN") && told[0].contains(&session),
        "{told:?}"
    );

    server.abort(&session).await;
    let (status, answer) = answered(waiting).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        answer["info"]["error"]["name"], "MessageAbortedError",
        "{answer}"
    );
    assert_eq!(turn_of(&server, &session).await, Value::Null);
    let now = until(&server, "baton_turns_running", |n| n == 0.0).await;
    assert_eq!(figure(&now, "baton_turn_silence_seconds_max"), 0.0);
    server.stop().await;
}

#[tokio::test]
async fn a_turn_that_works_shows_signs_of_life_and_one_that_asks_is_not_silent() {
    let (server, log) = watched("").await;
    let session = server.create().await;
    let working = server.prompt_later(&session, "slow 60", model("second", "x"));
    let began = Instant::now();
    let mut signs = Vec::new();
    // Longer than it may be silent.
    while signs.len() < 3 || began.elapsed() < Duration::from_millis(1_500) {
        assert!(began.elapsed() < PATIENCE, "{signs:?}");
        let turn = turn_of(&server, &session).await;
        let (started, sign) = (turn["started"].as_u64(), turn["lastSign"].as_u64());
        if sign.is_some() && signs.last() != Some(&sign) {
            assert!(sign >= started && sign <= Some(now_ms() + 1), "{turn}");
            assert!(signs.last() < Some(&sign), "{signs:?} {turn}");
            signs.push(sign);
        }
    }
    server.abort(&session).await;
    answered(working).await;
    let asking = server.prompt_later(&session, "permission rm -rf build", json!({}));
    until(&server, "baton_permissions_waiting", |n| n == 1.0).await;
    let asked = Instant::now();
    let mut last = Figures::new();
    while asked.elapsed() < Duration::from_millis(1_500) {
        last = figures(&server).await;
    }
    assert_eq!(figure(&last, "baton_permissions_waiting"), 1.0);
    assert_eq!(figure(&last, "baton_silent_turns_total"), 0.0);
    server.abort(&session).await;
    answered(asking).await;
    server.stop().await;
    assert!(!log_of(&log).contains("says nothing"));
}
