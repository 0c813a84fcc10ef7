//! Attacks on what must stay secret: the password, and the keys of other vendors.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Log, Options, PATIENCE, Server, parts_of};

const PASSWORD: &str = "hunter2secret";
const KEY: &str = "sk-marker-4711";

fn mock() -> Options {
    Options {
        arguments: vec!["--agents".into(), "mock".into()],
        ..Options::default()
    }
}

/// A request with the password.
async fn send(server: &Server, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let bearer = format!("Bearer {PASSWORD}");
    let body = (!body.is_null()).then_some(body);
    let headers = [("authorization", bearer.as_str())];
    let answer = server.request(method, path, body, &headers).await;
    let status = answer.status();
    (status, answer.json().await.unwrap_or_default())
}

/// What one of the user's own commands prints.
async fn shell(server: &Server, command: &str) -> String {
    let (_, session) = send(server, Method::POST, "/opencode/session", json!({})).await;
    let path = format!(
        "/opencode/session/{}/shell",
        session["id"].as_str().unwrap()
    );
    let model = json!({ "providerID": "mock", "modelID": "mock" });
    let line = json!({ "agent": "build", "model": model, "command": command });
    let (status, message) = send(server, Method::POST, &path, line).await;
    assert!(status.is_success(), "{message}");
    let parts = parts_of(&message, "tool");
    parts[0]["state"]["output"]
        .as_str()
        .expect("output")
        .to_owned()
}

#[tokio::test]
async fn the_password_is_nowhere_to_be_read() {
    let variables = [("BATON_PASSWORD", PASSWORD), ("ANTHROPIC_API_KEY", KEY)];
    let by_variable = Server::start_among(mock(), Log::Warnings, &variables).await;
    let mut options = mock();
    options.arguments.push(format!("--password={PASSWORD}"));
    let by_flag = Server::start_with(options).await;
    let mut options = mock();
    options
        .arguments
        .extend(["--password".into(), PASSWORD.into()]);
    let by_two_arguments = Server::start_with(options).await;
    for server in [by_variable, by_flag, by_two_arguments] {
        let (status, _) = send(&server, Method::GET, "/global/health", Value::Null).await;
        assert_eq!(status, StatusCode::OK, "the password works");
        let asked = server
            .request(Method::GET, "/global/health", None, &[])
            .await;
        assert_eq!(asked.status(), StatusCode::UNAUTHORIZED);
        let printed = shell(
            &server,
            "env; cat /proc/$PPID/environ /proc/$PPID/cmdline | tr '\\0' '\\n'; echo end",
        )
        .await;
        assert!(printed.contains("end"), "{printed}");
        assert!(!printed.contains(PASSWORD), "{printed}");
        // Also for root, who may read everything: it is not there any more.
        for file in ["environ", "cmdline"] {
            let read = std::fs::read(format!("/proc/{}/{file}", server.pid()));
            let text = String::from_utf8_lossy(&read.unwrap_or_default()).into_owned();
            assert!(!text.contains(PASSWORD), "{file}");
        }
        for process in server.processes() {
            let read = std::fs::read(format!("/proc/{process}/environ"));
            let text = String::from_utf8_lossy(&read.unwrap_or_default()).into_owned();
            assert!(!text.contains("BATON_PASSWORD"), "{process}");
        }
        server.stop().await;
    }
}

/// A user without any rights: root may read everything, so that as root there is nothing to see.
const NOBODY: u32 = 65_534;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_other_program_of_the_user_reads_the_servers_memory() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use tokio::io::{AsyncBufReadExt, BufReader};
    let folder = tempfile::tempdir().expect("a folder");
    let own = std::fs::metadata(folder.path()).expect("a folder").uid();
    let program = folder.path().join("baton");
    let built = env!("CARGO_BIN_EXE_baton");
    // A link needs no room; it is possible on one file system only.
    if std::fs::hard_link(built, &program).is_err() {
        std::fs::copy(built, &program).expect("copied");
    }
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), mode).expect("set");
    let mut command = tokio::process::Command::new(&program);
    if own == 0 {
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
        command.uid(NOBODY).gid(NOBODY);
    }
    command
        .args([
            "serve",
            "--port",
            "0",
            "--agents",
            "mock",
            "--data-dir",
            "data",
        ])
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("BATON_PASSWORD", PASSWORD)
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
    let line = line.expect("in time").expect("stdout").expect("a line");
    let proc = format!("/proc/{}", child.id().expect("running"));
    // The kernel gives root what a process has closed to its own user.
    let uid_of = |file: &str| {
        std::fs::metadata(format!("{proc}/{file}"))
            .expect("there")
            .uid()
    };
    assert_eq!((uid_of("environ"), uid_of("mem")), (0, 0));
    let status = std::fs::read_to_string(format!("{proc}/status")).expect("readable");
    assert!(status.contains("VmRSS"), "tools that measure it still work");
    // It works all the same, its own agents and files included.
    let url = line
        .strip_prefix("baton listening on ")
        .expect("the first line");
    let list = reqwest::Client::new().get(format!("{url}/opencode/file?path="));
    let list = list.bearer_auth(PASSWORD).send().await.expect("an answer");
    assert_eq!(list.status(), StatusCode::OK);
    let providers = reqwest::Client::new().get(format!("{url}/opencode/provider"));
    let providers = providers
        .bearer_auth(PASSWORD)
        .send()
        .await
        .expect("an answer");
    let providers: Value = providers.json().await.expect("JSON");
    assert_eq!(providers["connected"], json!(["mock"]));
    child.kill().await.expect("killed");
}

