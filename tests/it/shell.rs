//! Command lines of the user: run by Baton, shown as they run, and known to the agent that goes on.

use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::handoff::pair;
use crate::harness::{Options, PATIENCE, Server, answered, model, parts_of, text_of};

fn line(command: &str) -> Value {
    json!({ "agent": "build", "model": { "providerID": "mock", "modelID": "mock" }, "command": command })
}

async fn shell(server: &Server, session: &str, command: &str) -> Value {
    let path = format!("/opencode/session/{session}/shell");
    server.ok(Method::POST, &path, Some(line(command))).await
}

fn shell_later(server: &Server, session: &str, command: &str) -> JoinHandle<(StatusCode, Value)> {
    let url = format!("{}/opencode/session/{session}/shell", server.url);
    let request = server.client.post(url).json(&line(command));
    tokio::spawn(async move {
        let response = request.send().await.expect("an answer");
        (response.status(), response.json().await.expect("JSON"))
    })
}

/// The number that a command has printed in a line of its own.
fn pid_of(text: &str) -> Pid {
    let number = text.lines().find_map(|line| line.parse().ok());
    Pid::from_raw(number.unwrap_or_else(|| panic!("no pid in {text:?}")))
}

async fn until_gone(pid: Pid) {
    let gone = async {
        while kill(pid, None).is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let gone = tokio::time::timeout(PATIENCE, gone).await;
    gone.unwrap_or_else(|_| panic!("{pid} is still there"));
}

#[tokio::test]
async fn a_command_is_shown_as_it_runs_and_is_in_the_conversation() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    // It goes on when a file is there, so that the test sees it in the middle.
    let command = "echo begin; while [ ! -e go ]; do sleep 0.05; done; echo end >&2; pwd; exit 3";
    let running = shell_later(&server, &session, command);
    let shown = events
        .until("message.part.updated", |p| {
            p["part"]["state"]["metadata"]["output"] == "begin\n"
        })
        .await;
    let part = &shown.properties["part"];
    assert_eq!(
        (&part["tool"], &part["state"]["status"]),
        (&json!("bash"), &json!("running"))
    );
    assert_eq!(part["state"]["input"]["command"], command);
    let status = server.get("/opencode/session/status").await;
    assert_eq!(status[&session]["type"], "busy");
    std::fs::write(server.work().join("go"), "").unwrap();

    let (status, answer) = answered(running).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let state = &answer["parts"][0]["state"];
    let output = format!(
        "begin\nend\n{}\n",
        server.work().canonicalize().unwrap().display()
    );
    assert_eq!(state["status"], "completed");
    assert_eq!(state["output"], output);
    assert_eq!(state["metadata"], json!({ "output": output, "exit": 3 }));
    assert_eq!(answer["parts"].as_array().unwrap().len(), 1);
    assert_eq!(answer["info"]["error"], Value::Null);
    events
        .until("session.idle", |p| p["sessionID"] == *session)
        .await;

    let messages = server.messages(&session).await;
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0]["info"]["role"], "user");
    assert_eq!(messages[0]["parts"][0]["synthetic"], true);
    assert_eq!(messages[1], answer);
    assert_eq!(answer["info"]["parentID"], messages[0]["info"]["id"]);
    // It selects nothing, names nothing, and costs nothing.
    let info = server.get(&format!("/opencode/session/{session}")).await;
    assert_eq!(
        (&info["model"], &info["revision"], &info["title"]),
        (&Value::Null, &json!(1), &json!("test"))
    );
    assert!(!events.kinds().contains(&"session.model_changed"));
    server.stop().await;
}

