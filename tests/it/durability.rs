//! What outlives `kill -9`, and what does not.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::harness::{Options, PATIENCE, Server, model, text_of};

/// Connections of the load.
const CONNECTIONS: usize = 16;
/// PATCHes that are acknowledged before the server is killed.
const ACKNOWLEDGED: usize = 200;

#[tokio::test]
async fn a_killed_server_comes_back_with_everything() {
    let mut server = Server::start().await;
    let (session, idle) = (server.create().await, server.create().await);
    server
        .prompt(&session, "echo before", model("mock", "mock-strong"))
        .await;
    let body = json!({
        "providerID": "mock", "modelID": "mock-strong", "variant": "high", "agent": "plan",
        "title": "kept", "metadata": { "a": [1, null] },
        "permission": [{ "permission": "bash", "pattern": "*", "action": "ask" }],
    });
    let path = format!("/opencode/session/{idle}?wait=true");
    let patched = server.ok(Method::PATCH, &path, Some(body)).await;
    let mut events = server.events().await;
    server.prompt_async(&session, "slow 60", json!({})).await;
    events
        .until("message.part.delta", |p| {
            p["delta"].as_str().is_some_and(|d| d.contains("tick 9"))
        })
        .await;
    server
        .prompt_async(&session, "echo queued", json!({}))
        .await;
    let before = server.messages(&session).await;
    server.kill().await;
    server.restart().await;

    let after = server.get(&format!("/opencode/session/{idle}")).await;
    for field in [
        "id",
        "title",
        "model",
        "agent",
        "metadata",
        "permission",
        "revision",
        "directory",
        "time",
        "slug",
        "version",
    ] {
        assert_eq!(after[field], patched[field], "{field}");
    }
    assert_eq!(server.get("/opencode/session/status").await, json!({}));
    let info = server.get(&format!("/opencode/session/{session}")).await;
    assert_eq!(info["runtime"]["status"], "idle");
    assert_eq!(info["model"]["id"], "mock-strong");

    let messages = server.messages(&session).await;
    assert_eq!(
        messages.len(),
        5,
        "two turns and a prompt without an answer"
    );
    assert_eq!(messages[..3], before[..3]);
    assert_eq!(messages[4], before[4]);
    let interrupted = &messages[3];
    assert_eq!(interrupted["info"]["id"], before[3]["info"]["id"]);
    assert_eq!(interrupted["info"]["error"]["name"], "MessageAbortedError");
    assert!(interrupted["info"]["time"]["completed"].is_u64());
    // What was streamed is written at least four times a second; a tick takes a tenth.
    let said = text_of(interrupted);
    assert!(said.starts_with("tick 1 tick 2 tick 3 tick 4 "), "{said}");
    let all: String = (1..=60).map(|n| format!("tick {n} ")).collect();
    assert!(all.starts_with(&said), "nothing twice and no gap: {said}");

    let answer = server.prompt(&session, "history", json!({})).await;
    let text = text_of(&answer);
    assert!(text.starts_with("model: mock-strong (medium)"), "{text}");
    assert!(text.contains("echo before"), "{text}");
    for once in ["| slow 60", "| echo queued"] {
        assert_eq!(text.matches(once).count(), 1, "{once}: {text}");
    }
    let answers = server.messages(&session).await;
    assert_eq!(answers.len(), 7);
    assert_eq!(answers[6], answer);
    server.stop().await;
}

/// An acknowledged PATCH.
#[derive(Debug, Clone, PartialEq)]
struct Acknowledged {
    revision: u64,
    model: String,
}

