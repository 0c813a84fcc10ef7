//! What becomes of a session when its agent dies, forgets, refuses or changes its mind.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::handoff::{applied, pair};
use crate::harness::{Options, PATIENCE, Server, model, text_of};

/// Ends the agent of a session as `kill -9` does, and returns its process id.
async fn kill_agent(server: &Server, session: &str) -> String {
    let pid = server.say(session, "pid").await;
    kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
    pid
}

#[tokio::test]
async fn a_killed_agent_is_resumed_or_loaded_or_told_everything() {
    for (without, kind) in [
        ("usage", "resume"),
        ("resume", "load"),
        ("resume,load", "transcript"),
    ] {
        let arguments = ["--models", "x,y-strong", "--without", without];
        let server = pair(&arguments, "").await;
        let session = server.create().await;
        server
            .prompt(&session, "echo one", model("second", "y-strong"))
            .await;
        let native = server.say(&session, "session").await;
        // The next prompt finds another process, with the model that was selected.
        let pid = kill_agent(&server, &session).await;
        let history = server.say(&session, "history").await;
        assert!(
            history.starts_with("model: y-strong (medium)\n"),
            "{kind}: {history}"
        );
        assert!(history.contains("echo one"), "{kind}: {history}");
        assert_ne!(server.say(&session, "pid").await, pid, "{kind}");
        let kept = server.say(&session, "session").await == native;
        assert_eq!(kept, kind != "transcript", "{kind}");
        let told = history.contains("[earlier conversation of this session]");
        assert_eq!(told, kind == "transcript", "{kind}: {history}");

        // So does a switch, which says by which way.
        let mut events = server.events().await;
        kill_agent(&server, &session).await;
        let messages = server.messages(&session).await.len();
        server.select(&session, "second", "x").await;
        let transfer = applied(&mut events).await["transfer"].clone();
        assert_eq!(transfer["kind"], kind, "{transfer}");
        let expected = if kind == "transcript" { messages } else { 0 };
        assert_eq!(transfer["messages"], expected, "{kind}");
        assert_eq!(server.say(&session, "model").await, "x", "{kind}");
        server.stop().await;
    }
}

#[tokio::test]
async fn an_agent_that_has_lost_its_session_is_told_everything() {
    let baton = env!("CARGO_BIN_EXE_baton");
    // It says that it can resume and load, and keeps nothing.
    let config = format!("[agents.second]\ncommand = [{baton:?}, \"mock-agent\"]\n");
    let arguments = vec!["--agents".into(), "second".into()];
    let server = Server::start_with(Options { config, arguments }).await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("second", "mock-fast"))
        .await;
    kill_agent(&server, &session).await;
    let history = server.say(&session, "history").await;
    assert!(history.starts_with("model: mock-fast\n"), "{history}");
    assert!(history.contains("[user]\n| echo one\n"), "{history}");
    server.stop().await;
}

#[tokio::test]
async fn a_switch_that_fails_is_taken_back() {
    let arguments = ["--models", "x,y", "--fault", "set-model-error"];
    let server = pair(&arguments, "").await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock-strong"))
        .await;
    let path = format!("/opencode/session/{session}");
    let mut events = server.events().await;
    let wish = json!({ "providerID": "second", "modelID": "y" });
    let (status, error) = server
        .send(
            Method::PATCH,
            &format!("{path}?wait=true"),
            Some(wish.clone()),
        )
        .await;
    assert_eq!(
        (status, &error["name"]),
        (StatusCode::BAD_GATEWAY, &json!("ModelNotAppliedError"))
    );
    let message = error["data"]["message"].as_str().unwrap();
    assert!(
        message.contains("second") && message.contains("\"y\""),
        "{message}"
    );
    let failed = events
        .until("session.model_failed", |_| true)
        .await
        .properties;
    assert_eq!(failed["current"]["modelID"], "y");
    assert_eq!(failed["error"]["data"]["message"], message);
    let back = events
        .until("session.model_changed", |_| true)
        .await
        .properties;
    assert_eq!(back["source"], "revert");
    assert_eq!(back["previous"]["providerID"], "second");
    assert_eq!(
        (&back["current"]["providerID"], &back["current"]["modelID"]),
        (&json!("mock"), &json!("mock-strong"))
    );
    assert_eq!(
        back["revision"].as_u64(),
        failed["revision"].as_u64().map(|r| r + 1)
    );
    let session_now = server.get(&path).await;
    assert_eq!(
        session_now["model"],
        json!({ "id": "mock-strong", "providerID": "mock", "variant": "default" })
    );

    // A prompt for it fails, whether it brings the model or waits for it; the old model never gets it.
    let said = |all: Vec<Value>| {
        all.iter()
            .filter(|m| m["parts"][0]["ignored"] != true)
            .count()
    };
    let before = said(server.messages(&session).await);
    let own = server
        .prompt(&session, "echo lost", model("second", "y"))
        .await;
    let (status, _) = server.patch(&session, wish).await;
    assert_eq!(status, StatusCode::OK);
    let waiting = server.prompt(&session, "echo lost", json!({})).await;
    for answer in [own, waiting] {
        let info = &answer["info"];
        assert_eq!(
            (&info["providerID"], &info["modelID"]),
            (&json!("second"), &json!("y"))
        );
        assert_eq!(info["error"]["name"], "APIError", "{answer}");
        assert_eq!(text_of(&answer), "");
    }
    // There are also the lines about going back.
    assert_eq!(said(server.messages(&session).await), before + 4);
    let history = server.say(&session, "history").await;
    assert!(
        history.starts_with("model: mock-strong (medium)\n"),
        "{history}"
    );
    assert!(!history.contains("user: echo lost"), "{history}");
    assert!(!history.contains("]: lost"), "{history}");
    // But it is part of the conversation, with the reason why it was not answered.
    assert_eq!(history.matches("| echo lost").count(), 2, "{history}");

    // The model at launch needs no switch.
    server.select(&session, "second", "x").await;
    assert_eq!(server.say(&session, "model").await, "x");
    server.stop().await;
}

