//! What people see of sessions, and do to them.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::{Said, baton, command, ended, line_with, start};
use crate::handoff::pair;
use crate::harness::{PATIENCE, Server, model};

#[tokio::test]
async fn without_a_server_every_command_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("none");
    let of_session: &[&[&str]] = &[
        &["sessions"],
        &["show", "last"],
        &["switch", "last", "mock/mock"],
        &["limit", "last"],
        &["mcp"],
        &["mcp", "connect", "x"],
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
    // At an address without a listener.
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
    // No colours, as this is not a terminal.
    assert!(!shown.contains('\x1b'));
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_available_is_reported_with_status_1() {
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
        (&["mcp", "connect", "none"], "no MCP server \"none\""),
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
        (&["limit", "last", "--cost=-1"], "as in 2.50"),
        (&["limit", "last", "--hard"], "--cost, --tokens or both"),
        (
            &["limit", "last", "--none", "--tokens", "5"],
            "cannot be used with",
        ),
        (&["mcp", "add", "x"], "required"),
        (
            &["mcp", "add", "x", "http://a", "--", "sh"],
            "cannot be used with",
        ),
    ] {
        let said = baton(&server, arguments).await;
        assert_eq!(said.status, 2, "{arguments:?}: {}", said.err);
        assert!(said.err.contains(told), "{arguments:?}: {}", said.err);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_handover_is_chosen_and_seen_before() {
    let server = pair(&["--models", "x,y"], "").await;
    let session = server.create().await;
    server
        .prompt(&session, "echo AMBER", model("mock", "mock"))
        .await;
    let to = ["switch", "last", "second/x"];
    let preview = [&to[..], &["--preview"]].concat();
    let seen = baton(&server, &preview).await.well();
    assert!(
        seen.starts_with("2 messages, ") && seen.contains("| AMBER"),
        "{seen}"
    );
    let summary = [&to[..], &["--preview", "--handoff", "summary"]].concat();
    let seen = baton(&server, &summary).await.well();
    assert!(
        seen.starts_with("a summary, written by mock/mock from 2 messages"),
        "{seen}"
    );
    let chosen = [
        &to[..],
        &["--handoff", "none", "--note", "start anew", "--wait"],
    ]
    .concat();
    let said = baton(&server, &chosen).await.well();
    assert!(
        said.contains("nothing of the conversation goes over"),
        "{said}"
    );
    let known = server.say(&session, "history").await;
    assert!(
        known.contains("start anew") && !known.contains("AMBER"),
        "{known}"
    );

    let chain = [
        "switch",
        "last",
        "--fallback",
        "mock/mock",
        "--fallback",
        "mock/mock-strong:high",
    ];
    let said = baton(&server, &chain).await.well();
    assert_eq!(
        said.trim(),
        "falls back to mock/mock, mock/mock-strong (high)"
    );
    let path = format!("/opencode/session/{session}");
    assert_eq!(server.get(&path).await["fallback"][1]["variant"], "high");
    let said = baton(&server, &["switch", "last", "--fallback", "none"])
        .await
        .well();
    assert_eq!(said.trim(), "nobody goes on for a model that cannot answer");
    let shown = baton(&server, &["show", "last"]).await.well();
    assert!(shown.contains(said.trim()), "{shown}");
    let said = baton(&server, &["switch", "last", "--fallback", "default"])
        .await
        .well();
    assert_eq!(said.trim(), "falls back as the server's own chain says");
    assert_eq!(server.get(&path).await["fallback"], Value::Null);
    let said = baton(&server, &["switch", "last", "second/y", "--handoff", "all"]).await;
    assert!(said.err.contains("possible values"), "{}", said.err);
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
async fn what_waits_for_its_user_is_shown_with_the_command_that_answers_it() {
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
async fn events_are_shown_afterwards_and_as_they_come() {
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
    // The reader is gone: it ends at the next event, without an error.
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
async fn what_an_agent_has_already_is_listed_and_gone_on_with() {
    let server = Server::start().await;
    let said = baton(&server, &["import"]).await;
    assert!(said.err.contains("no sessions"), "{}", said.err);
    let session = server.create().await;
    server
        .prompt(&session, "echo mine", model("mock", "mock"))
        .await;
    let native = server.say(&session, "session").await;
    // Somebody else's, from here on.
    let path = server.folder.path().join("data/mock");
    let path = std::fs::read_dir(&path).map(|_| path.join(format!("{native}.json")));
    let path = path.expect("the mock's sessions");
    let stored = std::fs::read_to_string(&path).expect("a native session");
    let other = stored.replace(&native, "mock-other");
    std::fs::write(path.with_file_name("mock-other.json"), other).expect("written");

    let listed = baton(&server, &["import", "mock"]).await.well();
    let row = |id: &str| {
        listed
            .lines()
            .find(|line| line.contains(id))
            .map(str::to_owned)
    };
    let (own, other) = (
        row(&native).expect("a row"),
        row("mock-other").expect("a row"),
    );
    assert!(
        own.contains(&session) && other.contains("echo mine"),
        "{listed}"
    );
    let json = baton(&server, &["import", "--json", "--everywhere"])
        .await
        .well();
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (json.as_array().map(Vec::len), &json[0]["providerID"]),
        (Some(2), &"mock".into())
    );

    let made = baton(&server, &["import", "mock", "mock-other"])
        .await
        .well();
    assert!(
        made.starts_with("ses_") && made.contains("mock/mock"),
        "{made}"
    );
    let shown = baton(&server, &["show", made.split(' ').next().unwrap()])
        .await
        .well();
    assert!(
        shown.contains("echo mine") && shown.contains("mock/unknown"),
        "{shown}"
    );
    let told = baton(&server, &["import", "mock", "mock-other"])
        .await
        .failed();
    assert!(told.contains("goes on in native session"), "{told}");
    server.stop().await;
}
