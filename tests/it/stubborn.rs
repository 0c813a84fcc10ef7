//! Agents that cannot be talked to any more, and what is left when Baton is killed: all of it ends soon.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::handoff::pair;
use crate::harness::{Options, PATIENCE, Server, answered, parts_of, text_of};
use crate::scripted::{IMPATIENT, message_of, talking};

/// Which ways to be stubborn are tried.
const STUBBORN: [&str; 7] = [
    "ignores-cancel",
    "ignores-cancel,ignores-eof,ignores-sigterm,leaves-child",
    "stops-reading,ignores-sigterm",
    "reads-slowly,ignores-cancel,ignores-eof",
    "closes-stdin,ignores-eof,ignores-sigterm",
    "stops-itself",
    "ignores-cancel,ignores-eof,ignores-sigterm,leaves-detached-child",
];
/// A stop of the server that takes longer is a fault, also on a machine that is busy.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

async fn stubborn(faults: &str, config: &str) -> Server {
    pair(&["--models", "x,y", "--fault", faults], config).await
}

/// Waits until nothing that the server has started is left, and says how long it took.
async fn until_nothing_left(server: &Server) -> Duration {
    let begun = Instant::now();
    while !server.everything().is_empty() {
        let left = server.everything();
        assert!(begun.elapsed() < PATIENCE, "{left:?} are still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

/// The same for a server that will not live to send the answer.
async fn begun_to_answer_nobody(server: &Server, session: &str) {
    let mut events = server.events().await;
    server.prompt_async(session, "slow 60", json!({})).await;
    events
        .until("message.part.delta", |p| p["sessionID"] == session)
        .await;
}

async fn begun_to_answer(
    server: &Server,
    session: &str,
) -> tokio::task::JoinHandle<(StatusCode, Value)> {
    let mut events = server.events().await;
    let waiting = server.prompt_later(session, "slow 60", json!({}));
    events
        .until("message.part.delta", |p| p["sessionID"] == session)
        .await;
    waiting
}

#[tokio::test]
async fn whatever_an_agent_does_an_abort_has_its_effect() {
    let attacks = STUBBORN.map(|faults| async move {
        let server = stubborn(faults, IMPATIENT).await;
        let session = talking(&server, "second", "x").await;
        let beside = talking(&server, "second", "y").await;
        let pid = server.say(&beside, "pid").await;
        let waiting = begun_to_answer(&server, &session).await;
        let asked = Instant::now();
        server.abort(&session).await;
        let (status, answer) = answered(waiting).await;
        assert_eq!(status, StatusCode::OK, "{faults}");
        let error = &answer["info"]["error"];
        assert_eq!(error["name"], "MessageAbortedError", "{faults}: {answer}");
        // A second for the cancel; an agent that has closed its stdin is noticed sooner.
        assert!(
            asked.elapsed() < STOPS_WITHIN,
            "{faults}: {:?}",
            asked.elapsed()
        );
        // Both sessions continue, with their conversation, in another process.
        for (session, id) in [(&session, "x"), (&beside, "y")] {
            let history = server.say(session, "history").await;
            assert!(
                history.starts_with(&format!("model: {id}\n")),
                "{faults}: {history}"
            );
            assert!(history.contains("echo one"), "{faults}: {history}");
        }
        let next = server.say(&beside, "pid").await;
        assert_ne!(next, pid, "{faults}");
        let left = server.processes();
        assert!(!left.contains(&pid.parse().unwrap()), "{faults}: {left:?}");
        server.stop().await;
    });
    futures_util::future::join_all(attacks).await;
}

#[tokio::test]
async fn a_turn_next_to_one_that_is_aborted_in_vain_fails_alone() {
    let server = stubborn("ignores-cancel", IMPATIENT).await;
    let (session, beside, idle) = (
        talking(&server, "second", "x").await,
        talking(&server, "second", "y").await,
        talking(&server, "second", "y").await,
    );
    let running = begun_to_answer(&server, &beside).await;
    let waiting = begun_to_answer(&server, &session).await;
    let mut events = server.events().await;
    server.abort(&session).await;
    let (_, answer) = answered(waiting).await;
    assert_eq!(answer["info"]["error"]["name"], "MessageAbortedError");
    let (_, answer) = answered(running).await;
    let error = &answer["info"]["error"];
    assert_eq!(error["name"], "APIError", "{answer}");
    assert!(message_of(error).contains("second"), "{error}");
    for session in [&session, &beside, &idle] {
        let history = server.say(session, "history").await;
        assert!(history.contains("echo one"), "{history}");
    }
    let path = format!("/opencode/session/{idle}");
    let end = json!({ "title": "the end" });
    server.ok(Method::PATCH, &path, Some(end)).await;
    events
        .until("session.updated", |p| p["info"]["title"] == "the end")
        .await;
    let told = events.of("session.error");
    assert!(
        told.iter().all(|p| p["sessionID"] != idle.as_str()),
        "{told:#?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_agent_that_reads_nothing_holds_up_no_other_session() {
    // More than a pipe holds, so that writing it has to wait.
    let server = stubborn("stops-reading", IMPATIENT).await;
    let (session, beside) = (
        talking(&server, "second", "x").await,
        talking(&server, "second", "y").await,
    );
    let elsewhere = talking(&server, "mock", "mock").await;
    let waiting = begun_to_answer(&server, &session).await;
    let large = format!("echo {}", "x".repeat(1024 * 1024));
    let mut events = server.events().await;
    let stuck = server.prompt_later(&beside, &large, json!({}));
    events
        .until("message.updated", |p| {
            p["info"]["role"] == "assistant" && p["info"]["sessionID"] == beside.as_str()
        })
        .await;
    // What concerns neither the agent nor its answers is as fast as ever, in these sessions, too.
    let asked = Instant::now();
    assert_eq!(server.say(&elsewhere, "echo two").await, "two");
    for session in [&session, &beside] {
        let title = json!({ "title": "renamed" });
        assert_eq!(server.patch(session, title).await.0, StatusCode::OK);
        server.messages(session).await;
    }
    assert!(asked.elapsed() < STOPS_WITHIN, "{:?}", asked.elapsed());
    server.abort(&beside).await;
    let (_, answer) = answered(stuck).await;
    assert_eq!(answer["info"]["error"]["name"], "MessageAbortedError");
    let (_, answer) = answered(waiting).await;
    assert_eq!(answer["info"]["error"]["name"], "APIError", "{answer}");
    assert_eq!(server.say(&beside, "model").await, "y");
    assert_eq!(server.say(&session, "model").await, "x");
    server.stop().await;
}

#[tokio::test]
async fn a_server_stops_soon_in_the_middle_of_a_stubborn_turn() {
    let attacks = STUBBORN.map(|faults| async move {
        // Without shorter timeouts.
        let mut server = stubborn(faults, "").await;
        let session = talking(&server, "second", "x").await;
        let waiting = begun_to_answer(&server, &session).await;
        let asked = Instant::now();
        server.terminate().await;
        let took = asked.elapsed();
        // Shown by --nocapture: the real figure.
        println!("{faults}: stopped after {took:?}");
        assert!(took < STOPS_WITHIN, "{faults}: {took:?}");
        assert_eq!(server.everything(), Vec::<u32>::new(), "{faults}");
        let (_, answer) = answered(waiting).await;
        let error = &answer["info"]["error"];
        assert_eq!(error["name"], "MessageAbortedError", "{faults}: {answer}");
    });
    futures_util::future::join_all(attacks).await;
}

#[tokio::test]
async fn a_server_that_stops_does_not_wait_twice_for_the_same() {
    // An abort that waits for its ten seconds; a deleted session whose agent is told so and does not answer; a command
    // line that does not end.
    let command = |rest: &[&str]| {
        let own = [env!("CARGO_BIN_EXE_baton"), "mock-agent", "--models", "x"];
        format!("command = {:?}\n", [&own, rest].concat())
    };
    let config = format!(
        "[agents.second]\n{}[agents.third]\n{}",
        command(&["--fault", "ignores-cancel"]),
        command(&["--never-answer", "session/delete"])
    );
    let arguments = vec!["--agents".into(), "mock,second,third".into()];
    let mut server = Server::start_with(Options { config, arguments }).await;
    let session = talking(&server, "second", "x").await;
    begun_to_answer_nobody(&server, &session).await;
    let deleted = talking(&server, "third", "x").await;
    let path = format!("/opencode/session/{deleted}");
    server.ok(Method::DELETE, &path, None).await;
    let shell = server.create().await;
    let line =
        json!({ "command": "trap '' TERM; echo on; sleep 1000; sleep 1000", "agent": "build" });
    let url = format!("{}/opencode/session/{shell}/shell", server.url);
    let client = server.client.clone();
    let mut events = server.events().await;
    let running = tokio::spawn(async move { client.post(url).json(&line).send().await });
    events
        .until("message.part.updated", |p| {
            p["part"]["state"]["metadata"]["output"] == "on\n"
        })
        .await;
    server.abort(&session).await;
    let asked = Instant::now();
    server.terminate().await;
    let took = asked.elapsed();
    println!("stopped after {took:?}");
    assert!(took < STOPS_WITHIN, "{took:?}");
    assert_eq!(server.everything(), Vec::<u32>::new());
    running.abort();
}

#[tokio::test]
async fn an_agent_that_floods_and_ignores_a_cancel_can_be_aborted() {
    let server = stubborn("floods,ignores-cancel", IMPATIENT).await;
    let session = talking(&server, "second", "x").await;
    let mut events = server.events().await;
    let flood = server.prompt_later(&session, "flood", json!({}));
    events
        .until("message.part.delta", |p| p["sessionID"] == session.as_str())
        .await;
    let asked = Instant::now();
    server.abort(&session).await;
    let (_, answer) = answered(flood).await;
    assert!(asked.elapsed() < STOPS_WITHIN, "{:?}", asked.elapsed());
    let error = &answer["info"]["error"];
    assert_eq!(error["name"], "MessageAbortedError", "{error}");
    assert!(server.say(&session, "history").await.contains("echo one"));
    server.stop().await;
}

#[tokio::test]
async fn an_agent_gets_nothing_of_what_supervises_it() {
    let server = Server::start().await;
    let session = talking(&server, "mock", "mock").await;
    let pid = server.say(&session, "pid").await;
    let pipes = |pid: &str| -> HashSet<PathBuf> {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let targets = files.flatten().filter_map(|file| {
            let is_standard = ["0", "1", "2"].iter().any(|own| file.file_name() == *own);
            std::fs::read_link(file.path())
                .ok()
                .filter(|_| !is_standard)
        });
        targets
            .filter(|target| target.to_string_lossy().starts_with("pipe:"))
            .collect()
    };
    // The test has been given some itself, by cargo.
    let (its, ours) = (pipes(&pid), pipes("self"));
    assert!(its.is_subset(&ours), "{its:?}");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let blocked = status.lines().find(|line| line.starts_with("SigBlk:"));
    assert_eq!(
        blocked.unwrap().trim_start_matches("SigBlk:").trim(),
        "0".repeat(16)
    );
    server.stop().await;
}

#[tokio::test]
async fn nothing_outlives_a_server_that_is_killed() {
    let faults = "ignores-cancel,ignores-eof,ignores-sigterm,leaves-detached-child";
    let mut server = stubborn(faults, "").await;
    let session = talking(&server, "second", "x").await;
    let child: u32 = server.say(&session, "child").await.parse().unwrap();
    begun_to_answer_nobody(&server, &session).await;
    let shell = server.create().await;
    let line =
        json!({ "command": "(trap '' TERM HUP; sleep 1000) & sleep 1001; true", "agent": "build" });
    let path = format!("/opencode/session/{shell}/shell");
    let url = format!("{}{path}", server.url);
    let client = server.client.clone();
    let running = tokio::spawn(async move { client.post(url).json(&line).send().await });
    // The agent and its child; the shell, and two that sleep.
    let begun = Instant::now();
    while server.processes().len() < 5 {
        let there = server.processes();
        assert!(begun.elapsed() < PATIENCE, "{there:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(server.processes().contains(&child));
    server.kill().await;
    let took = until_nothing_left(&server).await;
    println!("everything has ended {took:?} after the kill");
    assert!(took < STOPS_WITHIN, "{took:?}");
    running.abort();
}

#[tokio::test]
async fn a_second_sigterm_leaves_nothing_behind() {
    let faults = "ignores-cancel,ignores-eof,ignores-sigterm,leaves-detached-child";
    let server = stubborn(faults, "").await;
    let session = talking(&server, "second", "x").await;
    begun_to_answer_nobody(&server, &session).await;
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    let begun = Instant::now();
    let address = server.url.trim_start_matches("http://");
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "it does not stop");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // It may be gone by itself on a machine that is very busy.
    let _gone = kill(pid, Signal::SIGTERM);
    let took = until_nothing_left(&server).await;
    println!("everything has ended {took:?} after the second SIGTERM");
    assert!(took < STOPS_WITHIN, "{took:?}");
}

#[tokio::test]
async fn how_an_agent_has_ended_is_told_as_it_was() {
    let server = stubborn("leaves-child", "").await;
    let session = talking(&server, "second", "x").await;
    for (signal, said) in [
        (Signal::SIGKILL, "signal: 9 (SIGKILL)"),
        (Signal::SIGUSR1, "signal: 10 (SIGUSR1)"),
        (Signal::SIGTERM, "signal: 15 (SIGTERM)"),
    ] {
        let pid: i32 = server.say(&session, "pid").await.parse().unwrap();
        let waiting = begun_to_answer(&server, &session).await;
        kill(Pid::from_raw(pid), signal).unwrap();
        let (_, answer) = answered(waiting).await;
        let message = message_of(&answer["info"]["error"]);
        assert!(message.contains(said), "{signal}: {message}");
        assert!(!text_of(&answer).is_empty());
    }
    // Rust's runtime catches this one at first; and this is how a shell says it.
    for (line, exit) in [
        ("kill -SEGV $$", json!("signal: 11 (SIGSEGV)")),
        ("kill -PIPE $$; sleep 60", json!(128 + 13)),
        ("exit 7", json!(7)),
    ] {
        let body = json!({ "command": line, "agent": "build" });
        let path = format!("/opencode/session/{session}/shell");
        let answer = server.ok(Method::POST, &path, Some(body)).await;
        let call = parts_of(&answer, "tool")[0];
        assert_eq!(call["state"]["metadata"]["exit"], exit, "{line}: {answer}");
    }
    server.stop().await;
}
