//! Notifications and lines for UIs that know no event of a switch.

use serde_json::{Value, json};

use crate::harness::{Events, Server, model};
use crate::notice::notices;
use crate::scripted::{IMPATIENT, scripted, set_faults, talking, try_select};

/// The next notification, as OpenCode's UIs read it.
async fn toast(events: &mut Events) -> (String, String) {
    let toast = events.until("tui.toast.show", |_| true).await.properties;
    let fields: Vec<_> = toast.as_object().unwrap().keys().cloned().collect();
    let all = ["title", "message", "variant", "duration"];
    assert!(fields.iter().all(|f| all.contains(&f.as_str())), "{toast}");
    assert!(toast["duration"].as_u64() > Some(0), "{toast}");
    assert_eq!(toast["title"], "test");
    let text = |name: &str| toast[name].as_str().unwrap().to_owned();
    (text("variant"), text("message"))
}

#[tokio::test]
async fn a_patch_is_shown_and_a_messages_own_model_is_not() {
    let server = Server::start().await;
    let session = talking(&server, "mock", "mock").await;
    let mut events = server.events().await;
    server
        .prompt(&session, "echo two", model("mock", "mock-strong"))
        .await;
    server.select(&session, "mock", "mock-fast").await;
    let info = |message: &str| ("info".to_owned(), message.to_owned());
    assert_eq!(
        toast(&mut events).await,
        info("Model: Mock Strong (Mock) → Mock Fast (Mock)")
    );
    // During a turn it is shown at once, and not again when the agent has followed.
    server.prompt_async(&session, "slow 3", json!({})).await;
    events.until("message.part.delta", |_| true).await;
    for id in ["mock", "mock-strong"] {
        let wish = json!({ "providerID": "mock", "modelID": id });
        server.patch(&session, wish).await;
    }
    assert_eq!(
        toast(&mut events).await,
        info("Model: Mock Fast (Mock) → Mock (Mock), from the next prompt on")
    );
    assert_eq!(
        toast(&mut events).await,
        info("Model: Mock Fast (Mock) → Mock Strong (Mock)")
    );
    let idle = events.of("session.idle").len();
    assert!(
        idle >= 2,
        "the last one is told when the agent has followed"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_failed_switch_is_shown_and_is_in_the_conversation() {
    let server = scripted(&["second"], IMPATIENT).await;
    let session = talking(&server, "mock", "mock-fast").await;
    set_faults(&server, "--fault set-model-error");
    let mut events = server.events().await;
    for _ in 0..2 {
        try_select(&server, &session, "y").await;
        let (variant, message) = toast(&mut events).await;
        assert_eq!(variant, "error");
        assert!(
            message.starts_with("Switch to ") && message.contains(" failed: "),
            "{message}"
        );
        let end = "Still on Mock Fast (Mock); your prompt was not sent to another model.";
        assert!(message.ends_with(end), "{message}");
        // However often it fails, there is one line between two prompts.
        assert_eq!(
            notices(&server, &session).await,
            [format!("Baton: {message}")]
        );
    }
    let last = server.messages(&session).await.pop().unwrap();
    assert_eq!(
        last["info"]["model"]["modelID"], "mock-fast",
        "what pickers take"
    );
    let heard = server.say(&session, "history").await;
    assert!(!heard.contains("Switch to"), "{heard}");

    // A switch that succeeds after it has the line to itself.
    try_select(&server, &session, "y").await;
    server.select(&session, "mock", "mock-strong").await;
    let lines = notices(&server, &session).await;
    assert_eq!(lines[1..], ["Model: Mock Fast (Mock) → Mock Strong (Mock)"]);
    server.stop().await;
}

#[tokio::test]
async fn a_prompt_that_waited_for_a_failed_switch_is_announced() {
    let server = scripted(&["second"], IMPATIENT).await;
    let session = talking(&server, "mock", "mock-fast").await;
    set_faults(&server, "--fault set-model-error");
    let answer = server
        .prompt(&session, "echo lost", model("second", "y"))
        .await;
    assert_ne!(answer["info"]["error"], Value::Null);
    let mut lines = notices(&server, &session).await;
    let line = lines.pop().unwrap();
    assert!(
        line.contains("Baton: Switch to ") && line.contains("Still on Mock Fast (Mock)"),
        "{line}"
    );
    assert_eq!(lines.len(), 0);
    server.stop().await;
}
