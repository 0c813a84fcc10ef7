//! Records the examples of the OpenAPI document from a real run, and tells when those in `openapi/examples.json` are
//! out of date. `BATON_RECORD=1 cargo test --test it examples` writes them anew.
//!
//! What differs from run to run (ids, times, folders) is written as if the run had been somebody's.

mod mask;
mod narrow;
mod recorder;

use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use self::recorder::Recorder;
use crate::harness::{Options, Server, answered, model};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/examples.json");
const PASSWORD: &str = "secret";
/// More wrong passwords at once than may wait.
const GUESSES: usize = 200;

/// Backends that do what they should, one that takes no other model, one that pretends to, and one that is not there.
async fn start(more: &str) -> Server {
    let baton = env!("CARGO_BIN_EXE_baton");
    let mut config = format!("[limits]\nqueue_prompts = 1\n{more}");
    for (id, faults) in [
        ("stuck", &["reports-other-model"][..]),
        ("wishful", &["ignores-model", "tells-model"]),
    ] {
        let mut command = vec![baton, "mock-agent"];
        faults
            .iter()
            .for_each(|fault| command.extend(["--fault", fault]));
        config.push_str(&format!("[agents.{id}]\ncommand = {command:?}\n"));
    }
    config.push_str("[agents.absent]\ncommand = [\"/nonexistent/agent\"]\n");
    Server::start_with(Options {
        config,
        arguments: vec!["--agents".into(), "mock,stuck,wishful,absent".into()],
    })
    .await
}

#[tokio::test]
async fn the_examples_of_the_document_are_what_a_server_answers() {
    let server = start("").await;
    let mut recorder = Recorder::new(&server);
    let session = conversation(&mut recorder).await;
    asks(&mut recorder, &session).await;
    history(&mut recorder, &session).await;
    refusals(&mut recorder, &session).await;
    let events = model_events(&mut recorder, &session).await;
    locked(&mut recorder).await;
    narrow::refusals(&mut recorder).await;
    let recorded = json!({
        "operations": recorder.operations,
        "errors": recorder.errors,
        "events": events,
    });
    server.stop().await;
    let text = serde_json::to_string_pretty(&recorded).expect("JSON") + "\n";
    if std::env::var_os("BATON_RECORD").is_some() {
        std::fs::write(FILE, &text).expect("written");
        return;
    }
    let committed = std::fs::read_to_string(FILE).unwrap_or_default();
    let committed: Value = serde_json::from_str(&committed).expect("JSON");
    for part in ["operations", "errors", "events"] {
        for (key, now) in recorded[part].as_object().expect("an object") {
            let before = &committed[part][key];
            assert_eq!(
                before, now,
                "{part}: {key}. Run: BATON_RECORD=1 cargo test --test it examples, then \
                 cargo run -- openapi > openapi/openapi.json"
            );
        }
    }
    assert_eq!(committed, recorded, "something is recorded no more");
}

