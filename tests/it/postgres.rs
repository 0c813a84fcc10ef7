//! `baton serve --store postgres://…`: the same server, with its sessions elsewhere.

use std::process::Output;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::database::{self, PASSWORD};
use crate::harness::{Log, Options, Server, answered, model, text_of};

fn options(arguments: &[&str], config: String) -> Options {
    let arguments = ["--agents", "mock"].iter().chain(arguments);
    Options {
        config,
        arguments: arguments.map(|argument| (*argument).to_owned()).collect(),
    }
}

/// Runs another command on the server's data directory.
async fn baton(server: &Server, arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_baton"))
        .args(arguments)
        .arg("--data-dir")
        .arg(server.folder.path().join("data"))
        .env("HOME", server.folder.path())
        .output();
    let output = output.await.expect("runs");
    let said = [&output.stdout[..], &output.stderr].concat();
    (output, String::from_utf8_lossy(&said).into_owned())
}

fn shows_password(text: &str) -> bool {
    text.contains(PASSWORD) || text.contains("the%20password")
}

#[tokio::test]
async fn everything_is_there_after_a_restart_and_nobody_sees_the_password() {
    let Some(url) = database::url().await else {
        return;
    };
    let log = tempfile::NamedTempFile::new().expect("a file");
    let file = log.reopen().expect("the file");
    let variables = [("BATON_STORE_URL", url.as_str())];
    // The variable goes before the file.
    let config = "[store]\nurl = \"postgres://nobody@127.0.0.1:1/none\"\nconnections = 3\n";
    let mut server = Server::start_among(
        options(&[], config.to_owned()),
        Log::EverythingTo(file),
        &variables,
    )
    .await;
    let (session, other) = (server.create().await, server.create().await);
    server
        .prompt(&session, "echo kept", model("mock", "mock-fast"))
        .await;
    let body = json!({ "providerID": "mock", "modelID": "mock-strong", "title": "Renamed" });
    let path = format!("/opencode/session/{session}");
    let applied = format!("{path}?wait=true");
    let patched = server.ok(Method::PATCH, &applied, Some(body)).await;
    let (messages, trail) = (
        server.messages(&session).await,
        server.get(&format!("{path}/model")).await,
    );
    let process = |file: &str| {
        let bytes =
            std::fs::read(format!("/proc/{}/{file}", server.pid())).expect("readable by root");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    for file in ["cmdline", "environ"] {
        assert!(!shows_password(&process(file)), "{file}");
    }
    let (output, said) = baton(&server, &["doctor"]).await;
    assert!(
        output.status.success() && said.contains("postgres://baton@127.0.0.1"),
        "{said}"
    );
    assert!(!shows_password(&said), "{said}");

    server.kill().await;
    server.restart().await;
    let after = server.get(&path).await;
    for field in ["id", "title", "model", "revision", "time", "directory"] {
        assert_eq!(after[field], patched[field], "{field}");
    }
    assert_eq!(server.messages(&session).await, messages);
    let after = server.get(&format!("{path}/model")).await;
    assert_eq!(after["switches"], trail["switches"]);
    let listed = server.get("/opencode/session").await;
    let ids: Vec<_> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| s["id"].clone())
        .collect();
    assert_eq!(ids, [json!(session), json!(other)]);
    let found = server.get("/opencode/session?search=RENAM").await;
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    let answer = server.prompt(&session, "history", json!({})).await;
    assert!(text_of(&answer).contains("echo kept"));

    for arguments in [
        &["backup", "copy.sqlite"][..],
        &["check"],
        &["check", "--repair"],
    ] {
        let (output, said) = baton(&server, arguments).await;
        assert!(!output.status.success(), "{said}");
        assert!(
            said.contains("the store of this data directory is postgres://baton@"),
            "{said}"
        );
        assert!(said.contains("pg_dump") && !shows_password(&said), "{said}");
    }
    assert!(!server.folder.path().join("data/baton.sqlite").exists());
    server.terminate().await;
    let said = std::fs::read_to_string(log.path()).expect("a log");
    assert!(!shows_password(&said), "the log shows the password");
}

