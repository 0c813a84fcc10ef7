//! What the log says of a server's life, a line each.

use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::process::Command;

use crate::harness::{Log, Options, PATIENCE, Server, model};

/// A server with two agents and a log in JSON, at the level that these arguments and this file set.
async fn logging(arguments: &[&str], config: &str, agent: &[&str]) -> (Server, NamedTempFile) {
    let mut command = vec![
        env!("CARGO_BIN_EXE_baton"),
        "mock-agent",
        "--state-dir",
        "../second",
    ];
    command.extend(agent);
    let config =
        format!("{config}\n[agents.second]\ncommand = {command:?}\nshared_process = true\n");
    let mut all = vec!["--agents".to_owned(), "mock,second".to_owned()];
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let log = NamedTempFile::new().unwrap();
    let to = Log::AsSetTo(log.reopen().unwrap());
    let options = Options {
        config,
        arguments: all,
    };
    let server = Server::start_among(options, to, &[("BATON_LOG_FORMAT", "json")]).await;
    (server, log)
}

fn lines(log: &NamedTempFile) -> Vec<Value> {
    let text = std::fs::read_to_string(log.path()).expect("the log");
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(line).collect()
}

/// The first line whose message begins so, as soon as it is there.
async fn line(log: &NamedTempFile, message: &str) -> Value {
    let look = async {
        loop {
            let begins = |line: &Value| {
                line["fields"]["message"]
                    .as_str()
                    .is_some_and(|it| it.starts_with(message))
            };
            if let Some(line) = lines(log).into_iter().find(|line| begins(line)) {
                return line;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let line = tokio::time::timeout(PATIENCE, look).await;
    line.unwrap_or_else(|_| panic!("no line begins with {message}: {:#?}", lines(log)))
}

#[tokio::test]
async fn a_servers_life_is_in_the_log() {
    let (server, log) = logging(&[], "", &["--models", "x"]).await;
    let started = line(&log, "Baton 0.1.0 has started").await;
    let fields = &started["fields"];
    assert_eq!(fields["address"], server.url, "{started}");
    let folder = server.folder.path();
    assert_eq!(
        fields["data_dir"],
        folder.join("data").display().to_string(),
        "{started}"
    );
    assert_eq!(
        fields["config_file"],
        folder.join("baton.toml").display().to_string(),
        "{started}"
    );
    let probed = line(&log, "the backend can be used").await;
    assert!(probed["fields"]["ms"].is_u64(), "{probed}");

    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let agent = line(&log, "an agent has started").await;
    assert!(
        agent["fields"]["backend"] == "mock" && agent["fields"]["pid"].is_u64(),
        "{agent}"
    );
    let turn = line(&log, "a turn has ended").await;
    assert_eq!(turn["fields"]["model"], "mock/mock", "{turn}");
    for field in ["s", "input", "output", "cost"] {
        assert!(!turn["fields"][field].is_null(), "{field}: {turn}");
    }
    // What it belongs to.
    let span = &turn["span"];
    assert_eq!(
        (&span["session"], &span["backend"]),
        (&json!(session), &json!("mock")),
        "{turn}"
    );
    assert!(span["revision"].is_u64(), "{turn}");

    let path = format!("/opencode/session/{session}?wait=true");
    let body = json!({ "providerID": "second", "modelID": "x" });
    let by = [("x-client-id", "me")];
    let answer = server.request(Method::PATCH, &path, Some(body), &by).await;
    assert!(answer.status().is_success());
    let look = |line: &&Value| line["fields"]["to"] == "second/x build";
    let all = lines(&log);
    let switch = all.iter().find(look).expect("the switch");
    let fields = &switch["fields"];
    assert_eq!(
        (
            &fields["message"],
            &fields["from"],
            &fields["by"],
            &fields["how"]
        ),
        (
            &json!("the model was switched"),
            &json!("mock/mock build"),
            &json!("patch of \"me\""),
            &json!("transcript")
        ),
        "{switch}"
    );
    assert!(
        fields["ms"].is_u64() && fields["session"] == session,
        "{switch}"
    );

    let (_, crashed) = server.try_prompt(&session, "crash", json!({})).await;
    let told = crashed["info"]["error"]["data"]["message"]
        .as_str()
        .expect("a message");
    assert!(
        told.contains("could not finish") && told.contains("exit status: 70"),
        "{told}"
    );
    let ended = line(&log, "an agent has ended by itself").await;
    assert_eq!(ended["fields"]["backend"], "second", "{ended}");
    assert!(
        ended["fields"]["status"]
            .as_str()
            .expect("a status")
            .contains("70"),
        "{ended}"
    );
    assert!(!ended["fields"]["stderr"].is_null(), "{ended}");
    let failed = line(&log, "a turn has failed: Backend \"second\"").await;
    assert_eq!(failed["fields"]["model"], "second/x", "{failed}");
    server.stop().await;
    line(&log, "an agent was ended: Baton stops").await;
    // Requests are not logged at info.
    assert!(lines(&log).iter().all(|line| line["level"] != "DEBUG"));
}

#[tokio::test]
async fn a_failed_switch_is_in_the_log() {
    let (server, log) = logging(
        &[],
        "",
        &["--models", "x,y", "--fault", "reports-other-model"],
    )
    .await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let (status, _) = server
        .patch(
            &format!("{session}?wait=true"),
            json!({ "providerID": "second", "modelID": "y" }),
        )
        .await;
    assert_eq!(status.as_u16(), 502);
    let failed = line(
        &log,
        "the model could not be switched: Backend \"second\" has accepted",
    )
    .await;
    assert_eq!(failed["level"], "WARN");
    assert_eq!(failed["fields"]["to"], "second/y build", "{failed}");
    server.stop().await;
}

#[tokio::test]
async fn the_level_is_a_setting() {
    let config = "[server]\nlog_level = \"debug\"\nlog_format = \"json\"";
    let (server, log) = logging(&[], config, &["--models", "x"]).await;
    server.get("/opencode/global/health").await;
    let request = line(&log, "a request was answered").await;
    assert_eq!(
        request["fields"]["path"], "/opencode/global/health",
        "{request}"
    );
    assert!(
        request["fields"]["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("req_")),
        "{request}"
    );
    server.stop().await;
    // A flag takes precedence over the file.
    let (server, log) = logging(&["--log-level", "error"], config, &["--models", "x"]).await;
    server.get("/opencode/global/health").await;
    server.stop().await;
    assert_eq!(lines(&log), Vec::<Value>::new());
}

#[tokio::test]
async fn a_wrong_setting_of_the_log_is_refused_with_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("baton.toml");
    let refused = async |config: &str, arguments: &[&str], variables: &[(&str, &str)]| {
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command
            .args(["serve", "--port", "0", "--data-dir"])
            .arg(folder.path().join("data"))
            .arg("--config")
            .arg(&file)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.expect("it ends").expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    let levels = ["error", "warn", "info", "debug", "trace"];
    for said in [
        refused("", &["--log-level", "loud"], &[]).await,
        refused("", &[], &[("BATON_LOG_LEVEL", "loud")]).await,
        refused("[server]\nlog_level = \"loud\"\n", &[], &[]).await,
    ] {
        assert!(levels.iter().all(|level| said.contains(level)), "{said}");
    }
    for said in [
        refused("", &["--log-format", "xml"], &[]).await,
        refused("", &[], &[("BATON_LOG_FORMAT", "xml")]).await,
        refused("[server]\nlog_format = \"xml\"\n", &[], &[]).await,
    ] {
        assert!(said.contains("text") && said.contains("json"), "{said}");
    }
    let said = refused("", &[], &[("BATON_LOG", "baton=loud")]).await;
    assert!(
        said.contains("BATON_LOG is no filter") && said.contains("baton=debug"),
        "{said}"
    );
    // Names that are nearly right.
    for (config, meant) in [
        ("default_model = \"mok/mock\"\n", "Did you mean mock"),
        ("[agents.claud]\nenabled = true\n", "Did you mean claude"),
        ("[server]\nprot = 1\n", "Did you mean port"),
    ] {
        let said = refused(config, &[], &[]).await;
        assert!(said.contains(meant), "{said}");
    }
    let said = refused("", &["--agents", "mokc"], &[]).await;
    assert!(said.contains("Did you mean mock"), "{said}");
}

#[tokio::test]
async fn a_default_model_that_its_backend_lacks_is_logged_with_what_was_meant() {
    let (server, log) = logging(
        &[],
        "default_model = \"mock/mock-stong\"",
        &["--models", "x"],
    )
    .await;
    let told = line(&log, "default_model is \"mock/mock-stong\"").await;
    let text = told["fields"]["message"].as_str().expect("a text");
    assert!(
        told["level"] == "WARN" && text.contains("Did you mean mock-strong"),
        "{told}"
    );
    server.stop().await;
}