/// A session, a prompt, and a switch.
async fn conversation(recorder: &mut Recorder<'_>) -> String {
    let get = Method::GET;
    recorder
        .done("global.health", get.clone(), "/global/health", None)
        .await;
    let body = json!({ "title": "Tidy up the parser" });
    let session = recorder
        .done("session.create", Method::POST, "/session", Some(body))
        .await;
    let session = session["id"].as_str().expect("an id").to_owned();
    let own = format!("/session/{session}");
    let body = json!({
        "model": { "providerID": "mock", "modelID": "mock" },
        "parts": [{ "type": "text", "text": "echo The parser is tidy." }],
    });
    let message = format!("{own}/message");
    recorder
        .done("session.prompt", Method::POST, &message, Some(body))
        .await;
    let body = json!({
        "providerID": "mock", "modelID": "mock-strong", "variant": "high", "agent": "plan", "pin": true,
    });
    let path = format!("{own}?wait=true");
    recorder
        .done("session.update", Method::PATCH, &path, Some(body))
        .await;
    recorder.done("session.get", get.clone(), &own, None).await;
    recorder
        .done("session.list", get.clone(), "/session", None)
        .await;
    backends_are_known(recorder.server).await;
    recorder
        .done("backend.list", get.clone(), "/backend", None)
        .await;
    let natives = "/backend/mock/session";
    let natives = recorder
        .done("backend.session.list", get.clone(), natives, None)
        .await;
    let import = json!({ "import": { "providerID": "mock", "nativeID": natives[0]["nativeID"] } });
    let cause = "The native session is one of a session's already.";
    recorder
        .refused(cause, Method::POST, "/session", Some(import))
        .await;
    recorder
        .done("command.list", get.clone(), "/command", None)
        .await;
    let history = format!("{own}/model");
    recorder
        .done("session.modelHistory", get.clone(), &history, None)
        .await;
    let messages = recorder
        .done("session.messages", get.clone(), &message, None)
        .await;
    let first = format!(
        "{message}/{}",
        messages[0]["info"]["id"].as_str().expect("an id")
    );
    recorder.done("session.message", get, &first, None).await;
    session
}

