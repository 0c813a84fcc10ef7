//! The commands for people, against a running server, and without one.

use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::handoff::pair;
use crate::harness::{Options, PATIENCE, Server, model};

/// Columns that everything for people fits into.
const COLUMNS: usize = 100;

/// What a command has said.
struct Said {
    status: i32,
    out: String,
    err: String,
}

impl Said {
    /// Its output, where it has done its work.
    fn well(self) -> String {
        assert_eq!(self.status, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// What it says is wrong.
    fn failed(self) -> String {
        assert_eq!(self.status, 1, "{}{}", self.out, self.err);
        self.err
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().expect("it was not killed"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

/// A command for a server that is found by its data directory.
fn command(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command
        .args(arguments)
        .current_dir(server.work())
        .env("HOME", server.folder.path())
        .env("BATON_DATA_DIR", server.folder.path().join("data"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn ended(mut command: Command) -> Said {
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    output.expect("it ends").expect("it starts").into()
}

async fn baton(server: &Server, arguments: &[&str]) -> Said {
    ended(command(server, arguments)).await
}

/// Starts a command and leaves it running.
fn start(server: &Server, arguments: &[&str]) -> Child {
    let mut command = command(server, arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it starts")
}

/// The first line that has a word in it.
async fn line_with(lines: &mut (impl AsyncBufReadExt + Unpin), word: &str) -> String {
    let read = async {
        loop {
            let mut line = String::new();
            let read = lines.read_line(&mut line).await.expect("readable");
            assert!(read > 0, "no line has {word:?} in it");
            if line.contains(word) {
                return line;
            }
        }
    };
    let line = tokio::time::timeout(PATIENCE, read).await;
    line.unwrap_or_else(|_| panic!("no line has {word:?} in it"))
}

#[tokio::test]
async fn without_a_server_every_command_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("none");
    let of_session: &[&[&str]] = &[
        &["sessions"],
        &["show", "last"],
        &["switch", "last", "mock/mock"],
        &["send", "last", "hello"],
        &["answer", "per_1", "once"],
        &["events"],
        &["events", "--follow", "last"],
        &["doctor"],
    ];
    for arguments in of_session {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command
            .args(*arguments)
            .arg("--data-dir")
            .arg(&data)
            .env("HOME", folder.path());
        let said = ended(command).await;
        let shown = data.display().to_string();
        let is_doctor = arguments[0] == "doctor";
        assert_eq!(
            said.out.is_empty(),
            !is_doctor,
            "{arguments:?}: {}",
            said.out
        );
        let told = said.failed();
        assert!(
            told.contains(&format!("no Baton runs for the data directory {shown}"))
                && told.contains("baton serve"),
            "{arguments:?}: {told}"
        );
        assert!(!data.exists(), "nothing is made");
    }
    // At an address where nobody listens.
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command.args(["sessions", "--url", "http://127.0.0.1:1"]);
    let told = ended(command).await.failed();
    assert!(
        told.contains("does not answer at http://127.0.0.1:1"),
        "{told}"
    );
}

#[tokio::test]
async fn a_session_is_listed_shown_and_switched() {
    let server = pair(&["--models", "x,strong:8b"], "").await;
    let said = baton(&server, &["sessions"]).await;
    assert!(said.err.contains("no sessions"), "{}", said.err);
    let session = server.create().await;
    server
        .prompt(&session, "tool a.txt", model("mock", "mock"))
        .await;

    let listed = baton(&server, &["sessions"]).await.well();
    let row = listed.lines().nth(1).expect("a row");
    for word in [&session[..], "test", "mock/mock", "idle", "just now"] {
        assert!(row.contains(word), "{word}: {listed}");
    }
    let json = baton(
        &server,
        &["sessions", "--json", "--here", "--search", "TES"],
    )
    .await
    .well();
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json[0]["id"], session, "{json}");
    let none = baton(&server, &["sessions", "--search", "nothing"]).await;
    assert_eq!(none.out, "");

    // By the beginning of its id, with and without what all begin with.
    for wanted in [&session[..14], &session[4..14], "last"] {
        let shown = baton(&server, &["show", wanted]).await.well();
        assert!(shown.starts_with(&session), "{shown}");
    }

    let line = baton(&server, &["switch", "last", "second/strong:8b", "--wait"])
        .await
        .well();
    assert!(
        line.starts_with("mock/mock → second/strong:8b · the conversation goes with the next prompt: 2 messages, "),
        "{line}"
    );
    assert!(
        line.trim_end().ends_with(" ms") || line.trim_end().ends_with(" s"),
        "{line}"
    );
    let json = baton(
        &server,
        &[
            "switch",
            "last",
            "second/strong:8b:high",
            "--json",
            "--wait",
        ],
    )
    .await
    .well();
    let entry: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(entry["current"]["variant"], "high", "{entry}");
    assert_eq!(entry["client"], "baton-cli", "{entry}");
    let same = baton(&server, &["switch", "last", "second/strong:8b:high"])
        .await
        .well();
    assert_eq!(same, "second/strong:8b (high) · unchanged\n");
    let plan = baton(&server, &["switch", "last", "--agent", "plan", "--wait"])
        .await
        .well();
    assert!(plan.contains(", agent plan"), "{plan}");

    let shown = baton(&server, &["show", &session]).await.well();
    let places = [
        "you  ",
        "tool a.txt",
        "mock/mock  ",
        "[edit done] Edit a.txt",
        "── mock/mock → second/strong:8b · ",
        "by a PATCH of baton-cli",
        "MODEL ",
    ];
    let mut at = 0;
    for place in places {
        let found = shown[at..].find(place);
        at += found.unwrap_or_else(|| panic!("{place} is not behind the others: {shown}"));
    }
    let whole = baton(&server, &["show", "last", "--json"]).await.well();
    let whole: Value = serde_json::from_str(&whole).expect("JSON");
    assert_eq!(
        whole["messages"].as_array().map(Vec::len),
        Some(3),
        "{whole}"
    );
    assert!(whole["models"]["switches"].is_array());
    // No colours, as nobody looks.
    assert!(!shown.contains('\x1b'));
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_had_is_told_with_status_1() {
    let server = Server::start().await;
    let none = baton(&server, &["show", "last"]).await.failed();
    assert!(none.contains("there are no sessions yet"), "{none}");
    let (one, other) = (server.create().await, server.create().await);
    let common: String = one
        .chars()
        .zip(other.chars())
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| a)
        .collect();
    let both = baton(&server, &["show", &common]).await.failed();
    assert!(
        both.contains("2 sessions begin with") && both.contains(&one) && both.contains(&other),
        "{both}"
    );
    for (arguments, told) in [
        (&["show", "zzz"][..], "no session's id begins with \"zzz\""),
        (
            &["switch", "last", "mock/mock-stong"],
            "Did you mean mock-strong",
        ),
        (
            &["switch", "last", "mock/mock-strong:hihg"],
            "no variant \"hihg\". It has: low, medium, high",
        ),
        (&["switch", "last", "mock/mock", "--agent", "paln"], "paln"),
        (&["answer", "per_1", "once"], "not found"),
    ] {
        let said = baton(&server, arguments).await.failed();
        assert!(
            said.starts_with("baton: ") && said.contains(told),
            "{arguments:?}: {said}"
        );
    }
    for (arguments, told) in [
        (&["switch", "last", "mock"][..], "PROVIDER/MODEL"),
        (&["switch", "last"], "required"),
        (&["answer", "per_1", "maybe"], "once, always, reject"),
        (&["answer", "x", "once"], "names nothing that waits"),
        (&["send", "last", " "], "nothing to send"),
        (&["sessions", "--url", "https://x"], "only http://"),
    ] {
        let said = baton(&server, arguments).await;
        assert_eq!(said.status, 2, "{arguments:?}: {}", said.err);
        assert!(said.err.contains(told), "{arguments:?}: {}", said.err);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_switch_that_fails_ends_with_status_1_and_the_reason() {
    let server = pair(&["--models", "x,y", "--fault", "reports-other-model"], "").await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let told = baton(&server, &["switch", "last", "second/y", "--wait"])
        .await
        .failed();
    assert!(
        told.contains("Backend \"second\" has accepted model \"y\" and stayed with \"x\"."),
        "{told}"
    );
    let shown = baton(&server, &["show", "last"]).await.well();
    assert!(
        shown.contains("── mock/mock → second/y · failed: Backend \"second\""),
        "{shown}"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_answer_is_written_as_it_comes_and_says_who_has_given_it() {
    let server = Server::start().await;
    let session = server.create().await;
    let said = baton(&server, &["send", &session, "echo one two"]).await;
    assert_eq!((said.status, said.out.as_str()), (0, "one two\n"));
    assert!(said.err.contains("— mock/mock · "), "{}", said.err);

    // It comes before the end.
    let mut slow = start(&server, &["send", "last", "slow 60"]);
    let mut out = BufReader::new(slow.stdout.take().expect("stdout"));
    let mut first = [0; 1];
    let read = tokio::time::timeout(PATIENCE, out.read_exact(&mut first)).await;
    read.expect("in time").expect("something");
    // Ctrl-C stops the answer, too.
    let pid = i32::try_from(slow.id().expect("running")).expect("a pid");
    kill(Pid::from_raw(pid), Signal::SIGINT).expect("sent");
    let status = tokio::time::timeout(PATIENCE, slow.wait()).await;
    assert_eq!(
        status.expect("it ends").expect("a status").code(),
        Some(130)
    );
    server.until_idle(&session).await;
    let last = server.messages(&session).await.pop().expect("an answer");
    assert_eq!(
        last["info"]["error"]["name"], "MessageAbortedError",
        "{last}"
    );

    // From a pipe, and one that fails.
    let mut command = command(&server, &["send", "last", "-"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(b"error\n").await.expect("written");
    drop(stdin);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let said = Said::from(output.expect("it ends").expect("output"));
    assert_eq!(said.out, "about to fail\n");
    assert!(said.failed().contains("mock failure"));
    server.stop().await;
}

#[tokio::test]
async fn what_waits_for_its_user_is_told_with_the_command_that_answers_it() {
    let server = Server::start().await;
    let session = server.create().await;
    for (prompt, answer, outcome) in [
        ("permission rm -rf build", "once", "permission granted"),
        ("permission rm -rf build", "reject", "permission rejected"),
        ("question", "blue", "you chose Blue"),
    ] {
        let mut asking = start(&server, &["send", &session, prompt]);
        let mut words = BufReader::new(asking.stderr.take().expect("stderr"));
        let told = line_with(&mut words, "answer with: baton answer ").await;
        let id = told
            .split_whitespace()
            .find(|word| word.starts_with("per_") || word.starts_with("que_"));
        let id = id.unwrap_or_else(|| panic!("{told}"));
        assert!(
            told.contains("--data-dir"),
            "the next command finds it: {told}"
        );
        let said = baton(&server, &["answer", id, answer]).await;
        assert!(said.err.contains("has your answer"), "{}", said.err);
        let output = tokio::time::timeout(PATIENCE, asking.wait_with_output()).await;
        let output = output.expect("it ends").expect("output");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(outcome), "{prompt}, {answer}: {text}");
    }
    server.stop().await;
}

#[tokio::test]
async fn events_are_told_afterwards_and_as_they_come() {
    let server = Server::start().await;
    let (session, other) = (server.create().await, server.create().await);
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let told = baton(&server, &["events", &session]).await.well();
    assert!(
        told.contains("session.model_changed") && told.contains("→ mock/mock (message"),
        "{told}"
    );
    assert!(!told.contains(&other), "{told}");
    let all = baton(&server, &["events", "--json"]).await.well();
    let mut kinds = Vec::new();
    for line in all.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        kinds.push(event["type"].as_str().expect("a type").to_owned());
    }
    assert!(all.contains(&other), "{all}");
    assert!(
        kinds.iter().any(|kind| kind == "session.model_applied"),
        "{kinds:?}"
    );

    let mut following = start(&server, &["events", "--follow", &session]);
    let mut words = BufReader::new(following.stderr.take().expect("stderr"));
    line_with(&mut words, "listening").await;
    server.select(&session, "mock", "mock-fast").await;
    let mut lines = BufReader::new(following.stdout.take().expect("stdout"));
    let line = line_with(&mut lines, "session.model_applied").await;
    assert!(line.contains("mock/mock-fast · native"), "{line}");
    // Nobody reads any more: it ends at the next event, and nothing is wrong.
    drop(lines);
    let gone = async {
        loop {
            server.select(&session, "mock", "mock").await;
            server.select(&session, "mock", "mock-fast").await;
            if let Some(status) = following.try_wait().expect("a status") {
                return status;
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, gone).await.expect("it ends");
    assert_eq!(status.code(), Some(0));
    let mut rest = String::new();
    words.read_to_string(&mut rest).await.expect("stderr");
    assert_eq!(rest, "");
    server.stop().await;
}

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
