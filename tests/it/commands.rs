//! Slash commands: templates that Baton fills in, and commands that backends advertise.

use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::handoff::pair;
use crate::harness::{Events, Server, model, parts_of, text_of};

fn write(server: &Server, file: &str, text: &str) {
    let path = server.work().join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

async fn try_command(
    server: &Server,
    session: &str,
    name: &str,
    arguments: &str,
    more: Value,
) -> (StatusCode, Value) {
    let mut body = json!({ "command": name, "arguments": arguments });
    if let Value::Object(more) = more {
        body.as_object_mut().unwrap().extend(more);
    }
    let path = format!("/opencode/session/{session}/command");
    server.send(Method::POST, &path, Some(body)).await
}

async fn command(
    server: &Server,
    session: &str,
    name: &str,
    arguments: &str,
    more: Value,
) -> Value {
    let (status, answer) = try_command(server, session, name, arguments, more).await;
    assert!(status.is_success(), "{status}: {answer}");
    answer
}

async fn listed(server: &Server, name: &str) -> Option<Value> {
    let all = server.get("/opencode/command").await;
    let all = all.as_array().expect("a list").clone();
    all.into_iter().find(|command| command["name"] == name)
}

/// Waits for the event that a command was run.
async fn executed(events: &mut Events, name: &str) -> Value {
    let event = events
        .until("command.executed", |p| p["name"] == name)
        .await;
    event.properties
}

/// The text of the last prompt of a session.
async fn prompted(server: &Server, session: &str) -> String {
    let messages = server.messages(session).await;
    let last = messages.iter().rfind(|m| m["info"]["role"] == "user");
    text_of(last.expect("a prompt"))
}

#[tokio::test]
async fn commands_come_from_files_the_config_the_backends_and_baton_itself() {
    let config = "[commands.release]\ntemplate = \"echo release $1\"\ndescription = \"Releases\"\nagent = \"build\"\n\
        [commands.shout]\ntemplate = \"echo mine\"\n";
    let server = pair(
        &["--models", "x,y", "--commands", "deploy,compact,__internal"],
        config,
    )
    .await;
    write(
        &server,
        ".opencode/command/sub/hello.md",
        "---\ndescription: Says hello\nmodel: x\n---\necho hello $2 $1",
    );
    write(
        &server,
        ".opencode/command/release.md",
        "echo from the file",
    );
    let hello = listed(&server, "sub/hello").await.expect("the file's");
    let expected = json!({ "name": "sub/hello", "description": "Says hello", "model": "x", "source": "command",
        "template": "echo hello $2 $1", "hints": ["$1", "$2"] });
    assert_eq!(hello, expected);
    // A file takes precedence over the config, and both over a backend.
    assert_eq!(
        listed(&server, "release").await.unwrap()["template"],
        "echo from the file"
    );
    assert_eq!(
        listed(&server, "shout").await.unwrap()["template"],
        "echo mine"
    );
    let deploy = listed(&server, "deploy").await.expect("the backend's");
    assert!(
        deploy["description"]
            .as_str()
            .unwrap()
            .starts_with("second: "),
        "{deploy}"
    );
    assert_eq!(deploy["template"], "/deploy $ARGUMENTS");
    // Clients have their own, which one of the server's would take the place of.
    assert_eq!(listed(&server, "compact").await, None);
    // Not for people.
    assert_eq!(listed(&server, "__internal").await, None);
    for builtin in ["init", "review"] {
        assert_eq!(
            listed(&server, builtin).await.unwrap()["hints"],
            json!(["$ARGUMENTS"])
        );
    }
    // Another directory has other files.
    let elsewhere = server.folder.path().display();
    let all = server
        .get(&format!("/opencode/command?directory={elsewhere}"))
        .await;
    assert!(!all.to_string().contains("sub/hello"), "{all}");
    server.stop().await;
}

#[tokio::test]
async fn the_selected_backends_own_commands_come_first() {
    let server = pair(&["--models", "x", "--commands", "zap,deploy"], "").await;
    let names = async || {
        let all = server.get("/opencode/command").await;
        let all = all.as_array().expect("a list").clone();
        let text =
            |command: &Value, name: &str| command[name].as_str().unwrap_or_default().to_owned();
        let named = all
            .iter()
            .map(|it| (text(it, "name"), text(it, "description")));
        named.collect::<Vec<_>>()
    };
    // A new session would start on the mock agent: what the other one has comes last, under its name.
    let before = names().await;
    let (last, about) = before.last().expect("commands");
    assert!(last == "zap" && about.starts_with("second: "), "{before:?}");
    let session = server.create().await;
    server.select(&session, "second", "x").await;
    let now = names().await;
    assert_eq!([&now[0].0, &now[1].0], ["deploy", "zap"], "{now:?}");
    assert!(!now[0].1.contains("second"), "{now:?}");
    assert_eq!(now.len(), before.len());
    server.stop().await;
}

#[tokio::test]
async fn a_template_is_filled_in_whatever_the_backend() {
    let server = pair(&["--models", "x,y"], "").await;
    write(&server, "notes.txt", "NOTES");
    let template = "echo $1, rest: $2; all: $ARGUMENTS; !`echo from the shell; pwd`; see @notes.txt and @../baton.toml";
    write(&server, ".opencode/command/all.md", template);
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let mut events = server.events().await;
    let answer = command(
        &server,
        &session,
        "all",
        "a \"b c\" d",
        json!({ "messageID": "msg_mine" }),
    )
    .await;
    assert_eq!(answer["info"]["parentID"], "msg_mine");
    let work = server.work().canonicalize().unwrap();
    let expected = format!(
        "a, rest: b c d; all: a \"b c\" d; from the shell\n{}; see @notes.txt and @../baton.toml",
        work.display()
    );
    assert_eq!(text_of(&answer), expected);
    let told = executed(&mut events, "all").await;
    assert_eq!(told["arguments"], "a \"b c\" d");
    assert_eq!(
        (&told["sessionID"], &told["messageID"]),
        (&json!(session), &answer["info"]["id"])
    );
    // The file goes along; one outside of the directory does not.
    let messages = server.messages(&session).await;
    let files = parts_of(&messages[2], "file");
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(
        files[0]["url"],
        format!("file://{}", work.join("notes.txt").display())
    );

    server.select(&session, "second", "x").await;
    let answer = command(&server, &session, "all", "", json!({})).await;
    assert_eq!(answer["info"]["providerID"], "second");
    server.stop().await;
}

#[tokio::test]
async fn a_command_selects_its_model_and_agent_as_a_message_would() {
    let server = pair(&["--models", "x,y"], "").await;
    write(
        &server,
        ".opencode/command/planned.md",
        "---\nagent: plan\nmodel: second/y\n---\nmode",
    );
    // OpenCode's users name models without the backend that has them.
    write(
        &server,
        ".opencode/command/short.md",
        "---\nmodel: x\n---\nmodel",
    );
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let mut events = server.events().await;
    let answer = command(
        &server,
        &session,
        "planned",
        "",
        json!({ "model": "mock/mock-fast", "agent": "build" }),
    )
    .await;
    assert_eq!(text_of(&answer), "plan");
    assert_eq!(
        (&answer["info"]["providerID"], &answer["info"]["modelID"]),
        (&json!("second"), &json!("y"))
    );
    let changed = events
        .until("session.model_changed", |_| true)
        .await
        .properties;
    assert_eq!(changed["source"], "command");
    assert_eq!(changed["current"]["modelID"], "y");
    let answer = command(&server, &session, "short", "", json!({ "agent": "build" })).await;
    assert_eq!(text_of(&answer), "x");
    // A command that names no model takes that of the request, or the session's.
    let answer = command(
        &server,
        &session,
        "review",
        "",
        json!({ "model": "mock/mock-strong", "variant": "high" }),
    )
    .await;
    assert_eq!(
        (&answer["info"]["modelID"], &answer["info"]["variant"]),
        (&json!("mock-strong"), &json!("high"))
    );
    let answer = command(&server, &session, "init", "in German", json!({})).await;
    assert_eq!(answer["info"]["modelID"], "mock-strong");
    assert!(prompted(&server, &session).await.ends_with("in German"));
    server.stop().await;
}

#[tokio::test]
async fn a_backends_command_is_sent_to_it_and_only_after_what_it_has_missed() {
    let server = pair(&["--models", "x,y", "--commands", "deploy"], "").await;
    let session = server.create().await;
    server
        .prompt(&session, "echo alpha", model("mock", "mock"))
        .await;
    let mut events = server.events().await;
    // The session's backend does not have it: the one that has is selected.
    let answer = command(
        &server,
        &session,
        "deploy",
        "to the  moon",
        json!({ "model": "mock/mock" }),
    )
    .await;
    assert_eq!(text_of(&answer), "/deploy was run by x with: to the  moon");
    assert_eq!(
        (&answer["info"]["providerID"], &answer["info"]["modelID"]),
        (&json!("second"), &json!("x"))
    );
    let changed = events
        .until("session.model_changed", |_| true)
        .await
        .properties;
    assert_eq!(
        (&changed["source"], &changed["previous"]["modelID"]),
        (&json!("command"), &json!("mock"))
    );
    executed(&mut events, "deploy").await;
    assert_eq!(prompted(&server, &session).await, "/deploy to the  moon");
    // What it had missed went ahead, once, and its answer to that is not part of the conversation.
    let told = server.say(&session, "history").await;
    assert_eq!(told.matches("| echo alpha").count(), 1, "{told}");
    assert!(
        told.find("| echo alpha") < told.find("/deploy to the  moon"),
        "{told}"
    );
    assert_eq!(server.messages(&session).await.len(), 6);

    // Another model of that backend is taken when it is named.
    let answer = command(
        &server,
        &session,
        "deploy",
        "",
        json!({ "model": "second/y" }),
    )
    .await;
    assert_eq!(text_of(&answer), "/deploy was run by y with: ");
    // And the session's own backend is left alone when it has the command.
    server.select(&session, "mock", "mock-fast").await;
    let answer = command(&server, &session, "shout", "hear me", json!({})).await;
    assert_eq!(text_of(&answer), "HEAR ME");
    assert_eq!(answer["info"]["modelID"], "mock-fast");
    server.stop().await;
}

#[tokio::test]
async fn a_refused_command_changes_nothing_and_runs_nothing() {
    let server = Server::start().await;
    write(
        &server,
        ".opencode/command/bad.md",
        "---\nmodel: mock/nope\n---\nrun !`touch ran`",
    );
    write(
        &server,
        ".opencode/command/nobody.md",
        "---\nagent: nobody\n---\nrun !`touch ran`",
    );
    write(&server, ".opencode/command/fine.md", "run !`touch ran`");
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let before = server.get(&format!("/opencode/session/{session}")).await;
    let mut events = server.events().await;
    for (name, more, error, word) in [
        ("fien", json!({}), "CommandNotFoundError", "fine"),
        ("/fine", json!({}), "CommandNotFoundError", "fine"),
        ("bad", json!({}), "ProviderModelNotFoundError", "nope"),
        ("nobody", json!({}), "AgentNotFoundError", "nobody"),
        (
            "fine",
            json!({ "model": "mock/nope" }),
            "ProviderModelNotFoundError",
            "nope",
        ),
        (
            "fine",
            json!({ "model": "nope/mock" }),
            "ProviderModelNotFoundError",
            "nope",
        ),
        (
            "fine",
            json!({ "model": "nope" }),
            "BadRequest",
            "provider/model",
        ),
        (
            "fine",
            json!({ "agent": "nobody" }),
            "AgentNotFoundError",
            "nobody",
        ),
        (
            "fine",
            json!({ "variant": "nope" }),
            "ProviderModelNotFoundError",
            "nope",
        ),
        (
            "shout",
            json!({ "model": "mock/nope" }),
            "ProviderModelNotFoundError",
            "nope",
        ),
    ] {
        let (status, refused) = try_command(&server, &session, name, "x", more).await;
        assert_eq!(
            (status, &refused["name"]),
            (StatusCode::BAD_REQUEST, &json!(error)),
            "{refused}"
        );
        let message = refused["data"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{message}");
    }
    let (status, _) = try_command(&server, "ses_missing", "fine", "", json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(
        server.get(&format!("/opencode/session/{session}")).await,
        before
    );
    assert_eq!(server.messages(&session).await.len(), 2);
    assert!(
        !server.work().join("ran").exists(),
        "a refused command was run"
    );
    // Nothing of all that was told; the next thing that happens is.
    command(&server, &session, "fine", "", json!({})).await;
    executed(&mut events, "fine").await;
    assert_eq!(events.of("command.executed").len(), 1);
    assert!(events.of("session.error").is_empty());
    assert!(Path::new(&server.work().join("ran")).exists());
    server.stop().await;
}

#[tokio::test]
async fn what_backends_advertise_is_known_before_they_are_used_and_after_a_restart() {
    let mut server = pair(&["--models", "x", "--commands", "deploy,roll-back"], "").await;
    assert!(listed(&server, "roll-back").await.is_some());
    // The mock agent is selected there, so its own commands need not say whose they are.
    let shout = listed(&server, "shout").await.expect("the mock's");
    assert!(
        !shout["description"].as_str().unwrap().contains("mock"),
        "{shout}"
    );
    server.kill().await;
    server.restart().await;
    let session = server.create().await;
    let answer = command(&server, &session, "roll-back", "now", json!({})).await;
    assert_eq!(text_of(&answer), "/roll-back was run by x with: now");
    server.stop().await;
}