/// Waits until each backend has been asked what it is.
async fn backends_are_known(server: &Server) {
    loop {
        let list = server.get("/opencode/backend").await;
        let mut backends = list.as_array().expect("a list").iter();
        if !backends.any(|backend| backend["status"] == "starting") {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// What agents ask, and what they are given to do meanwhile.
async fn asks(recorder: &mut Recorder<'_>, session: &str) {
    let server = recorder.server;
    let own = format!("/session/{session}");
    server.patch(session, json!({ "agent": "build" })).await;
    let mut events = server.events().await;
    let waiting = server.prompt_later(session, "permission rm -rf build", json!({}));
    events.until("permission.asked", |_| true).await;
    let list = recorder
        .done("permission.list", Method::GET, "/permission", None)
        .await;
    recorder
        .done("session.status", Method::GET, "/session/status", None)
        .await;
    let body = json!({ "parts": [{ "type": "text", "text": "echo And now the tests." }] });
    let path = format!("{own}/prompt_async");
    recorder
        .done(
            "session.queuePrompt",
            Method::POST,
            &path,
            Some(body.clone()),
        )
        .await;
    let cause = "As many prompts wait as may (limits.queue_prompts).";
    recorder
        .refused(cause, Method::POST, &path, Some(body))
        .await;
    let body = json!({ "prompt": { "text": "echo And the documents." } });
    let second = format!("/api{own}/prompt");
    recorder
        .refused(cause, Method::POST, &second, Some(body))
        .await;
    let shell = json!({ "agent": "build", "command": "ls" });
    let cause =
        "The session is answering a prompt, and a command of the user cannot run beside it.";
    recorder
        .refused(cause, Method::POST, &format!("{own}/shell"), Some(shell))
        .await;
    let id = list[0]["id"].as_str().expect("an id");
    let body = json!({ "reply": "once" });
    let path = format!("/permission/{id}/reply");
    recorder
        .done("permission.reply", Method::POST, &path, Some(body))
        .await;
    answered(waiting).await;
    server.until_idle(session).await;

    let mut events = server.events().await;
    let waiting = server.prompt_later(session, "question", json!({}));
    events.until("question.asked", |_| true).await;
    let list = recorder
        .done("question.list", Method::GET, "/question", None)
        .await;
    let label = &list[0]["questions"][0]["options"][0]["label"];
    let id = list[0]["id"].as_str().expect("an id");
    let body = json!({ "answers": [[label]] });
    let path = format!("/question/{id}/reply");
    recorder
        .done("question.reply", Method::POST, &path, Some(body))
        .await;
    answered(waiting).await;
    server.until_idle(session).await;
    let mut events = server.events().await;
    let waiting = server.prompt_later(session, "slow 60", json!({}));
    events.until("message.part.delta", |_| true).await;
    recorder
        .done("session.abort", Method::POST, &format!("{own}/abort"), None)
        .await;
    answered(waiting).await;
    server.until_idle(session).await;
}

/// What goes back, and what is copied.
async fn history(recorder: &mut Recorder<'_>, session: &str) {
    let server = recorder.server;
    let own = format!("/session/{session}");
    let messages = server.messages(session).await;
    let body = json!({ "messageID": messages[2]["info"]["id"] });
    let fork = format!("{own}/fork");
    let copy = recorder
        .done("session.fork", Method::POST, &fork, Some(body.clone()))
        .await;
    let revert = format!("{own}/revert");
    recorder
        .done("session.revert", Method::POST, &revert, Some(body))
        .await;
    let unrevert = format!("{own}/unrevert");
    recorder
        .done("session.unrevert", Method::POST, &unrevert, None)
        .await;
    let body = json!({ "providerID": "mock", "modelID": "mock-fast" });
    let copied = format!("/session/{}", copy["id"].as_str().expect("an id"));
    let shout = json!({ "command": "shout", "arguments": "the parser is tidy" });
    let command = format!("{copied}/command");
    recorder
        .done("session.command", Method::POST, &command, Some(shout))
        .await;
    let summarize = format!("{copied}/summarize");
    recorder
        .done("session.summarize", Method::POST, &summarize, Some(body))
        .await;
    recorder
        .done("session.delete", Method::DELETE, &copied, None)
        .await;
}

/// Every error that can be brought about without breaking something.
async fn refusals(recorder: &mut Recorder<'_>, session: &str) {
    let own = format!("/session/{session}");
    let (post, patch) = (Method::POST, Method::PATCH);
    let selected =
        |provider: &str, model: &str| Some(json!({ "providerID": provider, "modelID": model }));
    let wrong = Some(json!({ "title": 5 }));
    recorder
        .refused(
            "A field of the body has the wrong type.",
            patch.clone(),
            &own,
            wrong,
        )
        .await;
    let cause = "The model is not one that the provider has.";
    recorder
        .refused(cause, patch.clone(), &own, selected("mock", "mock-stong"))
        .await;
    let cause = "The agent's program is not installed.";
    recorder
        .refused(cause, patch.clone(), &own, selected("absent", "any"))
        .await;
    let agent = Some(json!({ "agent": "painter" }));
    recorder
        .refused(
            "The provider has no such agent.",
            patch.clone(),
            &own,
            agent,
        )
        .await;
    let command = Some(json!({ "command": "revew", "arguments": "" }));
    let path = format!("{own}/command");
    recorder
        .refused(
            "There is no such slash command.",
            post.clone(),
            &path,
            command,
        )
        .await;
    recorder
        .refused(
            "There is no such session.",
            Method::GET,
            "/session/ses_gone",
            None,
        )
        .await;
    for path in ["/session", "/api/session"] {
        recorder
            .refused("The path has no such method.", Method::PUT, path, None)
            .await;
    }
    let title = Some(json!({ "title": "Too late" }));
    let cause = "The session has moved on since the revision in If-Match.";
    recorder
        .refused_with(cause, patch, &own, title, &[("if-match", "\"1\"")])
        .await;
    let cause = "A page of another web site has asked.";
    let origin = [
        ("origin", "https://elsewhere.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    for path in ["/session", "/api/session"] {
        recorder
            .refused_with(cause, post.clone(), path, None, &origin)
            .await;
    }
    let patch = Some(json!({ "patch": "diff --git a/a b/a\n" }));
    recorder
        .refused(
            "The directory is in no repository.",
            post.clone(),
            "/vcs/apply",
            patch,
        )
        .await;
    let messages = recorder.server.messages(session).await;
    let again = json!({
        "messageID": messages[0]["info"]["id"], "parts": [{ "type": "text", "text": "echo again" }],
    });
    let path = format!("{own}/message");
    let cause = "The session has a message with this id.";
    recorder
        .refused(cause, post.clone(), &path, Some(again))
        .await;
    let again =
        json!({ "id": messages[0]["info"]["id"], "prompt": { "text": "Say something else." } });
    recorder
        .refused(cause, post, &format!("/api{own}/prompt"), Some(again))
        .await;
    for (cause, path) in [
        ("There is no such session.", "/api/session/ses_gone"),
        (
            "The cursor is none of an answer before.",
            "/api/session?cursor=zzz",
        ),
        (
            "A value of the query is not possible.",
            "/api/session?limit=0",
        ),
        ("There is no such provider.", "/api/provider/gone"),
    ] {
        recorder.refused(cause, Method::GET, path, None).await;
    }
}

/// Each event about models, as it comes.
async fn model_events(recorder: &mut Recorder<'_>, session: &str) -> Value {
    let server = recorder.server;
    let mut events = server.events().await;
    let path = format!("/session/{session}?wait=true");
    let select = |provider: &str| {
        Some(json!({ "providerID": provider, "modelID": "mock-fast", "pin": false }))
    };
    let (status, error) = server
        .send(Method::PATCH, &format!("/opencode{path}"), select("stuck"))
        .await;
    recorder.keep_error(
        "The agent goes on with another model than it was told.",
        status,
        &error,
    );
    let failed = events.until("session.model_failed", |_| true).await.whole;
    server
        .ok(Method::PATCH, &format!("/opencode{path}"), select("mock"))
        .await;
    let changed = events
        .until("session.model_changed", |p| p["source"] == "patch")
        .await
        .whole;
    // The selection that came back may be confirmed, too.
    let revision = changed["properties"]["revision"].clone();
    let applied = events
        .until("session.model_applied", |p| p["revision"] == revision)
        .await
        .whole;
    server
        .prompt(session, "echo one", model("wishful", "mock"))
        .await;
    server
        .prompt(session, "echo two", model("wishful", "mock-fast"))
        .await;
    let mismatch = events.until("session.model_mismatch", |_| true).await.whole;
    let mut examples = Map::new();
    for (summary, event) in [
        ("A PATCH has selected another model.", changed),
        ("The agent has confirmed it.", applied),
        (
            "The agent could not apply it, and the selection before is back.",
            failed,
        ),
        (
            "Another model has answered than the one that was selected.",
            mismatch,
        ),
    ] {
        let kind = event["type"].as_str().expect("a type").to_owned();
        let example = json!({ "summary": summary, "value": recorder.mask.apply(&event) });
        examples.insert(kind, example);
    }
    Value::Object(examples)
}

/// A server with a password.
async fn locked(recorder: &mut Recorder<'_>) {
    let server = Server::start_among(
        Options {
            config: String::new(),
            arguments: vec!["--agents".into(), "mock".into()],
        },
        crate::harness::Log::Warnings,
        &[("BATON_PASSWORD", PASSWORD)],
    )
    .await;
    for path in ["/opencode/session", "/opencode/api/session"] {
        let (status, error) = server.send(Method::GET, path, None).await;
        recorder.keep_error(
            "The server has a password, and the request has none.",
            status,
            &error,
        );
    }
    let (status, error) = one_guess_too_many(&server).await;
    recorder.keep_error(
        "Too many sign-ins with wrong passwords wait.",
        status,
        &error,
    );
    server.stop().await;
}

/// What is answered to one of many wrong passwords that are tried at once.
async fn one_guess_too_many(server: &Server) -> (StatusCode, Value) {
    let client = reqwest::Client::new();
    let mut guesses = tokio::task::JoinSet::new();
    for n in 0..GUESSES {
        let guess = client
            .get(format!("{}/session", server.url))
            .bearer_auth(format!("wrong-{n}"));
        guesses.spawn(async move { guess.send().await.expect("an answer") });
    }
    // Those that may wait are answered later.
    loop {
        let answer = guesses.join_next().await.expect("one").expect("no panic");
        if answer.status() != StatusCode::UNAUTHORIZED {
            return (answer.status(), answer.json().await.expect("JSON"));
        }
    }
}
