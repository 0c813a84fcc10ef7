//! Native sessions that are not what they were: empty, another one's, with another model; and what they cost.

use serde_json::json;

use crate::handoff::pair;
use crate::harness::{model, text_of};
use crate::quirks::server_with;
use crate::scripted::{kill_agent, talking};

/// A text of every prompt that hands a conversation over.
const HANDED_OVER: &str = "[earlier conversation of this session]";

#[tokio::test]
async fn a_native_session_that_is_opened_again_and_empty_is_replaced() {
    for without in ["resume", "usage"] {
        let arguments = [
            "--models",
            "x,y",
            "--without",
            without,
            "--fault",
            "reopens-empty",
        ];
        let server = pair(&arguments, "").await;
        let session = talking(&server, "second", "x").await;
        kill_agent(&server, &session).await;
        let history = server.say(&session, "history").await;
        assert!(
            history.contains(HANDED_OVER),
            "without {without}: {history}"
        );
        assert!(
            history.contains("| echo one"),
            "without {without}: {history}"
        );
        // A switch says by which way, and it is the way that it was.
        kill_agent(&server, &session).await;
        server.select(&session, "second", "y").await;
        let path = format!("/opencode/session/{session}/model");
        let trail = server.get(&path).await;
        let last = trail["switches"].as_array().unwrap().last().unwrap();
        assert_eq!(last["transfer"]["kind"], "transcript", "{last}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_model_of_the_launch_is_the_one_that_answers() {
    let arguments = [
        "--without",
        "model-choice",
        "--model",
        "{model}",
        "--fault",
        "reopens-own-model",
    ];
    let server = pair(&arguments, "models = [\"x\", \"y\"]\n").await;
    let session = talking(&server, "second", "x").await;
    for wanted in ["y", "x", "y"] {
        server.select(&session, "second", wanted).await;
        let answer = server.prompt(&session, "model", json!({})).await;
        assert_eq!(text_of(&answer), wanted);
        assert_eq!(answer["info"]["modelID"], wanted);
        let history = server.say(&session, "history").await;
        assert!(history.contains("echo one"), "{history}");
    }
    // The same model in another process goes on with its native session.
    let native = server.say(&session, "session").await;
    kill_agent(&server, &session).await;
    assert_eq!(server.say(&session, "model").await, "y");
    assert_eq!(server.say(&session, "session").await, native);
    server.stop().await;
}

#[tokio::test]
async fn what_a_native_session_has_cost_is_counted_once() {
    let server = pair(&["--models", "x,y"], "").await;
    let session = talking(&server, "second", "x").await;
    server.say(&session, "big 40").await;
    let cost = async |text: &str| {
        let answer = server.prompt(&session, text, json!({})).await;
        answer["info"]["cost"].as_f64().unwrap()
    };
    let whole = async || {
        let path = format!("/opencode/session/{session}");
        server.get(&path).await["cost"].as_f64().unwrap()
    };
    let before = cost("echo a").await;
    kill_agent(&server, &session).await;
    server.select(&session, "second", "y").await;
    let sum = whole().await;
    let after = cost("echo b").await;
    assert!(
        after > 0.0 && after < before * 10.0 + 0.001,
        "{before}, then {after}"
    );
    assert!(sum > after * 100.0, "{sum} of {after}");
    let sum = whole().await - sum;
    assert!((sum - after).abs() < 1e-9, "{sum} and {after}");
    server.stop().await;
}

#[tokio::test]
async fn a_native_session_of_another_session_is_refused() {
    for (shared, without) in [
        ("shared_process = true\n", "usage"),
        ("shared_process = false\n", "usage"),
        // Nothing is opened again, but the two are in one process.
        ("shared_process = true\n", "resume,load"),
    ] {
        let arguments = [
            "--models",
            "x",
            "--fault",
            "id-by-directory",
            "--without",
            without,
        ];
        let server = pair(&arguments, shared).await;
        let first = talking(&server, "second", "x").await;
        let second = server.create().await;
        let answer = server
            .prompt(&second, "history", model("second", "x"))
            .await;
        let error = answer["info"]["error"]["data"]["message"].as_str().unwrap();
        assert!(
            error.contains("another session") || error.contains(&first),
            "{error}"
        );
        assert_eq!(text_of(&answer), "");
        // The first one is as it was.
        let history = server.say(&first, "history").await;
        assert!(!history.contains("user: history"), "{history}");
        assert!(history.contains("user: echo one"), "{history}");
        server.stop().await;
    }
}

#[tokio::test]
async fn an_agent_that_nothing_is_known_of_serves_one_session_per_process() {
    for (shared, processes) in [("", 2), ("shared_process = true\n", 1)] {
        let server = server_with(&[], shared).await;
        let first = talking(&server, "odd", "mock").await;
        let second = talking(&server, "odd", "mock-fast").await;
        let pids = [
            server.say(&first, "pid").await,
            server.say(&second, "pid").await,
        ];
        let distinct = std::collections::BTreeSet::from(pids);
        assert_eq!(distinct.len(), processes, "{shared}");
        server.stop().await;
    }
}

#[tokio::test]
async fn what_an_agent_says_before_its_first_prompt_is_not_an_answer() {
    let server = pair(&["--models", "x", "--fault", "speaks-first"], "").await;
    for _ in 0..3 {
        // Whether it has come before the prompt is sent, or is on its way.
        talking(&server, "second", "x").await;
    }
    server.stop().await;
}
