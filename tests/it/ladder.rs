//! Each rung of the switch ladder, and each way in which an agent can get a switch wrong.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::handoff::{applied, pair};
use crate::harness::{Server, model, text_of};
use crate::scripted::{kill_agent, scripted, session_of, set_faults, started, talking, try_select};

/// Less than the moment for which a cold start waits.
const FLICK: Duration = Duration::from_millis(120);

#[tokio::test]
async fn an_agent_with_the_older_model_list_is_switched() {
    let arguments = ["--models", "x,y", "--without", "set-config-option"];
    let server = pair(&arguments, "").await;
    let providers = server.get("/opencode/provider").await;
    let all = providers["all"].as_array().unwrap();
    let second = all.iter().find(|p| p["id"] == "second").unwrap();
    let models: Vec<_> = second["models"].as_object().unwrap().keys().collect();
    assert_eq!(models, ["x", "y"]);

    let session = talking(&server, "second", "x").await;
    let path = format!("/opencode/session/{session}?wait=true");
    let wish = json!({ "providerID": "second", "modelID": "y", "agent": "plan" });
    let patched = server.ok(Method::PATCH, &path, Some(wish)).await;
    assert_eq!(patched["runtime"]["applied"]["modelID"], "y");
    assert_eq!(server.say(&session, "model").await, "y");
    assert_eq!(server.say(&session, "mode").await, "plan");
    // Both are set again on the next process.
    kill_agent(&server, &session).await;
    assert_eq!(server.say(&session, "model").await, "y");
    assert_eq!(server.say(&session, "mode").await, "plan");
    server.stop().await;
}

#[tokio::test]
async fn an_agent_without_modes_refuses_to_plan() {
    let server = pair(&["--models", "x", "--without", "modes"], "").await;
    let session = talking(&server, "mock", "mock").await;
    let before = session_of(&server, &session).await;
    let wish = json!({ "providerID": "second", "modelID": "x", "agent": "plan" });
    let (status, error) = server.patch(&session, wish).await;
    assert_eq!(
        (status, &error["name"]),
        (StatusCode::BAD_REQUEST, &json!("AgentNotFoundError")),
        "{error}"
    );
    let available = error["data"]["available"].as_array().unwrap();
    assert!(available.contains(&json!("build")), "{error}");
    assert!(!available.contains(&json!("plan")), "{error}");
    assert_eq!(
        session_of(&server, &session).await["revision"],
        before["revision"]
    );
    // Nor does a session that is planning already get there with a wider mode.
    let plan = json!({ "agent": "plan" });
    assert_eq!(server.patch(&session, plan).await.0, StatusCode::OK);
    let (status, error) = server
        .patch(&session, json!({ "providerID": "second", "modelID": "x" }))
        .await;
    assert_eq!(
        (status, &error["name"]),
        (StatusCode::BAD_REQUEST, &json!("AgentNotFoundError")),
        "{error}"
    );
    server.select(&session, "mock", "mock-fast").await;
    assert_eq!(server.say(&session, "mode").await, "plan");
    server.stop().await;
}

#[tokio::test]
async fn an_agent_without_efforts_has_no_variants() {
    let arguments = ["--models", "x-strong,y", "--without", "variants"];
    let server = pair(&arguments, "").await;
    let session = server.create().await;
    let wish = json!({ "providerID": "mock", "modelID": "mock-strong", "variant": "high" });
    assert_eq!(server.patch(&session, wish).await.0, StatusCode::OK);
    assert_eq!(server.say(&session, "model").await, "mock-strong (high)");
    let wish = json!({ "providerID": "second", "modelID": "x-strong", "variant": "high" });
    let (status, error) = server.patch(&session, wish).await;
    assert_eq!(
        (status, &error["name"]),
        (
            StatusCode::BAD_REQUEST,
            &json!("ProviderModelNotFoundError")
        ),
        "{error}"
    );
    // A variant that was not asked for is dropped.
    let patched = server.select(&session, "second", "x-strong").await;
    assert_eq!(
        patched["model"],
        json!({ "id": "x-strong", "providerID": "second", "variant": "default" })
    );
    assert_eq!(server.say(&session, "model").await, "x-strong");
    server.stop().await;
}

