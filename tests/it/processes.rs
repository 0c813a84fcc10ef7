//! Agent processes: shared between sessions, ended when they are not needed, and never left behind.

use std::collections::HashSet;
use std::time::Instant;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::handoff::pair;
use crate::harness::{PATIENCE, Server, answered, model, text_of};

async fn pid_of(server: &Server, session: &str) -> u32 {
    server.say(session, "pid").await.parse().unwrap()
}

/// Waits until a process is gone.
async fn until_gone(server: &Server, pid: u32) {
    let begun = Instant::now();
    while server.processes().contains(&pid) {
        assert!(begun.elapsed() < PATIENCE, "{pid} is still there");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A session that has talked to a model.
async fn talking(server: &Server, provider: &str, id: &str) -> String {
    let session = server.create().await;
    let answer = server
        .prompt(&session, "echo one", model(provider, id))
        .await;
    assert_eq!(text_of(&answer), "one", "{answer}");
    session
}

#[tokio::test]
async fn sessions_share_a_process_and_do_not_disturb_each_other() {
    let server = Server::start().await;
    let fast = talking(&server, "mock", "mock-fast").await;
    let strong = talking(&server, "mock", "mock-strong").await;
    let pid = pid_of(&server, &fast).await;
    assert_eq!(pid_of(&server, &strong).await, pid);
    assert_ne!(
        server.say(&fast, "session").await,
        server.say(&strong, "session").await
    );
    // While one is at work, the other is asked, switched, put into another mode and aborted.
    let mut events = server.events().await;
    let slow = server.prompt_later(&fast, "slow 2", json!({}));
    events
        .until("message.part.delta", |p| p["sessionID"] == fast.as_str())
        .await;
    assert_eq!(server.say(&strong, "model").await, "mock-strong (medium)");
    let wish = json!({ "providerID": "mock", "modelID": "mock", "agent": "plan" });
    let path = format!("/opencode/session/{strong}?wait=true");
    server.ok(Method::PATCH, &path, Some(wish)).await;
    let other = server.prompt_later(&strong, "slow 60", json!({}));
    events
        .until("message.part.delta", |p| {
            let ticks = p["delta"].as_str().is_some_and(|d| d.contains("tick"));
            ticks && p["sessionID"] == strong.as_str()
        })
        .await;
    server.abort(&strong).await;
    let (_, aborted) = answered(other).await;
    assert_eq!(aborted["info"]["error"]["name"], "MessageAbortedError");
    let (_, answer) = answered(slow).await;
    assert_eq!(answer["info"]["error"], Value::Null);
    assert_eq!(answer["info"]["modelID"], "mock-fast");
    let ticks: String = (1..=20).map(|n| format!("tick {n} ")).collect();
    assert_eq!(text_of(&answer), ticks + "done");
    assert_eq!(server.say(&fast, "model").await, "mock-fast");
    assert_eq!(server.say(&fast, "mode").await, "build");
    assert_eq!(server.say(&strong, "model").await, "mock");
    assert_eq!(server.say(&strong, "mode").await, "plan");
    assert_eq!(pid_of(&server, &strong).await, pid);
    let history = server.say(&strong, "history").await;
    assert!(!history.contains("mock-fast"), "{history}");
    server.stop().await;
}

#[tokio::test]
async fn a_crash_fails_only_what_was_in_flight_on_that_process() {
    let server = pair(&["--models", "x,y"], "").await;
    let (idle, busy, crashing) = (
        talking(&server, "second", "x").await,
        talking(&server, "second", "y").await,
        talking(&server, "second", "x").await,
    );
    let elsewhere = talking(&server, "mock", "mock").await;
    let pid = pid_of(&server, &idle).await;
    let mut events = server.events().await;
    let on_it = server.prompt_later(&busy, "slow 60", json!({}));
    let beside = server.prompt_later(&elsewhere, "slow 2", json!({}));
    let mut begun = HashSet::new();
    while begun.len() < 2 {
        let delta = events.until("message.part.delta", |_| true).await;
        begun.insert(delta.properties["sessionID"].to_string());
    }
    let answer = server.prompt(&crashing, "crash", json!({})).await;
    assert_eq!(answer["info"]["error"]["name"], "APIError", "{answer}");
    let (_, answer) = answered(on_it).await;
    let error = &answer["info"]["error"];
    assert_eq!(error["name"], "APIError", "{answer}");
    let message = error["data"]["message"].as_str().unwrap();
    assert!(
        message.contains("second") && message.contains("70"),
        "{message}"
    );
    assert!(text_of(&answer).starts_with("tick 1 "), "{answer}");
    let (_, answer) = answered(beside).await;
    assert_eq!(answer["info"]["error"], Value::Null);

    for (session, name) in [(&idle, "x"), (&busy, "y"), (&crashing, "x")] {
        let history = server.say(session, "history").await;
        assert!(
            history.starts_with(&format!("model: {name}\n")),
            "{history}"
        );
        assert!(history.contains("echo one"), "{history}");
    }
    let next = pid_of(&server, &idle).await;
    assert_ne!(next, pid);
    assert_eq!(pid_of(&server, &busy).await, next);
    // The session that had nothing in flight was told nothing.
    let title = json!({ "title": "the end" });
    assert_eq!(server.patch(&idle, title).await.0, StatusCode::OK);
    events
        .until("session.updated", |p| p["info"]["title"] == "the end")
        .await;
    let errors = events.of("session.error");
    assert!(errors.iter().all(|p| p["sessionID"] != idle.as_str()));
    assert_eq!(errors.len(), 2, "{errors:#?}");
    server.stop().await;
}

#[tokio::test]
async fn an_idle_process_is_ended_and_its_session_goes_on() {
    let server = pair(&["--models", "x,y"], "[limits]\nagent_idle_s = 1\n").await;
    let session = talking(&server, "second", "y").await;
    let native = server.say(&session, "session").await;
    let pid = pid_of(&server, &session).await;
    until_gone(&server, pid).await;
    // Who is at work is not idle, however long it takes.
    let answer = server.prompt(&session, "slow 3", json!({})).await;
    assert_eq!(answer["info"]["error"], Value::Null);
    let history = server.say(&session, "history").await;
    assert!(history.starts_with("model: y\n"), "{history}");
    assert!(history.contains("user: echo one"), "{history}");
    assert_eq!(server.say(&session, "session").await, native);
    assert_ne!(pid_of(&server, &session).await, pid);
    server.stop().await;
}

#[tokio::test]
async fn there_are_no_more_processes_than_allowed() {
    let server = pair(&["--models", "x,y"], "[limits]\nlive_agents = 1\n").await;
    let session = talking(&server, "mock", "mock").await;
    let first = pid_of(&server, &session).await;
    server.select(&session, "second", "y").await;
    let second = pid_of(&server, &session).await;
    until_gone(&server, first).await;
    assert_eq!(server.processes(), [second]);
    // No work is taken away: a request that finds no room gets an error.
    let mut events = server.events().await;
    let slow = server.prompt_later(&session, "slow 2", json!({}));
    events.until("message.part.delta", |_| true).await;
    let other = server.create().await;
    let refused = server
        .prompt(&other, "echo two", model("mock", "mock"))
        .await;
    let message = refused["info"]["error"]["data"]["message"].as_str();
    assert!(message.unwrap().contains("limits.live_agents"), "{refused}");
    let (_, answer) = answered(slow).await;
    assert_eq!(answer["info"]["error"], Value::Null);
    let answer = server.prompt(&other, "echo two", json!({})).await;
    assert_eq!(text_of(&answer), "two", "{answer}");
    until_gone(&server, second).await;
    let history = server.say(&session, "history").await;
    assert!(history.starts_with("model: y\n"), "{history}");
    assert!(history.contains("| echo one"), "{history}");
    server.stop().await;
}

#[tokio::test]
async fn a_models_own_process_lives_as_long_as_a_session_needs_it() {
    let arguments = ["--without", "model-choice", "--model", "{model}"];
    let server = pair(&arguments, "models = [\"x\", \"y\"]\n").await;
    let (one, two) = (
        talking(&server, "second", "x").await,
        talking(&server, "second", "x").await,
    );
    let old = pid_of(&server, &one).await;
    assert_eq!(pid_of(&server, &two).await, old);
    server.select(&one, "second", "y").await;
    let new = pid_of(&server, &one).await;
    assert_ne!(new, old);
    assert_eq!(pid_of(&server, &two).await, old);
    assert_eq!(server.say(&two, "model").await, "x");
    // The last one leaves by being deleted, which is leaving, too.
    let path = format!("/opencode/session/{two}");
    server.ok(Method::DELETE, &path, None).await;
    until_gone(&server, old).await;
    assert_eq!(pid_of(&server, &one).await, new);
    assert_eq!(server.say(&one, "model").await, "y");
    server.stop().await;
}

#[tokio::test]
async fn a_stubborn_agent_and_its_children_are_ended() {
    let arguments = [
        "--models",
        "x",
        "--fault",
        "ignores-eof,ignores-sigterm,leaves-child",
    ];
    let limits = "[limits]\nlive_agents = 1\n[timeouts]\nend_ms = 200\n";
    let server = pair(&arguments, limits).await;
    let session = talking(&server, "second", "x").await;
    let pid = pid_of(&server, &session).await;
    let child: u32 = server.say(&session, "child").await.parse().unwrap();
    let running = server.processes();
    assert!(
        running.contains(&pid) && running.contains(&child),
        "{running:?}"
    );
    // It has to make room for another one.
    server.select(&session, "mock", "mock").await;
    until_gone(&server, pid).await;
    until_gone(&server, child).await;
    // And this one is not needed: stop() finds that nothing is left.
    server.select(&session, "second", "x").await;
    assert_ne!(pid_of(&server, &session).await, pid);
    server.stop().await;
}

#[tokio::test]
async fn a_crash_takes_the_children_of_the_agent_along() {
    let arguments = ["--models", "x", "--fault", "leaves-child"];
    let server = pair(&arguments, "").await;
    let session = talking(&server, "second", "x").await;
    let child: u32 = server.say(&session, "child").await.parse().unwrap();
    assert!(server.processes().contains(&child));
    let answer = server.prompt(&session, "crash", json!({})).await;
    assert_eq!(answer["info"]["error"]["name"], "APIError");
    until_gone(&server, child).await;
    server.stop().await;
}

#[tokio::test]
async fn a_permission_request_ends_with_its_session() {
    let server = Server::start().await;
    let (session, other) = (
        talking(&server, "mock", "mock").await,
        talking(&server, "mock", "mock").await,
    );
    let pid = pid_of(&server, &other).await;
    let mut events = server.events().await;
    let waiting = server.prompt_later(&session, "permission make", json!({}));
    let kept = server.prompt_later(&other, "permission make", json!({}));
    let mut ids = [Value::Null, Value::Null];
    for _ in 0..2 {
        let asked = events.until("permission.asked", |_| true).await.properties;
        ids[usize::from(asked["sessionID"] == other.as_str())] = asked["id"].clone();
    }
    let path = format!("/opencode/session/{session}");
    server.ok(Method::DELETE, &path, None).await;
    let (_, answer) = answered(waiting).await;
    assert_eq!(
        answer["info"]["error"]["name"], "MessageAbortedError",
        "{answer}"
    );
    let left = server.get("/opencode/permission").await;
    let left: Vec<_> = left
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["id"].clone())
        .collect();
    assert_eq!(left, [ids[1].clone()]);
    let reply = |id: &Value| format!("/opencode/permission/{}/reply", id.as_str().unwrap());
    let once = json!({ "reply": "once" });
    let (status, _) = server
        .send(Method::POST, &reply(&ids[0]), Some(once.clone()))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    // The other session's request in the same process still waits for its answer.
    server.ok(Method::POST, &reply(&ids[1]), Some(once)).await;
    let (_, answer) = answered(kept).await;
    assert_eq!(answer["info"]["error"], Value::Null, "{answer}");
    assert_eq!(pid_of(&server, &other).await, pid);
    server.stop().await;
}

/// A server whose agent has put a child into a session of its own, and the two processes.
#[cfg(target_os = "linux")]
async fn with_child_in_session(settings: &str) -> (Server, String, u32, u32) {
    let arguments = ["--models", "x", "--fault", "leaves-child-in-session"];
    let server = pair(&arguments, settings).await;
    let session = talking(&server, "second", "x").await;
    let pid = pid_of(&server, &session).await;
    let child: u32 = server.say(&session, "child").await.parse().unwrap();
    let running = server.processes();
    assert!(
        running.contains(&pid) && running.contains(&child),
        "{running:?}"
    );
    (server, session, pid, child)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_has_left_the_agents_group_ends_with_it() {
    // With the agent, which makes room for another one.
    let (server, session, pid, child) = with_child_in_session("[limits]\nlive_agents = 1\n").await;
    server.select(&session, "mock", "mock").await;
    until_gone(&server, pid).await;
    until_gone(&server, child).await;
    server.stop().await;
    // With a crash.
    let (server, session, _, child) = with_child_in_session("").await;
    server.prompt(&session, "crash", json!({})).await;
    until_gone(&server, child).await;
    server.stop().await;
    // With the server: stop() finds that nothing is left.
    let (server, ..) = with_child_in_session("").await;
    server.stop().await;
}

/// Whether a process is the child that the mock agent leaves.
#[cfg(target_os = "linux")]
fn is_sleep(pid: u32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    name.is_ok_and(|name| name.trim() == "sleep")
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_meant_to_outlive_its_agent_does() {
    let settings = "leave_children = true\n[limits]\nlive_agents = 1\n";
    let (server, session, pid, child) = with_child_in_session(settings).await;
    server.select(&session, "mock", "mock").await;
    until_gone(&server, pid).await;
    assert!(server.processes().contains(&child), "{child} is gone");
    // That of the probe has been left, too.
    for left in server.processes().into_iter().filter(|pid| is_sleep(*pid)) {
        let process = nix::unistd::Pid::from_raw(i32::try_from(left).unwrap());
        nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL).expect("killed");
        until_gone(&server, left).await;
    }
    server.stop().await;
}
