//! Compaction: a model summarises the conversation, and agents continue from the summary.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::handoff::pair;
use crate::harness::{Events, Server, answered, model, parts_of, text_of};

/// What the mock agent answers to what it does not understand, as it does the wish for a summary.
const SUMMARY: &str = "You said: Write a summary of the conversation above";

async fn summarize(
    server: &Server,
    session: &str,
    provider: &str,
    id: &str,
) -> (StatusCode, Value) {
    let path = format!("/opencode/session/{session}/summarize");
    let body = json!({ "providerID": provider, "modelID": id });
    server.send(Method::POST, &path, Some(body)).await
}

async fn native_session(server: &Server, session: &str) -> String {
    server.say(session, "session").await
}

async fn compacting(events: &mut Events) -> u64 {
    let event = events
        .until("session.updated", |p| {
            p["info"]["time"]["compacting"].is_u64()
        })
        .await;
    event.properties["info"]["time"]["compacting"]
        .as_u64()
        .unwrap()
}

#[tokio::test]
async fn agents_go_on_from_the_summary_in_a_new_native_session() {
    let server = pair(&["--models", "x,y"], "").await;
    let session = server.create().await;
    server
        .prompt(&session, "echo alpha", model("mock", "mock-fast"))
        .await;
    server.select(&session, "second", "x").await;
    server.prompt(&session, "echo beta", json!({})).await;
    server.select(&session, "mock", "mock-fast").await;
    let before = native_session(&server, &session).await;
    let info = server.get(&format!("/opencode/session/{session}")).await;
    let messages = server.messages(&session).await;

    let mut events = server.events().await;
    assert_eq!(
        summarize(&server, &session, "second", "y").await,
        (StatusCode::OK, json!(true))
    );
    compacting(&mut events).await;
    events
        .until("session.compacted", |p| p["sessionID"] == *session)
        .await;
    let idle = events.until("session.updated", |_| true).await;
    assert_eq!(idle.properties["info"]["time"]["compacting"], Value::Null);

    // What was said before is there for people, and the summary below it.
    let now = server.messages(&session).await;
    assert_eq!(now[..messages.len()], messages);
    let [wish, summary] = &now[messages.len()..] else {
        panic!("{now:#?}")
    };
    assert_eq!(parts_of(wish, "compaction")[0]["auto"], false);
    assert_eq!(
        wish["info"]["model"],
        json!({ "providerID": "mock", "modelID": "mock-fast" })
    );
    for (field, value) in [
        ("summary", json!(true)),
        ("mode", json!("compaction")),
        ("agent", json!("compaction")),
        ("providerID", json!("second")),
        ("modelID", json!("y")),
        ("parentID", wish["info"]["id"].clone()),
    ] {
        assert_eq!(summary["info"][field], value, "{field}");
    }
    assert!(text_of(summary).contains(SUMMARY), "{summary}");

    // The selection stays, and so does its revision.
    let after = server.get(&format!("/opencode/session/{session}")).await;
    assert_eq!(
        (&after["model"], &after["revision"]),
        (&info["model"], &info["revision"])
    );
    assert!(!events.kinds().contains(&"session.model_changed"));

    // Both agents begin anew: with the summary, and with what came after it.
    server.prompt(&session, "echo gamma", json!({})).await;
    let told = server.say(&session, "history").await;
    assert!(told.starts_with("model: mock-fast\n"), "{told}");
    assert_eq!(told.matches(SUMMARY).count(), 1, "{told}");
    assert!(told.contains("[note: this is a summary"), "{told}");
    assert!(
        !told.contains("echo alpha") && !told.contains("| beta"),
        "{told}"
    );
    assert_ne!(native_session(&server, &session).await, before);
    server.select(&session, "second", "x").await;
    let told = server.say(&session, "history").await;
    assert!(told.contains(SUMMARY) && told.contains("| gamma"), "{told}");
    assert!(
        !told.contains("echo alpha") && !told.contains("user: echo beta"),
        "{told}"
    );
    server.stop().await;
}

#[tokio::test]
async fn the_summarising_model_is_given_the_whole_conversation_and_changes_nothing() {
    let server = pair(&["--models", "x,y", "--without", "delete"], "").await;
    let session = server.create().await;
    server
        .prompt(&session, "echo alpha", model("mock", "mock"))
        .await;
    server.prompt(&session, "echo beta", json!({})).await;
    summarize(&server, &session, "second", "x").await;
    // The agent keeps its native sessions in files, and cannot delete them; the summary's is the only one.
    let folder = server.folder.path().join("second");
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().flatten().collect();
    let texts: Vec<String> = files
        .iter()
        .map(|f| std::fs::read_to_string(f.path()).unwrap())
        .collect();
    let given = texts
        .iter()
        .find(|text| text.contains("Write a summary"))
        .unwrap();
    for text in ["| echo alpha", "| echo beta", "[assistant mock/mock]"] {
        assert!(given.contains(text), "{text} in {given}");
    }
    // A second summary is made from the first one.
    server.prompt(&session, "echo gamma", json!({})).await;
    summarize(&server, &session, "second", "y").await;
    let told = server.say(&session, "history").await;
    assert_eq!(
        told.matches("[note: this is a summary").count(),
        1,
        "{told}"
    );
    assert!(!told.contains("gamma"), "{told}");
    server.stop().await;
}