#[tokio::test]
async fn a_replay_after_the_reply_is_not_in_the_next_answer() {
    let arguments = [
        "--models",
        "x,y",
        "--without",
        "resume",
        "--fault",
        "load-replays-late",
    ];
    let server = pair(&arguments, "").await;
    // The model at launch: a switch would swallow the replay on its way.
    let session = talking(&server, "second", "x").await;
    for n in 0..20 {
        assert_eq!(
            server.say(&session, &format!("echo {n}")).await,
            n.to_string()
        );
    }
    kill_agent(&server, &session).await;
    let messages = server.messages(&session).await;
    assert_eq!(server.say(&session, "echo next").await, "next");
    let after = server.messages(&session).await;
    assert_eq!(
        after[..messages.len()],
        messages,
        "the replay is not stored"
    );
    assert_eq!(after.len(), messages.len() + 2);
    let history = server.say(&session, "history").await;
    assert!(history.starts_with("model: x\n"), "{history}");
    assert_eq!(history.matches("user: echo one").count(), 1, "{history}");
    assert!(!history.contains("| echo one"), "it was loaded: {history}");
    server.stop().await;
}

#[tokio::test]
async fn a_load_that_fails_is_made_up_for_by_the_transcript() {
    let arguments = [
        "--models",
        "x,y",
        "--without",
        "resume",
        "--fault",
        "load-fails",
    ];
    let server = pair(&arguments, "").await;
    let session = talking(&server, "second", "y").await;
    kill_agent(&server, &session).await;
    let mut events = server.events().await;
    server.select(&session, "second", "x").await;
    assert_eq!(applied(&mut events).await["transfer"]["kind"], "transcript");
    let history = server.say(&session, "history").await;
    assert!(history.starts_with("model: x\n"), "{history}");
    assert!(history.contains("[user]\n| echo one\n"), "{history}");
    server.stop().await;
}

#[tokio::test]
async fn an_agent_that_cannot_switch_while_busy_is_switched_afterwards() {
    let arguments = ["--models", "x,y", "--fault", "refuses-busy-switch"];
    let server = pair(&arguments, "").await;
    let session = talking(&server, "second", "x").await;
    let mut events = server.events().await;
    server.prompt_async(&session, "slow 1", json!({})).await;
    events.until("message.part.delta", |_| true).await;
    let wish = json!({ "providerID": "second", "modelID": "y" });
    let (status, patched) = server.patch(&session, wish).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(patched["runtime"]["pending"]["modelID"], "y");
    assert_eq!(applied(&mut events).await["current"]["modelID"], "y");
    assert_eq!(events.of("session.model_failed"), Vec::<&Value>::new());
    assert_eq!(server.say(&session, "model").await, "y");
    server.stop().await;
}

#[tokio::test]
async fn an_agent_that_takes_any_name_is_given_only_those_it_offers() {
    let arguments = ["--models", "x,model-y", "--fault", "accepts-any-model"];
    let server = pair(&arguments, "").await;
    let session = talking(&server, "second", "x").await;
    let before = session_of(&server, &session).await;
    let (status, error) = try_select(&server, &session, "model-z").await;
    assert_eq!(
        (status, &error["name"]),
        (
            StatusCode::BAD_REQUEST,
            &json!("ProviderModelNotFoundError")
        )
    );
    assert_eq!(error["data"]["suggestions"], json!(["model-y"]), "{error}");
    assert_eq!(session_of(&server, &session).await, before);
    let (status, error) = server
        .try_prompt(&session, "echo two", model("second", "model-z"))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
    assert_eq!(server.messages(&session).await.len(), 2);
    assert_eq!(server.say(&session, "model").await, "x");
    server.stop().await;
}

#[tokio::test]
async fn a_slow_start_holds_up_no_patch() {
    let server = scripted(&["second"], "").await;
    let session = talking(&server, "mock", "mock").await;
    set_faults(&server, "--fault slow-start --delay-ms 1500");
    let wish = json!({ "providerID": "second", "modelID": "y" });
    let (status, patched) = server.patch(&session, wish).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(patched["runtime"]["applied"]["providerID"], "mock");
    assert_eq!(patched["runtime"]["pending"]["modelID"], "y");
    let answer = server.prompt(&session, "model", json!({})).await;
    assert_eq!(text_of(&answer), "y");
    assert_eq!(answer["info"]["modelID"], "y");
    assert_eq!(started(&server), ["second"]);
    server.stop().await;
}

