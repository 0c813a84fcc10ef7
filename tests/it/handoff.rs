//! The conversation follows the session from one backend to another.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Events, Options, Server, answered, model, parts_of, text_of};

/// A server with the mock agent, and with another one under the name of `second`, which has these
/// further arguments; `config` is the rest of its table and of the config file.
pub(crate) async fn pair(arguments: &[&str], config: &str) -> Server {
    let mut command = vec![env!("CARGO_BIN_EXE_baton"), "mock-agent"];
    // Agents run in the server's working directory.
    command.extend(["--state-dir", "../second"]);
    command.extend(arguments);
    // The mock keeps its sessions apart.
    let shared = if config.contains("shared_process") {
        ""
    } else {
        "shared_process = true\n"
    };
    let config = format!("[agents.second]\ncommand = {command:?}\n{shared}{config}");
    let arguments = vec!["--agents".into(), "mock,second".into()];
    Server::start_with(Options { config, arguments }).await
}

/// The two models of the second agent.
const MODELS: [&str; 2] = ["--models", "x,y"];

/// The next confirmed switch.
pub(crate) async fn applied(events: &mut Events) -> Value {
    let applied = events.until("session.model_applied", |_| true).await;
    applied.properties
}

#[tokio::test]
async fn another_backend_gets_the_whole_conversation() {
    let server = pair(&MODELS, "").await;
    let session = server.create().await;
    let first = server
        .prompt(&session, "echo one", model("mock", "mock-fast"))
        .await;
    assert_eq!(first["info"]["providerID"], "mock");
    for text in ["tool notes.txt", "bash ls -l", "plan"] {
        server.prompt(&session, text, json!({})).await;
    }
    let mut events = server.events().await;
    server.select(&session, "second", "x").await;
    let told = applied(&mut events).await;
    assert_eq!(told["current"]["providerID"], "second");
    let transfer = &told["transfer"];
    assert_eq!(
        (
            &transfer["kind"],
            &transfer["messages"],
            &transfer["elided"]
        ),
        (&json!("transcript"), &json!(8), &json!(0))
    );

    let history = server.say(&session, "history").await;
    assert!(history.starts_with("model: x\n"), "{history}");
    for text in [
        "[user]\n| echo one\n",
        "[assistant mock/mock-fast]\n| one\n",
        "[tool edit, completed: Edit notes.txt]",
        "| edited by mock-fast",
        "[tool bash, completed]",
        "| mock output of: ls -l",
        "| in_progress: Change it",
        "[end of the earlier conversation; the user's new message follows]",
    ] {
        assert_eq!(history.matches(text).count(), 1, "{text:?} in {history}");
    }
    // What a model thought is nothing to another one. The user sees it still.
    assert!(!history.contains("I am going to edit"), "{history}");
    let messages = server.messages(&session).await;
    let thought = parts_of(&messages[3], "reasoning");
    assert_eq!(thought[0]["text"], "I am going to edit notes.txt.");
    let block = history.find("[earlier conversation of this session]");
    let end = history.find("[end of the earlier conversation");
    let bytes = end.unwrap() - block.unwrap();
    assert!(
        transfer["bytes"].as_u64() >= Some(bytes as u64),
        "{transfer}"
    );
    server.stop().await;
}