/// An agent that notes its environment and goes on as the mock agent.
fn noting(id: &str, more: &str) -> String {
    let baton = env!("CARGO_BIN_EXE_baton");
    let script = format!("env > \"$HOME/{id}.env\"; exec {baton} mock-agent");
    format!("[agents.{id}]\ncommand = [\"sh\", \"-c\", '''{script}''']\n{more}\n")
}

#[tokio::test]
async fn keys_go_to_their_own_vendors_agents_and_nothing_of_batons_to_any() {
    let config = [
        noting("claude", ""),
        noting("codex", ""),
        noting("mine", ""),
        noting(
            "listed",
            "inherit = \"listed\"\nallow = [\"OTHER_*\"]\nset = { SET = \"1\" }\nenv = { ENV = \"2\" }",
        ),
        noting("gemini", "allow = [\"OPENAI_API_KEY\", \"BATON_AGENTS\"]"),
    ];
    let options = Options {
        config: config.concat(),
        arguments: vec![],
    };
    let variables = [
        ("ANTHROPIC_API_KEY", KEY),
        ("OPENAI_API_KEY", KEY),
        ("OTHER_TOKEN", KEY),
        ("UNRELATED", "x"),
        ("BATON_PASSWORD", PASSWORD),
        ("BATON_AGENTS", "claude,codex,mine,listed,gemini"),
    ];
    let server = Server::start_among(options, Log::Warnings, &variables).await;
    // It answers when every backend was probed.
    let _ = send(&server, Method::GET, "/opencode/provider", Value::Null).await;
    let names = async |id: &str| {
        let file = server.folder.path().join(format!("{id}.env"));
        let noted = async {
            loop {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                if text.contains("PATH=") && text.ends_with('\n') {
                    return text;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        let text = tokio::time::timeout(PATIENCE, noted).await.expect("noted");
        let names = text.lines().filter_map(|line| line.split_once('='));
        names.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    let all = [
        "ANTHROPIC_API_KEY",
        "OPENAI_API_KEY",
        "OTHER_TOKEN",
        "UNRELATED",
        "BATON_PASSWORD",
        "BATON_AGENTS",
        "BATON_LOG",
        "BATON_PASSWORD_PIPE",
        "SET",
        "ENV",
    ];
    for (id, expected) in [
        (
            "claude",
            &["ANTHROPIC_API_KEY", "OTHER_TOKEN", "UNRELATED"][..],
        ),
        ("codex", &["OPENAI_API_KEY", "OTHER_TOKEN", "UNRELATED"]),
        (
            "mine",
            &[
                "ANTHROPIC_API_KEY",
                "OPENAI_API_KEY",
                "OTHER_TOKEN",
                "UNRELATED",
            ],
        ),
        ("listed", &["OTHER_TOKEN", "SET", "ENV"]),
        (
            "gemini",
            &["OPENAI_API_KEY", "OTHER_TOKEN", "UNRELATED", "BATON_AGENTS"],
        ),
    ] {
        let got = names(id).await;
        let of_ours: Vec<_> = all
            .iter()
            .filter(|name| got.iter().any(|g| g == *name))
            .collect();
        assert_eq!(of_ours, expected.iter().collect::<Vec<_>>(), "{id}");
    }
    drop(server);
}

#[tokio::test]
async fn what_the_users_own_commands_get_is_a_setting() {
    let options = Options {
        config: "[environment]\ninherit = \"listed\"\nallow = [\"MY_*\"]\nset = { SET = \"1\" }\n"
            .into(),
        ..mock()
    };
    let variables = [
        ("MY_OWN", "x"),
        ("SECRET_OF_OTHERS", "x"),
        ("BATON_PASSWORD", PASSWORD),
    ];
    let server = Server::start_among(options, Log::Warnings, &variables).await;
    let printed = shell(&server, "env; echo end").await;
    for (name, there) in [
        ("PATH=", true),
        ("MY_OWN=", true),
        ("SET=", true),
        ("SECRET_OF_OTHERS=", false),
        ("BATON_", false),
    ] {
        assert_eq!(
            printed.lines().any(|line| line.starts_with(name)),
            there,
            "{name}"
        );
    }
    // The mark by which tests find processes is not listed, so that there is nothing to look for.
    drop(server);
}

#[tokio::test]
async fn git_gets_no_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let git = folder.path().join("git");
    let noted = folder.path().join("noted");
    let real = which("git");
    let script = format!(
        "#!/bin/sh\nenv >> '{}'\nexec '{real}' \"$@\"\n",
        noted.display()
    );
    std::fs::write(&git, script).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&git, mode).expect("set");
    let path = format!(
        "{}:{}",
        folder.path().display(),
        std::env::var("PATH").expect("PATH")
    );
    let variables = [
        ("PATH", path.as_str()),
        ("ANTHROPIC_API_KEY", KEY),
        ("GITHUB_TOKEN", KEY),
        ("BATON_PASSWORD", PASSWORD),
    ];
    let server = Server::start_among(mock(), Log::Warnings, &variables).await;
    let made = send(
        &server,
        Method::POST,
        "/opencode/project/git/init",
        Value::Null,
    )
    .await;
    assert_eq!(made.0, StatusCode::OK, "{}", made.1);
    let text = std::fs::read_to_string(&noted).expect("git has run");
    assert!(
        text.contains("PATH=") && !text.contains(KEY) && !text.contains(PASSWORD),
        "{text}"
    );
    assert!(!text.contains("BATON_"));
    server.stop().await;
}

fn which(program: &str) -> String {
    let path = std::env::var("PATH").expect("PATH");
    let found = path.split(':').map(|folder| format!("{folder}/{program}"));
    let mut found = found.filter(|file| std::path::Path::new(file).is_file());
    found.next().expect("installed")
}

#[tokio::test]
async fn what_agents_say_of_keys_is_masked_in_errors_and_in_the_log() {
    let says = |id: &str, script: &str| {
        format!("[agents.{id}]\ncommand = [\"sh\", \"-c\", '''{script}''']\n")
    };
    let refusal = r#"read line; echo "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-1,\"message\":\"no: $MY_API_KEY\",\"data\":{\"details\":\"sent $SET_TOKEN\"}}}"; sleep 1"#;
    let options = Options {
        config: [
            says(
                "dies",
                "echo \"bad key: $MY_API_KEY, $BATON_PASSWORD\" >&2; exit 1",
            ),
            says("refuses", refusal) + "set = { SET_TOKEN = \"set-token-value\" }\n",
        ]
        .concat(),
        arguments: vec!["--agents".into(), "dies,refuses,mock".into()],
    };
    let log = tempfile::NamedTempFile::new().expect("a file");
    let variables = [("MY_API_KEY", KEY), ("BATON_PASSWORD", PASSWORD)];
    let to = Log::EverythingTo(log.reopen().expect("open"));
    let server = Server::start_among(options, to, &variables).await;
    let (_, session) = send(&server, Method::POST, "/opencode/session", json!({})).await;
    let path = format!("/opencode/session/{}", session["id"].as_str().unwrap());
    for id in ["dies", "refuses"] {
        let body = json!({ "providerID": id, "modelID": "x" });
        let (status, error) = send(&server, Method::PATCH, &path, body).await;
        let error = error.to_string();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
        // What it has written to its stderr is in the log alone.
        assert_eq!(error.contains("[masked]"), id == "refuses", "{error}");
        assert!(!error.contains("bad key"), "{error}");
        for secret in [KEY, PASSWORD, "set-token-value"] {
            assert!(!error.contains(secret), "{error}");
        }
    }
    // What a client sends is not one of our secrets unless it equals one: it is masked where it comes back in an error.
    let wrong = json!({ "providerID": KEY, "modelID": "x" });
    let (_, error) = send(&server, Method::PATCH, &path, wrong).await;
    assert!(!error.to_string().contains(KEY), "{error}");
    server.stop().await;
    let text = std::fs::read_to_string(log.path()).expect("a log");
    assert!(text.contains("bad key: [masked]"), "{text}");
    for secret in [KEY, PASSWORD, "set-token-value"] {
        assert!(!text.contains(secret), "the log has {secret}");
    }
}

#[tokio::test]
async fn what_a_dying_agent_has_said_of_keys_is_masked_in_its_events() {
    let baton = env!("CARGO_BIN_EXE_baton");
    let script = format!("echo \"key: $MY_API_KEY\" >&2; exec {baton} mock-agent");
    let options = Options {
        config: format!("[agents.talks]\ncommand = [\"sh\", \"-c\", '''{script}''']\n"),
        arguments: vec!["--agents".into(), "talks".into()],
    };
    let variables = [("MY_API_KEY", KEY)];
    let server = Server::start_among(options, Log::Warnings, &variables).await;
    let session = server.create().await;
    let mut events = server.events().await;
    server.prompt_async(&session, "crash", json!({})).await;
    let error = events
        .until("session.error", |p| p["sessionID"] == session)
        .await;
    let error = error.properties.to_string();
    assert!(
        error.contains("exit status: 70") && !error.contains("key:"),
        "{error}"
    );
    events
        .until("session.idle", |p| p["sessionID"] == session)
        .await;
    let all: String = events.seen.iter().map(|e| e.whole.to_string()).collect();
    assert!(!all.contains(KEY), "{all}");
    let stored = json!(server.messages(&session).await).to_string();
    assert!(
        !stored.contains("key:") && !stored.contains(KEY),
        "{stored}"
    );
    server.stop().await;
}
