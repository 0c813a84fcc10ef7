//! What is about the server and the program as a whole.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::process::Command;

use super::{COLUMNS, baton, command, ended};
use crate::harness::{Options, PATIENCE, Server};

#[tokio::test]
async fn the_doctor_knows_where_everything_is() {
    let config = "[agents.absent]\ncommand = [\"no-such-program-of-anybody\"]\n\
        [agents.dies]\ncommand = [\"sh\", \"-c\", \"exit 3\"]\n";
    let server = Server::start_with(Options {
        config: config.to_owned(),
        arguments: vec!["--agents".into(), "mock,absent,dies".into()],
    })
    .await;
    // The first probes have to end.
    let probed = async {
        loop {
            let backends = server.get("/opencode/backend").await;
            let backends = backends.as_array().expect("a list").clone();
            if backends.iter().all(|backend| !backend["probe"].is_null()) {
                return backends;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let backends = tokio::time::timeout(PATIENCE, probed)
        .await
        .expect("probed");
    assert!(
        backends.iter().all(|it| it["probe"]["durationMs"].is_u64()),
        "{backends:?}"
    );
    let said = baton(&server, &["doctor"]).await.well();
    let (data, file) = (
        server.folder.path().join("data"),
        server.folder.path().join("baton.toml"),
    );
    let pid = server.pid().to_string();
    for word in [
        &server.url[..],
        &pid,
        &data.display().to_string(),
        &file.display().to_string(),
        "found, can be used",
        "found, does not run",
        "exit status: 3",
        "absent: ",
        " ms, just now",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains("internal"), "{said}");
    server.stop().await;
}

#[tokio::test]
async fn a_password_lets_in_at_an_address_and_is_not_needed_by_its_owner() {
    let server = Server::start_among(
        Options {
            arguments: vec!["--agents".into(), "mock".into()],
            ..Options::default()
        },
        crate::harness::Log::Warnings,
        &[("BATON_PASSWORD", "correct-horse")],
    )
    .await;
    let said = baton(&server, &["sessions"]).await;
    assert_eq!(said.status, 0, "{}", said.err);
    let at = |password: Option<&str>| {
        let mut command = command(&server, &["doctor", "--url", &server.url]);
        match password {
            Some(password) => command.env("BATON_PASSWORD", password),
            None => command.env_remove("BATON_PASSWORD"),
        };
        command
    };
    let told = ended(at(None)).await.failed();
    assert!(
        told.contains("wants its password") && told.contains("BATON_PASSWORD"),
        "{told}"
    );
    let told = ended(at(Some("wrong-horse"))).await.failed();
    assert!(
        told.contains("wants its password") && !told.contains("wrong-horse"),
        "{told}"
    );
    let said = ended(at(Some("correct-horse"))).await.well();
    assert!(said.contains(&server.url), "{said}");
    let file = server.folder.path().join("password");
    std::fs::write(&file, "correct-horse\n").unwrap();
    let mut command = at(None);
    command.arg("--password-file").arg(&file);
    ended(command).await.well();
    let mut command = at(None);
    command.args(["--password", "correct-horse"]);
    let said = ended(command).await;
    assert_eq!(said.status, 2, "{}", said.err);
    server.stop().await;
}

#[tokio::test]
async fn a_title_of_somebody_else_does_not_steer_the_terminal() {
    let server = Server::start().await;
    let title = json!({ "title": "a\u{1b}[2Jb\nc" });
    server
        .ok(Method::POST, "/opencode/session", Some(title))
        .await;
    let said = baton(&server, &["sessions"]).await.well();
    assert!(
        !said.contains('\u{1b}') && said.lines().count() == 2,
        "{said:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn completions_and_manual_pages_know_every_command() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command.args(arguments);
        ended(command)
    };
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]).await.well();
        for word in ["sessions", "switch", "doctor", "data-dir"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let said = run(&["completions", "tcsh"]).await;
    assert!(
        said.status == 2 && said.err.contains("possible values: bash"),
        "{}",
        said.err
    );
    let page = run(&["man"]).await.well();
    assert!(
        page.contains(".TH baton 1") && page.contains("switch"),
        "{page}"
    );
    let page = run(&["man", "switch"]).await.well();
    assert!(
        page.contains(".TH baton-switch 1") && page.contains("PROVIDER/MODEL"),
        "{page}"
    );
    let said = run(&["man", "swich"]).await;
    assert!(
        said.status == 2 && said.err.contains("there is no command \"swich\""),
        "{}",
        said.err
    );
}

#[tokio::test]
async fn the_list_of_agents_fits_into_the_columns() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("baton.toml");
    let text = "[agents.a-backend-with-a-rather-long-name]\ncommand = [\"sh\", \"-c\", \"exit 3\", \"and many arguments that \
        nobody needs, but that make the line long\"]\n";
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command
        .args(["agents", "--config"])
        .arg(&config)
        .env("HOME", folder.path())
        .env("PATH", "/usr/bin:/bin");
    let said = ended(command).await.well();
    for line in said.lines() {
        assert!(
            line.chars().count() <= COLUMNS,
            "{}: {line}",
            line.chars().count()
        );
    }
    assert!(
        said.contains("mock") && said.contains("baton install claude"),
        "{said}"
    );
}
