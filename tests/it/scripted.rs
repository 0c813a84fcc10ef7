//! A server whose agents can be told, while it runs, what to do wrong.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Options, Server, model, text_of};

/// Timeouts that a test can wait for.
pub(crate) const IMPATIENT: &str =
    "[timeouts]\nstart_s = 2\nsession_s = 1\nswitch_s = 1\ncancel_s = 1\nend_ms = 300\n";

/// A server with `mock` and these backends. Each of their processes notes its start in the file
/// `started`, and takes further arguments from the file `faults`; probes run elsewhere, so they
/// find no faults.
pub(crate) async fn scripted(names: &[&str], config: &str) -> Server {
    let script = "echo $1 >> ../started; name=$1; shift; \
        exec \"$0\" mock-agent --state-dir ../$name $(cat ../faults 2>/dev/null) \"$@\"";
    let mut tables = String::new();
    for name in names {
        let command = [
            "sh",
            "-c",
            script,
            env!("CARGO_BIN_EXE_baton"),
            name,
            "--models",
            "x,y,z",
        ];
        tables.push_str(&format!("[agents.{name}]\ncommand = {command:?}\n"));
    }
    let config = format!("{tables}{config}");
    let arguments = vec!["--agents".into(), format!("mock,{}", names.join(","))];
    let server = Server::start_with(Options { config, arguments }).await;
    // Every probe is over once its backend is asked for.
    server.get("/opencode/provider").await;
    server
}

/// The faults of the processes that are started from now on.
pub(crate) fn set_faults(server: &Server, faults: &str) {
    std::fs::write(server.folder.path().join("faults"), faults).unwrap();
}

/// The backends whose processes were started for sessions, in order.
pub(crate) fn started(server: &Server) -> Vec<String> {
    let all = std::fs::read_to_string(server.folder.path().join("started")).unwrap_or_default();
    all.lines().map(str::to_owned).collect()
}

/// Kills the agent that answers for a session.
pub(crate) async fn kill_agent(server: &Server, session: &str) {
    let pid = server.say(session, "pid").await;
    kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
}

/// A session that has talked to a model.
pub(crate) async fn talking(server: &Server, provider: &str, id: &str) -> String {
    let session = server.create().await;
    let answer = server
        .prompt(&session, "echo one", model(provider, id))
        .await;
    assert_eq!(text_of(&answer), "one", "{answer}");
    session
}

/// A session as it is.
pub(crate) async fn session_of(server: &Server, session: &str) -> Value {
    server.get(&format!("/opencode/session/{session}")).await
}

/// PATCHes a session and waits for what comes of it.
pub(crate) async fn try_select(server: &Server, session: &str, id: &str) -> (StatusCode, Value) {
    let path = format!("/opencode/session/{session}?wait=true");
    let wish = json!({ "providerID": "second", "modelID": id });
    server.send(Method::PATCH, &path, Some(wish)).await
}

/// What an error says.
pub(crate) fn message_of(error: &Value) -> &str {
    error["data"]["message"].as_str().expect("a message")
}