/// PATCHes a session between two models until the server is gone.
async fn alternate(
    client: reqwest::Client,
    url: String,
    first: usize,
    acknowledged: mpsc::UnboundedSender<Acknowledged>,
) {
    for n in first.. {
        let id = ["mock-fast", "mock-strong"][n % 2];
        let wish = json!({ "providerID": "mock", "modelID": id });
        let Ok(answer) = client.patch(&url).json(&wish).send().await else {
            return;
        };
        assert!(answer.status().is_success(), "{}", answer.status());
        let Ok(session) = answer.json::<Value>().await else {
            return;
        };
        let seen = Acknowledged {
            revision: session["revision"].as_u64().expect("revision"),
            model: session["model"]["id"].as_str().expect("model").to_owned(),
        };
        if acknowledged.send(seen).is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn an_acknowledged_selection_outlives_a_kill_in_the_middle_of_the_load() {
    let mut server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let url = format!("{}/opencode/session/{session}", server.url);
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|n| {
            let client = reqwest::Client::new();
            tokio::spawn(alternate(client, url.clone(), n, sender.clone()))
        })
        .collect();
    drop(sender);
    let mut acknowledged = Vec::new();
    while acknowledged.len() < ACKNOWLEDGED {
        let next = tokio::time::timeout(PATIENCE, receiver.recv()).await;
        acknowledged.push(next.expect("in time").expect("the load goes on"));
    }
    server.kill().await;
    for task in tasks {
        task.await.expect("no PATCH was refused");
    }
    // What was answered while the server was being killed was acknowledged, too.
    while let Some(late) = receiver.recv().await {
        acknowledged.push(late);
    }
    let last = acknowledged
        .iter()
        .max_by_key(|a| a.revision)
        .unwrap()
        .clone();
    assert!(last.revision > 2, "{last:?}");

    server.restart().await;
    let after = server.get(&format!("/opencode/session/{session}")).await;
    let revision = after["revision"].as_u64().unwrap();
    assert!(revision >= last.revision, "{revision} is before {last:?}");
    // At most one unacknowledged request of each connection.
    assert!(
        revision <= last.revision + CONNECTIONS as u64,
        "{revision}: {last:?}"
    );
    let selected = after["model"]["id"].as_str().unwrap();
    if revision == last.revision {
        assert_eq!(selected, last.model);
    }
    let answer = server.prompt(&session, "history", json!({})).await;
    let text = text_of(&answer);
    assert!(text.starts_with(&format!("model: {selected}")), "{text}");
    assert!(text.contains("echo one"), "{text}");
    server.stop().await;
}

/// Waits until a process is gone.
async fn until_gone(server: &Server, pid: u32) {
    let begun = Instant::now();
    while server.processes().contains(&pid) {
        assert!(begun.elapsed() < PATIENCE, "{pid} is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until no thread of a process runs any more: the signal that stops it reaches them one after the other.
async fn until_stopped(pid: u32) {
    let begun = Instant::now();
    let runs = || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let mut states =
            tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")));
        // The state stands behind the name, which is in brackets.
        states.any(|stat| !stat.unwrap().rsplit(") ").next().unwrap().starts_with('T'))
    };
    while runs() {
        assert!(begun.elapsed() < PATIENCE, "{pid} still runs");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn agents_of_a_killed_server_are_ended_by_the_next_one() {
    let baton = env!("CARGO_BIN_EXE_baton");
    let config = format!(
        "[agents.stubborn]\ncommand = [{baton:?}, \"mock-agent\", \"--fault\", \"ignores-eof,ignores-sigterm,leaves-child\"]\n"
    );
    let arguments = vec!["--agents".into(), "stubborn".into()];
    let mut server = Server::start_with(Options { config, arguments }).await;
    let session = server.create().await;
    let pid: u32 = server.say(&session, "pid").await.parse().unwrap();
    let child: u32 = server.say(&session, "child").await.parse().unwrap();
    // Together with what supervises its agents, which would end them otherwise; stopped, it does not see that.
    let agents = server.processes();
    let signal = |pid: u32, signal| kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal);
    signal(server.pid(), Signal::SIGSTOP).unwrap();
    until_stopped(server.pid()).await;
    for supervisor in server.everything() {
        if !agents.contains(&supervisor) {
            signal(supervisor, Signal::SIGKILL).unwrap();
        }
    }
    server.kill().await;
    let left = server.processes();
    assert!(left.contains(&pid) && left.contains(&child), "{left:?}");
    server.restart().await;
    until_gone(&server, pid).await;
    until_gone(&server, child).await;
    let history = server.say(&session, "history").await;
    assert!(history.contains("| pid"), "{history}");
    server.stop().await;
}

#[tokio::test]
async fn two_servers_do_not_share_their_data() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut second = Command::new(env!("CARGO_BIN_EXE_baton"));
    second.args(["serve", "--port", "0", "--agents", "mock", "--data-dir"]);
    second.arg(server.folder.path().join("data"));
    second
        .arg("--config")
        .arg(server.folder.path().join("baton.toml"));
    second.stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, second.output()).await;
    let output = ended.expect("it ends by itself").expect("it ran");
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("data directory") && said.contains("already"),
        "{said}"
    );
    assert_eq!(server.say(&session, "echo unharmed").await, "unharmed");
    server.stop().await;
}

#[tokio::test]
async fn after_a_restart_a_selection_is_applied_for_who_waits_for_it() {
    let mut server = Server::start().await;
    let session = server.create().await;
    let before = server.select(&session, "mock", "mock-strong").await;
    server.kill().await;
    server.restart().await;
    let path = format!("/opencode/session/{session}");
    let idle = server.get(&path).await;
    assert_eq!(
        idle["runtime"]["applied"],
        Value::Null,
        "no agent was started"
    );
    assert_eq!(idle["runtime"]["pending"], Value::Null, "nothing waits");
    assert_eq!(idle["model"]["id"], "mock-strong");
    let after = server.select(&session, "mock", "mock-strong").await;
    assert_eq!(after["runtime"]["applied"]["modelID"], "mock-strong");
    assert_eq!(
        after["revision"], before["revision"],
        "it is the same selection"
    );
    server.stop().await;
}