#[tokio::test]
async fn coming_back_hands_over_only_what_was_missed() {
    let server = pair(&MODELS, "").await;
    let session = server.create().await;
    server
        .prompt(&session, "echo alpha", model("mock", "mock"))
        .await;
    let native = server.say(&session, "session").await;
    let mut events = server.events().await;
    server.select(&session, "second", "y").await;
    assert_eq!(applied(&mut events).await["transfer"]["messages"], 4);
    assert_eq!(server.say(&session, "echo beta").await, "beta");
    server.prompt(&session, "tool b.txt", json!({})).await;

    server.select(&session, "mock", "mock-strong").await;
    let transfer = applied(&mut events).await["transfer"].clone();
    assert_eq!(
        (&transfer["kind"], &transfer["messages"]),
        (&json!("catch_up"), &json!(4))
    );
    let history = server.say(&session, "history").await;
    assert!(
        history.starts_with("model: mock-strong (medium)\n"),
        "{history}"
    );
    assert!(
        history.contains("[what you missed in this session]"),
        "{history}"
    );
    for text in ["user: echo alpha", "assistant [mock]: alpha"] {
        assert_eq!(history.matches(text).count(), 1, "{text} in {history}");
    }
    assert!(!history.contains("| echo alpha"), "{history}");
    for text in [
        "| echo beta",
        "[assistant second/y]\n| beta",
        "| edited b.txt",
    ] {
        assert_eq!(history.matches(text).count(), 1, "{text} in {history}");
    }
    assert_eq!(server.say(&session, "session").await, native);

    // A native session that has everything is told nothing.
    server.select(&session, "mock", "mock").await;
    assert_eq!(applied(&mut events).await["transfer"]["kind"], "native");
    server.select(&session, "second", "y").await;
    let transfer = applied(&mut events).await["transfer"].clone();
    assert_eq!(
        (&transfer["kind"], &transfer["messages"]),
        (&json!("catch_up"), &json!(4))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_message_can_carry_the_conversation_over_by_itself() {
    let server = pair(&MODELS, "").await;
    let session = server.create().await;
    let mut events = server.events().await;
    for (text, provider, id) in [
        ("echo one", "mock", "mock"),
        ("echo two", "second", "x"),
        ("echo three", "mock", "mock-fast"),
    ] {
        let answer = server.prompt(&session, text, model(provider, id)).await;
        assert_eq!(answer["info"]["providerID"], provider);
        assert_eq!(answer["info"]["modelID"], id);
    }
    let mut transfers = Vec::new();
    for _ in 0..3 {
        let transfer = applied(&mut events).await["transfer"].clone();
        transfers.push((transfer["kind"].clone(), transfer["messages"].clone()));
    }
    let expected = [("none", 0), ("transcript", 2), ("catch_up", 2)];
    assert_eq!(
        transfers,
        expected.map(|(kind, count)| (json!(kind), json!(count)))
    );
    // A permission that was given to one backend is none for another.
    let waiting = server.prompt_later(&session, "permission make", json!({}));
    let asked = events.until("permission.asked", |_| true).await.properties;
    let path = format!(
        "/opencode/permission/{}/reply",
        asked["id"].as_str().unwrap()
    );
    server
        .ok(Method::POST, &path, Some(json!({ "reply": "always" })))
        .await;
    answered(waiting).await;
    let waiting = server.prompt_later(&session, "permission make", model("second", "x"));
    let asked = events.until("permission.asked", |_| true).await.properties;
    let path = format!(
        "/opencode/permission/{}/reply",
        asked["id"].as_str().unwrap()
    );
    server
        .ok(Method::POST, &path, Some(json!({ "reply": "reject" })))
        .await;
    assert_eq!(text_of(&answered(waiting).await.1), "permission rejected");
    server.stop().await;
}

#[tokio::test]
async fn what_is_too_large_is_left_out_and_said_so() {
    let limits = "[limits]\ntranscript_bytes = 20000\n";
    let server = pair(&MODELS, limits).await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let answer = server.prompt(&session, "read 100", json!({})).await;
    let whole = &parts_of(&answer, "tool")[0]["state"]["output"];
    assert_eq!(whole.as_str().unwrap().len(), 100 * 1024);
    let mut events = server.events().await;
    server.select(&session, "second", "x").await;
    let transfer = applied(&mut events).await["transfer"].clone();
    assert_eq!(
        (&transfer["kind"], &transfer["messages"]),
        (&json!("transcript"), &json!(4))
    );
    assert!(transfer["elided"].as_u64() > Some(0), "{transfer}");
    assert!(transfer["bytes"].as_u64() <= Some(20_000), "{transfer}");
    let lines = crate::notice::notices(&server, &session).await;
    let told = lines[0].contains("\nBaton: ")
        && lines[0].contains(" is not given all of this conversation: ");
    assert!(told && lines.len() == 1, "{lines:?}");
    let history = server.say(&session, "history").await;
    assert!(
        history.contains(" bytes of the result left out]\n"),
        "{history}"
    );
    assert!(
        history.contains("| echo one") && history.contains("| read 100 KB"),
        "{history}"
    );
    assert!(history.len() < 20_500, "{}", history.len());
    // The stored transcript has all of it still.
    assert_eq!(server.messages(&session).await[3], answer);
    server.stop().await;
}

#[tokio::test]
async fn a_small_context_gets_a_small_handoff() {
    let arguments = ["--models", "x,y", "--context", "8000"];
    let server = pair(&arguments, "").await;
    let (session, other) = (server.create().await, server.create().await);
    // The agent reports the size of its context with its first answer.
    server
        .prompt(&other, "echo warm", model("second", "x"))
        .await;
    for text in ["echo one", "read 12", "read 13", "echo two"] {
        server.prompt(&session, text, model("mock", "mock")).await;
    }
    let mut events = server.events().await;
    server.select(&session, "second", "x").await;
    let transfer = applied(&mut events).await["transfer"].clone();
    assert_eq!(transfer["kind"], "transcript");
    assert!(transfer["elided"].as_u64() >= Some(2), "{transfer}");
    // Half of 8,000 tokens of 3 bytes.
    assert!(transfer["bytes"].as_u64() <= Some(12_000), "{transfer}");
    let history = server.say(&session, "history").await;
    assert!(history.contains("left out]\n"), "{history}");
    assert!(history.contains("| echo two"), "{history}");
    server.stop().await;
}