#[tokio::test]
async fn a_model_that_fails_leaves_the_conversation_as_it_was() {
    let server = pair(&["--models", "x", "--fault", "silent-end-turn"], "").await;
    let session = server.create().await;
    server
        .prompt(&session, "echo alpha", model("mock", "mock"))
        .await;
    let before = native_session(&server, &session).await;
    let mut events = server.events().await;
    assert_eq!(
        summarize(&server, &session, "second", "x").await,
        (StatusCode::OK, json!(false))
    );
    let error = events
        .until("session.error", |p| p["sessionID"] == *session)
        .await;
    events.until("session.idle", |_| true).await;
    assert!(!events.kinds().contains(&"session.compacted"));
    let messages = server.messages(&session).await;
    let failed = messages.last().unwrap();
    assert_eq!(failed["info"]["error"], error.properties["error"]);

    // The native session goes on, and hears nothing of the attempt.
    let told = server.say(&session, "history").await;
    assert!(told.contains("user: echo alpha"), "{told}");
    assert!(!told.contains("summary"), "{told}");
    assert_eq!(native_session(&server, &session).await, before);
    server.stop().await;
}

#[tokio::test]
async fn an_abort_during_the_summary_leaves_the_conversation_as_it_was() {
    let server = pair(
        &["--models", "x", "--never-answer", "session/prompt"],
        "[timeouts]\ncancel_s = 1\n",
    )
    .await;
    let session = server.create().await;
    server
        .prompt(&session, "echo alpha", model("mock", "mock"))
        .await;
    let mut events = server.events().await;
    let url = format!("{}/opencode/session/{session}/summarize", server.url);
    let request = server
        .client
        .post(url)
        .json(&json!({ "providerID": "second", "modelID": "x" }));
    let running =
        tokio::spawn(async move { request.send().await.unwrap().json::<Value>().await.unwrap() });
    compacting(&mut events).await;
    events
        .until("message.updated", |p| p["info"]["summary"] == true)
        .await;
    server.abort(&session).await;
    assert_eq!(running.await.unwrap(), json!(false));
    let told = server.say(&session, "history").await;
    assert!(
        told.contains("user: echo alpha") && !told.contains("Write a summary"),
        "{told}"
    );
    let info = server.get(&format!("/opencode/session/{session}")).await;
    assert_eq!(info["time"]["compacting"], Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn a_summary_is_asked_for_behind_what_waits_and_the_work_goes_on_by_itself() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let slow = server.prompt_later(&session, "slow 1", model("mock", "mock-fast"));
    events.until("message.part.delta", |_| true).await;
    let path = format!("/opencode/session/{session}/summarize");
    let body = json!({ "providerID": "mock", "modelID": "mock", "auto": true });
    let done = server.ok(Method::POST, &path, Some(body)).await;
    assert_eq!(done, true);
    let (_, first) = answered(slow).await;
    assert!(text_of(&first).ends_with("done"));
    server.until_idle(&session).await;
    let messages = server.messages(&session).await;
    let [_, _, wish, summary, go_on, answer] = &messages[..] else {
        panic!("{messages:#?}")
    };
    assert_eq!(parts_of(wish, "compaction")[0]["auto"], true);
    assert_eq!(summary["info"]["modelID"], "mock");
    assert_eq!(go_on["parts"][0]["synthetic"], true);
    assert_eq!(go_on["parts"][0]["metadata"]["compaction_continue"], true);
    // The session's own model goes on, not the one that has written the summary.
    assert_eq!(answer["info"]["modelID"], "mock-fast");
    server.stop().await;
}

#[tokio::test]
async fn a_summary_outlives_a_kill_and_half_of_one_counts_for_nothing() {
    let mut server = pair(&["--models", "x", "--never-answer", "session/prompt"], "").await;
    let session = server.create().await;
    server
        .prompt(&session, "echo alpha", model("mock", "mock"))
        .await;
    let mut events = server.events().await;
    let url = format!("{}/opencode/session/{session}/summarize", server.url);
    let request = server
        .client
        .post(url)
        .json(&json!({ "providerID": "second", "modelID": "x" }));
    let _cut_off = tokio::spawn(request.send());
    events
        .until("message.updated", |p| p["info"]["summary"] == true)
        .await;
    server.kill().await;
    server.restart().await;
    let told = server.say(&session, "history").await;
    assert!(
        told.contains("echo alpha") && !told.contains("summary"),
        "{told}"
    );

    assert_eq!(
        summarize(&server, &session, "mock", "mock").await,
        (StatusCode::OK, json!(true))
    );
    server.kill().await;
    server.restart().await;
    let told = server.say(&session, "history").await;
    assert!(
        told.contains(SUMMARY) && !told.contains("echo alpha"),
        "{told}"
    );
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let server = Server::start().await;
    let session = server.create().await;
    // Nothing was said yet, so there is nothing to do.
    assert_eq!(
        summarize(&server, &session, "mock", "mock").await,
        (StatusCode::OK, json!(true))
    );
    assert!(server.messages(&session).await.is_empty());
    server
        .prompt(&session, "echo alpha", model("mock", "mock"))
        .await;
    let path = format!("/opencode/session/{session}/summarize");
    for (body, word) in [
        (json!({}), "[\"providerID\"]"),
        (json!({ "providerID": "mock" }), "[\"modelID\"]"),
        (
            json!({ "providerID": "mock", "modelID": "mock", "auto": 1 }),
            "[\"auto\"]",
        ),
        (json!({ "providerID": "mock", "modelID": "mokc" }), "mokc"),
    ] {
        let (status, refused) = server.send(Method::POST, &path, Some(body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{refused}");
        let message = refused["data"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(server.messages(&session).await.len(), 2);
    let (status, _) = summarize(&server, "ses_missing", "mock", "mock").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    server.stop().await;
}
