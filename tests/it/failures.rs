//! Agents that die, never answer, flood, or end a turn in silence; and a log that cannot be written.

use std::fs::File;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::handoff::pair;
use crate::harness::{Log, Options, Server, answered, model, text_of};
use crate::notice::notices;
use crate::scripted::{
    IMPATIENT, kill_agent, message_of, scripted, set_faults, talking, try_select,
};

#[tokio::test]
async fn an_agent_may_die_at_any_request() {
    for n in 1..=6 {
        let server = scripted(&["second"], IMPATIENT).await;
        let session = talking(&server, "mock", "mock").await;
        set_faults(&server, &format!("--die-on-request {n}"));
        let answer = server
            .prompt(&session, "echo two", model("second", "y"))
            .await;
        let error = &answer["info"]["error"];
        if error.is_null() {
            assert_eq!(text_of(&answer), "two", "{n}");
        } else {
            let message = message_of(error);
            assert!(
                message.contains("second") && message.contains("70"),
                "{n}: {message}"
            );
            assert_eq!(text_of(&answer), "", "{n}");
        }
        // initialize, session/new, the model, the prompt.
        assert_eq!(error.is_null(), n > 4, "{n}: {error}");
        set_faults(&server, "");
        let (status, patched) = try_select(&server, &session, "z").await;
        assert_eq!(status, StatusCode::OK, "{n}: {patched}");
        let history = server.say(&session, "history").await;
        assert!(history.starts_with("model: z\n"), "{n}: {history}");
        assert!(history.contains("| echo one"), "{n}: {history}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_switch_that_is_never_answered_fails_and_can_be_tried_again() {
    for method in ["initialize", "session/new", "session/set_config_option"] {
        let server = scripted(&["second"], IMPATIENT).await;
        let session = talking(&server, "mock", "mock-fast").await;
        set_faults(&server, &format!("--never-answer {method}"));
        let mut events = server.events().await;
        let (status, error) = try_select(&server, &session, "y").await;
        assert_eq!(
            (status, &error["name"]),
            (StatusCode::BAD_GATEWAY, &json!("ModelNotAppliedError")),
            "{method}: {error}"
        );
        let message = message_of(&error);
        assert!(
            message.contains(method) && message.contains("second"),
            "{message}"
        );
        let failed = events.until("session.model_failed", |_| true).await;
        assert_eq!(failed.properties["error"]["data"]["message"], message);
        let back = events.until("session.model_changed", |_| true).await;
        assert_eq!(back.properties["source"], "revert");
        assert_eq!(server.say(&session, "model").await, "mock-fast");
        let lines = notices(&server, &session).await;
        let told = |l: &String| l.starts_with("Baton: Switch to ") && l.contains(method);
        assert!(lines.len() == 1 && lines.iter().all(told), "{lines:?}");
        // A prompt for it fails in the same way.
        let answer = server
            .prompt(&session, "echo two", model("second", "y"))
            .await;
        let message = message_of(&answer["info"]["error"]);
        assert!(message.contains(method), "{message}");

        set_faults(&server, "");
        let (status, patched) = try_select(&server, &session, "y").await;
        assert_eq!(status, StatusCode::OK, "{method}: {patched}");
        assert_eq!(server.say(&session, "model").await, "y", "{method}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_resume_that_is_never_answered_is_made_up_for() {
    let server = scripted(&["second"], IMPATIENT).await;
    let session = talking(&server, "second", "y").await;
    set_faults(&server, "--never-answer session/resume");
    kill_agent(&server, &session).await;
    let history = server.say(&session, "history").await;
    assert!(history.starts_with("model: y\n"), "{history}");
    assert!(history.contains("echo one"), "{history}");
    server.stop().await;
}

#[tokio::test]
async fn a_prompt_that_is_never_answered_can_be_aborted() {
    let server = scripted(&["second"], IMPATIENT).await;
    let session = talking(&server, "mock", "mock").await;
    set_faults(&server, "--never-answer session/prompt");
    server.select(&session, "second", "y").await;
    let mut events = server.events().await;
    let waiting = server.prompt_later(&session, "echo two", json!({}));
    events
        .until("message.updated", |p| p["info"]["role"] == "assistant")
        .await;
    server.abort(&session).await;
    let (status, answer) = answered(waiting).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        answer["info"]["error"]["name"], "MessageAbortedError",
        "{answer}"
    );
    // The agent that hangs is given up.
    set_faults(&server, "");
    let history = server.say(&session, "history").await;
    assert!(history.starts_with("model: y\n"), "{history}");
    assert!(history.contains("| echo one"), "{history}");
    server.stop().await;
}

#[tokio::test]
async fn an_agent_that_answers_nothing_blocks_no_one() {
    let arguments = ["--models", "x", "--fault", "never-answers"];
    let server = pair(&arguments, IMPATIENT).await;
    let session = talking(&server, "mock", "mock").await;
    let (status, error) = try_select(&server, &session, "x").await;
    assert_eq!(
        (status, &error["name"]),
        (StatusCode::BAD_REQUEST, &json!("ProviderNotConnectedError")),
        "{error}"
    );
    assert!(message_of(&error).contains("initialize"), "{error}");
    assert_eq!(server.say(&session, "model").await, "mock");
    server.stop().await;
}

#[tokio::test]
async fn a_flood_does_not_drown_another_session() {
    let server = pair(&["--models", "x,y", "--fault", "floods"], "").await;
    let (wet, dry) = (
        talking(&server, "second", "x").await,
        talking(&server, "second", "y").await,
    );
    let flood = server.prompt_later(&wet, "flood", json!({}));
    let mut events = server.events().await;
    events
        .until("message.part.delta", |p| p["sessionID"] == wet.as_str())
        .await;
    drop(events);
    assert_eq!(server.say(&dry, "echo breath").await, "breath");
    assert_eq!(server.say(&dry, "model").await, "y");
    let (status, answer) = answered(flood).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["info"]["error"], Value::Null);
    let kept = server.messages(&wet).await;
    assert_eq!(text_of(&kept[3]), text_of(&answer));
    assert_eq!(text_of(&answer), ".".repeat(100_000), "nothing is lost");
    assert_eq!(server.say(&wet, "echo after").await, "after");
    server.stop().await;
}

#[tokio::test]
async fn noise_between_the_messages_is_skipped() {
    let server = pair(&["--models", "x,y", "--fault", "noise"], "").await;
    let session = talking(&server, "second", "x").await;
    server.select(&session, "second", "y").await;
    assert_eq!(server.say(&session, "model").await, "y");
    let (_, answer) = server.try_prompt(&session, "bash ls", json!({})).await;
    assert_eq!(answer["info"]["error"], Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn what_an_agent_said_on_stderr_stays_in_the_log() {
    let server = pair(&["--models", "x", "--fault", "stderr-noise"], "").await;
    let session = talking(&server, "second", "x").await;
    let answer = server.prompt(&session, "crash", json!({})).await;
    let message = message_of(&answer["info"]["error"]);
    assert!(message.contains("exit status: 70"), "{message}");
    assert_eq!(server.say(&session, "echo two").await, "two");
    server.select(&session, "mock", "mock").await;
    let history = server.say(&session, "history").await;
    let all = json!([server.messages(&session).await, history]).to_string();
    assert!(
        all.contains("the answer failed before it was complete"),
        "{all}"
    );
    // What that agent writes there.
    assert!(!all.contains("the noise that agents make"), "{all}");
    server.stop().await;
}

#[tokio::test]
async fn the_list_of_agents_shows_what_one_that_does_not_start_has_said() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("baton.toml");
    let script = "echo a reason >&2; exit 1";
    let text = format!("[agents.dies]\ncommand = [\"sh\", \"-c\", \"{script}\"]\n");
    std::fs::write(&config, text).unwrap();
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_baton"))
        .args(["agents", "--agents", "dies", "--config"])
        .arg(&config)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("stderr ends with: a reason"), "{said}");
}

#[tokio::test]
async fn a_turn_that_ends_in_silence_is_an_error() {
    let server = pair(&["--models", "x", "--fault", "silent-end-turn"], "").await;
    let session = talking(&server, "mock", "mock").await;
    let answer = server
        .prompt(&session, "echo two", model("second", "x"))
        .await;
    let error = &answer["info"]["error"];
    assert_eq!(error["name"], "APIError", "{answer}");
    assert!(message_of(error).contains("without an answer"), "{error}");
    server.select(&session, "mock", "mock").await;
    assert_eq!(server.say(&session, "echo three").await, "three");
    server.stop().await;
}

#[tokio::test]
async fn an_agent_that_is_not_signed_in_says_what_to_do() {
    let server = pair(&["--models", "x", "--fault", "auth-required"], "").await;
    let session = talking(&server, "mock", "mock").await;
    let (status, error) = try_select(&server, &session, "x").await;
    assert_eq!(
        (status, &error["name"]),
        (StatusCode::BAD_REQUEST, &json!("ProviderNotConnectedError"))
    );
    let message = message_of(&error);
    assert!(message.contains("\"second\" is not signed in"), "{message}");
    assert!(
        message.contains("sign in") && message.contains("Mock login"),
        "{message}"
    );
    server.stop().await;

    // It was signed in when it was probed, and is not any more.
    let server = scripted(&["second"], "").await;
    let session = talking(&server, "mock", "mock").await;
    set_faults(&server, "--fault auth-required");
    let answer = server
        .prompt(&session, "echo two", model("second", "x"))
        .await;
    let error = &answer["info"]["error"];
    assert_eq!(error["name"], "ProviderAuthError", "{answer}");
    assert_eq!(error["data"]["providerID"], "second");
    assert!(message_of(error).contains("sign in"), "{error}");
    assert_eq!(server.say(&session, "model").await, "mock");
    server.stop().await;
}

#[tokio::test]
async fn a_log_that_cannot_be_written_disturbs_nothing() {
    let full = File::options().write(true).open("/dev/full");
    let options = Options {
        arguments: vec!["--agents".into(), "mock".into()],
        ..Options::default()
    };
    let server = Server::start_logging(options, Log::EverythingTo(full.unwrap())).await;
    let session = server.create().await;
    // Starting, talking to, switching and losing an agent are all logged.
    assert_eq!(server.say(&session, "echo one").await, "one");
    server.select(&session, "mock", "mock-fast").await;
    server.prompt(&session, "crash", json!({})).await;
    assert_eq!(server.say(&session, "echo two").await, "two");
    let (status, _) = server.send(Method::GET, "/opencode/none", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    server.stop().await;
}