#[tokio::test]
async fn the_agent_is_told_of_it_whether_it_is_new_or_knows_the_rest() {
    let server = pair(&["--models", "x,y"], "").await;
    let session = server.create().await;
    shell(&server, &session, "echo first-line").await;
    let history = server
        .prompt(&session, "history", model("mock", "mock"))
        .await;
    let told = text_of(&history);
    for text in [
        "[earlier conversation of this session]",
        "| echo first-line",
        "| first-line\n",
    ] {
        assert_eq!(told.matches(text).count(), 1, "{text:?} in {told}");
    }

    // An agent that is in the middle of the conversation gets what it has missed, and only that.
    shell(&server, &session, "echo second-line; exit 4").await;
    let told = server.say(&session, "history").await;
    assert!(told.contains("[what you missed in this session]"), "{told}");
    let missed = told
        .rsplit("[what you missed in this session]")
        .next()
        .unwrap();
    assert_eq!(missed.matches("| second-line").count(), 1, "{missed}");
    assert!(missed.contains("| (exit status 4)"), "{missed}");
    assert!(!missed.contains("first-line"), "{missed}");

    // And so does another one.
    server.select(&session, "second", "x").await;
    let told = server.say(&session, "history").await;
    assert!(told.starts_with("model: x\n"), "{told}");
    assert!(
        told.contains("| first-line\n") && told.contains("| second-line\n"),
        "{told}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_busy_session_refuses_a_command_and_prompts_wait_for_one() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let slow = server.prompt_later(&session, "slow 30", model("mock", "mock"));
    events.until("message.part.delta", |_| true).await;
    let path = format!("/opencode/session/{session}/shell");
    let (status, refused) = server
        .send(Method::POST, &path, Some(line("echo no")))
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(
        (&refused["_tag"], &refused["sessionID"]),
        (&json!("SessionBusyError"), &json!(session))
    );
    server.abort(&session).await;
    answered(slow).await;
    assert_eq!(
        server.messages(&session).await.len(),
        2,
        "a refused command leaves no trace"
    );

    let running = shell_later(
        &server,
        &session,
        "while [ ! -e go ]; do sleep 0.05; done; echo ran",
    );
    events
        .until("message.part.updated", |p| {
            p["part"]["state"]["status"] == "running"
        })
        .await;
    let (status, _) = server
        .send(Method::POST, &path, Some(line("echo no")))
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    let prompted = server.prompt_later(&session, "history", json!({}));
    events
        .until("message.updated", |p| p["info"]["role"] == "user")
        .await;
    std::fs::write(server.work().join("go"), "").unwrap();
    assert_eq!(answered(running).await.0, StatusCode::OK);
    let (_, answer) = answered(prompted).await;
    assert!(text_of(&answer).contains("| ran\n"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn an_abort_ends_the_whole_group_and_keeps_what_was_printed() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let running = shell_later(&server, &session, "sleep 600 & echo $!; wait");
    let shown = events
        .until("message.part.updated", |p| {
            p["part"]["state"]["metadata"]["output"].is_string()
        })
        .await;
    let child = pid_of(
        shown.properties["part"]["state"]["metadata"]["output"]
            .as_str()
            .unwrap(),
    );
    assert!(kill(child, None).is_ok());
    server.abort(&session).await;
    let (status, answer) = answered(running).await;
    assert_eq!(status, StatusCode::OK);
    let state = &answer["parts"][0]["state"];
    assert_eq!(state["status"], "completed");
    assert_eq!(state["output"], format!("{child}\n[ended by the user]"));
    until_gone(child).await;
    server.stop().await;
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended_and_its_output_is_bounded() {
    let config = "[timeouts]\nshell_s = 1\n[limits]\nshell_output_bytes = 1000\n".to_owned();
    let arguments = vec!["--agents".into(), "mock".into()];
    let server = Server::start_with(Options { config, arguments }).await;
    let session = server.create().await;
    let answer = shell(&server, &session, "sleep 600").await;
    let output = answer["parts"][0]["state"]["output"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(output.contains("timeouts.shell_s"), "{output}");

    let answer = shell(&server, &session, "yes | head -c 100000").await;
    let output = answer["parts"][0]["state"]["output"].as_str().unwrap();
    assert!(output.contains("\n[99000 bytes left out]\n"), "{output}");
    assert!(output.len() < 1100, "{}", output.len());
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_left_at_a_shutdown_or_after_a_kill() {
    let mut server = Server::start().await;
    let session = server.create().await;
    for ending in ["shutdown", "kill"] {
        let mut events = server.events().await;
        // The request ends with the server; what it was answered is of no interest.
        let _cut_off = shell_later(
            &server,
            &session,
            "trap '' TERM; echo $$; sleep 600; sleep 600",
        );
        let shown = events
            .until("message.part.updated", |p| {
                p["part"]["state"]["metadata"]["output"].is_string()
            })
            .await;
        let leader = pid_of(
            shown.properties["part"]["state"]["metadata"]["output"]
                .as_str()
                .unwrap(),
        );
        if ending == "shutdown" {
            server.terminate().await;
            assert!(kill(leader, None).is_err(), "it outlives the shutdown");
        } else {
            server.kill().await;
        }
        server.restart().await;
        until_gone(leader).await;

        let messages = server.messages(&session).await;
        let answer = messages.last().unwrap();
        assert_eq!(
            answer["info"]["error"]["name"], "MessageAbortedError",
            "{ending}: {answer}"
        );
        assert!(answer["info"]["time"]["completed"].is_u64());
        let state = &parts_of(answer, "tool")[0]["state"];
        let status = if ending == "shutdown" {
            "completed"
        } else {
            "error"
        };
        assert_eq!(state["status"], status, "{state}");
        let kept = state["metadata"]["output"].as_str().unwrap();
        assert!(kept.starts_with(&format!("{leader}\n")), "{kept}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let server = Server::start().await;
    let session = server.create().await;
    let path = format!("/opencode/session/{session}/shell");
    let unknown = json!({ "providerID": "mock", "modelID": "mokc" });
    for (body, word) in [
        (json!({ "command": "ls" }), "[\"agent\"]"),
        (json!({ "agent": "build" }), "[\"command\"]"),
        (json!({ "agent": "nope", "command": "touch x" }), "nope"),
        (
            json!({ "agent": "build", "command": "touch x", "model": unknown }),
            "mokc",
        ),
    ] {
        let (status, refused) = server.send(Method::POST, &path, Some(body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{refused}");
        let message = refused["data"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{message}");
    }
    let missing = "/opencode/session/ses_missing/shell";
    let (status, _) = server.send(Method::POST, missing, Some(line("ls"))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(server.messages(&session).await.is_empty());
    assert!(!server.work().join("x").exists());

    let body = json!({ "messageID": "msg_1", "agent": "build", "command": "echo one" });
    let answer = server.ok(Method::POST, &path, Some(body.clone())).await;
    assert_eq!(answer["info"]["parentID"], "msg_1");
    let (status, _) = server.send(Method::POST, &path, Some(body)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    server.stop().await;
}

#[tokio::test]
async fn a_directory_that_is_gone_is_an_error_of_the_command() {
    let server = Server::start().await;
    let gone = server.folder.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    let path = format!("/opencode/session?directory={}", gone.display());
    let session = server.ok(Method::POST, &path, Some(json!({}))).await;
    std::fs::remove_dir(&gone).unwrap();
    let answer = shell(&server, session["id"].as_str().unwrap(), "pwd").await;
    let state = &answer["parts"][0]["state"];
    assert_eq!(state["status"], "error", "{answer}");
    assert!(
        state["error"]
            .as_str()
            .unwrap()
            .contains("could not be started")
    );
    server.stop().await;
}