#[tokio::test]
async fn a_second_server_and_a_wrong_password_are_refused_with_the_reason() {
    let Some(url) = database::url().await else {
        return;
    };
    let server = Server::start_with(options(&["--store", &url], String::new())).await;
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = url.replace("the%20password", "a%20wrong%20password");
    for (url, why) in [
        (url.as_str(), "another baton uses the database"),
        (&wrong, "password authentication failed"),
        ("postgres://a:hunter2@[x/db", "is no URL of a PostgreSQL"),
        ("sqlite://a:hunter2@h/db", "it begins with postgres://"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_baton"))
            .args(["serve", "--port", "0", "--store", url, "--data-dir"])
            .arg(folder.path().join("data"))
            .env("HOME", folder.path())
            .output();
        let output = output.await.expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{said}");
        for secret in ["hunter2", "wrong", "the%20password", PASSWORD] {
            assert!(!said.contains(secret), "{said}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_server_of_another_data_directory_takes_the_place_of_one_that_is_gone() {
    let Some(url) = database::url().await else {
        return;
    };
    let mut first = Server::start_with(options(&["--store", &url], String::new())).await;
    let session = first.create().await;
    first
        .prompt(&session, "echo before", model("mock", "mock-fast"))
        .await;
    let mut events = first.events().await;
    first.prompt_async(&session, "slow 60", json!({})).await;
    let ticks = |p: &Value| {
        p["delta"]
            .as_str()
            .is_some_and(|text| text.contains("tick 5"))
    };
    events.until("message.part.delta", ticks).await;
    first.kill().await;
    let second = Server::start_with(options(&["--store", &url], String::new())).await;
    let messages = second.messages(&session).await;
    assert_eq!(messages.len(), 4);
    assert_eq!(messages[3]["info"]["error"]["name"], "MessageAbortedError");
    let answer = second.prompt(&session, "history", json!({})).await;
    assert!(text_of(&answer).contains("echo before"), "{answer}");
    second.stop().await;
}

#[tokio::test]
async fn nothing_is_lost_while_the_database_is_away() {
    let Some(database) = database::Server::start(&[]).await else {
        return;
    };
    let url = database.database().await;
    let mut server = Server::start_with(options(&["--store", &url], String::new())).await;
    let (session, busy) = (server.create().await, server.create().await);
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let path = format!("/opencode/session/{session}");
    let before = server.get(&path).await;
    let mut events = server.events().await;
    let turn = server.prompt_later(&busy, "slow 2", json!({}));
    let ticks = |p: &Value| {
        p["delta"]
            .as_str()
            .is_some_and(|text| text.contains("tick 3"))
    };
    events.until("message.part.delta", ticks).await;

    database.stop();
    let wish = |id: &str| json!({ "providerID": "mock", "modelID": id });
    for id in ["mock-fast", "mock-strong"] {
        let answer = server
            .request(Method::PATCH, &path, Some(wish(id)), &[])
            .await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
        let error: Value = answer.json().await.expect("JSON");
        assert_eq!(error["name"], "ServiceUnavailableError", "{error}");
    }
    let (status, _) = server.try_prompt(&session, "echo two", json!({})).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    // What is in memory is still told; what is not is not there for now.
    assert_eq!(server.get(&path).await["revision"], before["revision"]);
    let list = server
        .request(Method::GET, "/opencode/session", None, &[])
        .await;
    assert_eq!(list.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(list.headers().contains_key("retry-after"));

    database.go_on().await;
    let (status, answer) = answered(turn).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(text_of(&answer).contains("tick 20"), "{answer}");
    assert_eq!(server.messages(&busy).await[1], answer);
    let after = server
        .ok(Method::PATCH, &path, Some(wish("mock-strong")))
        .await;
    assert_eq!(
        after["revision"].as_u64(),
        before["revision"].as_u64().map(|revision| revision + 1)
    );
    assert_eq!(server.messages(&session).await.len(), 2);
    server.prompt(&session, "echo three", json!({})).await;
    server.kill().await;
    server.restart().await;
    assert_eq!(server.messages(&session).await.len(), 4);
    assert_eq!(server.messages(&busy).await[1], answer);
    server.stop().await;
}
