//! Where the password comes from, and what is said when it, or the rest of the configuration, is wrong.

use std::process::Output;

use reqwest::{Method, StatusCode};

use crate::harness::{Log, Options, PATIENCE, Server};

const PASSWORD: &str = "hunter2secret";

fn mock() -> Options {
    Options {
        arguments: vec!["--agents".into(), "mock".into()],
        ..Options::default()
    }
}

/// Starts a server that is to refuse to start.
async fn refused(config: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("b.toml"), config).expect("written");
    std::fs::write(folder.path().join("empty"), "\n").expect("written");
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_baton"));
    command
        .args([
            "serve",
            "--port",
            "0",
            "--agents",
            "mock",
            "--config",
            "b.toml",
            "--data-dir",
            "data",
        ])
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    output.expect("it ends").expect("it ran")
}

#[tokio::test]
async fn an_empty_password_is_refused_from_wherever_it_comes() {
    let configured = "[server]\npassword = \"\"\n";
    let in_file = "[server]\npassword_file = \"empty\"\n";
    for (config, arguments, variables) in [
        ("", &["--password", ""][..], &[][..]),
        ("", &["--password="], &[]),
        ("", &["--password", "  "], &[]),
        ("", &["--password-file", "empty"], &[]),
        ("", &[], &[("BATON_PASSWORD", "")]),
        ("", &[], &[("BATON_PASSWORD_FILE", "empty")]),
        (configured, &[], &[]),
        (in_file, &[], &[]),
    ] {
        let output = refused(config, arguments, variables).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?} {variables:?}: {said}"
        );
        assert!(
            said.contains("password is empty") && said.contains("at least 8"),
            "{said}"
        );
        assert!(output.stdout.is_empty());
    }
}

#[tokio::test]
async fn an_error_in_the_configuration_names_the_place_and_never_the_text() {
    for (config, place) in [
        (
            "[server]\npassword = hunter2secret\n",
            "b.toml, line 2, column 12, at server.password",
        ),
        (
            "[agents.x]\nenv = { A = [\"hunter2secret\"] }\n",
            "b.toml, line 2, column 13, at agents.x.env",
        ),
        (
            "[agents.x]\ncommand = \"hunter2secret\"\n",
            "b.toml, line 2, column 11, at agents.x.command",
        ),
    ] {
        let output = refused(config, &[], &[]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(place), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    for arguments in [
        &["--pasword", PASSWORD][..],
        &["--password", PASSWORD, "--password", PASSWORD],
    ] {
        let output = refused("", arguments, &[]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
}

#[tokio::test]
async fn the_password_may_stand_in_a_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let (file, log) = (folder.path().join("password"), folder.path().join("log"));
    std::fs::write(&file, format!("{PASSWORD}\n")).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("set");
    let mut options = mock();
    options
        .arguments
        .extend(["--password-file".into(), file.display().to_string()]);
    let to = Log::EverythingTo(std::fs::File::create(&log).expect("a log"));
    let server = Server::start_logging(options, to).await;
    let bearer = format!("Bearer {PASSWORD}");
    let headers = [("authorization", bearer.as_str())];
    let answer = server.request(Method::GET, "/global/health", None, &headers);
    assert_eq!(answer.await.status(), StatusCode::OK);
    let text = std::fs::read_to_string(&log).expect("a log");
    assert!(text.contains("chmod 600"), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn a_short_password_is_warned_of_and_help_says_what_can_be_seen() {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let to = Log::EverythingTo(log.reopen().expect("open"));
    let server = Server::start_among(mock(), to, &[("BATON_PASSWORD", "short")]).await;
    let text = std::fs::read_to_string(log.path()).expect("a log");
    assert!(text.contains("the password is short"), "{text}");
    server.stop().await;
    let help = tokio::process::Command::new(env!("CARGO_BIN_EXE_baton"))
        .args(["serve", "--help"])
        .output()
        .await
        .expect("it ran");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(
        help.contains("`ps`") && help.contains("--password-file"),
        "{help}"
    );
}