#[tokio::test]
async fn an_agent_that_ignores_a_switch_is_found_out() {
    let arguments = ["--models", "x,y", "--fault", "reports-other-model"];
    let server = pair(&arguments, "").await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("second", "x"))
        .await;
    let path = format!("/opencode/session/{session}?wait=true");
    let wish = json!({ "providerID": "second", "modelID": "y" });
    let (status, error) = server.send(Method::PATCH, &path, Some(wish)).await;
    assert_eq!(
        (status, &error["name"]),
        (StatusCode::BAD_GATEWAY, &json!("ModelNotAppliedError"))
    );
    let message = error["data"]["message"].as_str().unwrap();
    assert!(
        message.contains("has accepted model \"y\" and stayed with \"x\""),
        "{message}"
    );
    assert_eq!(server.say(&session, "model").await, "x");
    server.stop().await;
}

#[tokio::test]
async fn an_agent_may_change_its_own_model() {
    let server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let mut events = server.events().await;
    let answer = server.prompt(&session, "switch mock-fast", json!({})).await;
    assert_eq!(text_of(&answer), "switched myself to mock-fast");
    assert_eq!(
        answer["info"]["modelID"], "mock",
        "a turn keeps the model that it began with"
    );
    let changed = events
        .until("session.model_changed", |_| true)
        .await
        .properties;
    assert_eq!(changed["source"], "agent");
    assert_eq!(changed["previous"]["modelID"], "mock");
    assert_eq!(changed["current"]["modelID"], "mock-fast");
    let told = applied(&mut events).await;
    assert_eq!(told["revision"], changed["revision"]);
    let now = server.get(&format!("/opencode/session/{session}")).await;
    assert_eq!(now["model"]["id"], "mock-fast");
    assert_eq!(
        (&now["runtime"]["pending"], &now["revision"]),
        (&Value::Null, &changed["revision"])
    );
    let answer = server.prompt(&session, "model", json!({})).await;
    assert_eq!(text_of(&answer), "mock-fast");
    assert_eq!(answer["info"]["modelID"], "mock-fast");
    server.stop().await;
}

#[tokio::test]
async fn an_agent_that_cannot_switch_is_restarted_with_the_model() {
    let arguments = ["--without", "model-choice", "--model", "{model}"];
    let server = pair(&arguments, "models = [\"x\", \"y\"]\n").await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("second", "x"))
        .await;
    let old: u32 = server.say(&session, "pid").await.parse().unwrap();
    let mut events = server.events().await;
    server.select(&session, "second", "y").await;
    let told = applied(&mut events).await;
    // Its native session may continue with the model that it was made with, unnoticed.
    assert_eq!(told["transfer"]["kind"], "transcript");
    assert_eq!(server.say(&session, "model").await, "y");
    let history = server.say(&session, "history").await;
    assert!(history.contains("| echo one"), "{history}");
    let new: u32 = server.say(&session, "pid").await.parse().unwrap();
    assert_ne!(new, old);
    let gone = async {
        while server.processes().contains(&old) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let gone = tokio::time::timeout(PATIENCE, gone).await;
    gone.expect("the process of the model that nobody uses ends");
    server.stop().await;
}