#[tokio::test]
async fn of_the_switches_that_wait_for_a_slow_one_only_the_last_is_made() {
    let server = scripted(&["second"], "").await;
    let hold = server.folder.path().join("hold");
    let faults = format!("--fault slow-switch --delay-while {}", hold.display());
    set_faults(&server, &faults);
    let session = talking(&server, "second", "x").await;
    let mut events = server.events().await;
    let mut last = Value::Null;
    std::fs::write(&hold, "").unwrap();
    for id in ["y", "x", "y", "z"] {
        let wish = json!({ "providerID": "second", "modelID": id });
        let (status, patched) = server.patch(&session, wish).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(patched["runtime"]["applied"]["modelID"], "x");
        last = patched["revision"].clone();
    }
    std::fs::remove_file(&hold).unwrap();
    events
        .until("session.model_applied", |p| p["revision"] == last)
        .await;
    let mut made: Vec<_> = events
        .of("session.model_applied")
        .iter()
        .map(|p| p["current"]["modelID"].clone())
        .collect();
    // The agent may have been at work on the first one already.
    made.dedup();
    assert!(made == ["z"] || made == ["y", "z"], "{made:?}");
    assert_eq!(events.of("session.model_failed"), Vec::<&Value>::new());
    assert_eq!(server.say(&session, "model").await, "z");
    server.stop().await;
}

#[tokio::test]
async fn the_selection_follows_an_agent_that_changes_its_model_by_itself() {
    let server = pair(&["--models", "x,y,z", "--fault", "switches-itself"], "").await;
    let session = server.create().await;
    let mut events = server.events().await;
    // Each answer is of the model that the one before has left behind.
    for (turn, (now, next)) in [("x", "y"), ("y", "z"), ("z", "x")].iter().enumerate() {
        let wish = if turn == 0 {
            model("second", "x")
        } else {
            json!({})
        };
        let answer = server.prompt(&session, "model", wish).await;
        assert_eq!(
            (text_of(&answer).as_str(), &answer["info"]["modelID"]),
            (*now, &json!(now))
        );
        let changed = events
            .until("session.model_changed", |p| p["source"] == "agent")
            .await
            .properties;
        assert_eq!(changed["current"]["modelID"], *next);
        let told = applied(&mut events).await;
        let told = if told["revision"] == changed["revision"] {
            told
        } else {
            applied(&mut events).await
        };
        assert_eq!(told["revision"], changed["revision"]);
    }
    // Nothing goes round in circles: the next event is that of a real change.
    let revision = session_of(&server, &session).await["revision"].clone();
    let (_, patched) = server.patch(&session, json!({ "title": "renamed" })).await;
    assert_eq!(
        patched["revision"].as_u64(),
        revision.as_u64().map(|r| r + 1)
    );
    events
        .until("session.updated", |p| p["info"]["title"] == "renamed")
        .await;
    let by_agent = events.of("session.model_changed");
    let by_agent = by_agent.iter().filter(|p| p["source"] == "agent").count();
    assert_eq!(by_agent, 3);
    server.stop().await;
}

/// Picks one model after the other, as quickly as somebody can who holds down a key.
async fn flick(server: &Server, session: &str, picked: &[(&str, &str)]) -> Duration {
    let begun = Instant::now();
    for (provider, id) in picked {
        let wish = json!({ "providerID": provider, "modelID": id });
        assert_eq!(server.patch(session, wish).await.0, StatusCode::OK);
    }
    begun.elapsed()
}

#[tokio::test]
async fn flicking_through_a_picker_starts_only_what_is_picked() {
    let picked = [
        ("second", "x"),
        ("third", "x"),
        ("second", "y"),
        ("third", "y"),
        ("second", "z"),
        ("third", "z"),
    ];
    for attempt in 1.. {
        let server = scripted(&["second", "third"], "").await;
        let session = talking(&server, "mock", "mock").await;
        let mut events = server.events().await;
        // On a machine that is too busy for this, it was no flicking.
        let quick = flick(&server, &session, &picked).await < FLICK;
        if !quick {
            assert!(attempt < 10, "six PATCHes never took less than {FLICK:?}");
            server.stop().await;
            continue;
        }
        let told = applied(&mut events).await;
        assert_eq!(told["current"]["providerID"], "third");
        assert_eq!(told["current"]["modelID"], "z");
        assert_eq!(server.say(&session, "model").await, "z");
        assert_eq!(started(&server), ["third"]);
        assert_eq!(events.of("session.model_applied").len(), 1);
        server.select(&session, "second", "y").await;
        assert_eq!(started(&server), ["third", "second"]);
        return server.stop().await;
    }
}
