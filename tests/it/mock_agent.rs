//! `baton mock-agent` as a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgid};
use serde_json::{Value, json};

/// The longest that anything may take. Only a failing test waits this long.
const LIMIT: Duration = Duration::from_secs(60);

/// A running agent. Its process group ends with it.
struct Agent {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    requests: i64,
}

impl Agent {
    fn start(flags: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_baton"))
            .arg("mock-agent")
            .args(flags)
            .env_remove("BATON_MOCK_STATE_DIR")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self {
            stdin: process.stdin.take(),
            process,
            lines,
            requests: 0,
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().try_into().unwrap())
    }

    /// Sends a request and returns its id.
    fn send(&mut self, method: &str, params: Value) -> i64 {
        self.requests += 1;
        let id = self.requests;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        writeln!(self.stdin.as_ref().unwrap(), "{request}").unwrap();
        id
    }

    /// The next line of stdout, or `None` at its end. The slash commands, which are told by themselves
    /// whenever a session was opened, are skipped.
    fn line(&self) -> Option<String> {
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) if line.contains("available_commands_update") => {}
                Ok(line) => return Some(line),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("the agent says nothing"),
            }
        }
    }

    /// The updates until the response to a request, and the response.
    fn response(&self, id: i64) -> (Vec<Value>, Value) {
        let mut updates = Vec::new();
        loop {
            let line = self.line().expect("the agent has gone");
            let Ok(mut message) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            if message["id"] == id {
                return (updates, message);
            }
            updates.push(message["params"]["update"].take());
        }
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        let (_, response) = self.response(id);
        assert!(response["error"].is_null(), "{response}");
        response["result"].clone()
    }

    fn session(&mut self) -> String {
        let new = self.call("session/new", json!({"cwd": "/", "mcpServers": []}));
        new["sessionId"].as_str().unwrap().to_owned()
    }

    fn send_prompt(&mut self, session: &str, text: &str) -> i64 {
        let prompt = json!([{"type": "text", "text": text}]);
        self.send(
            "session/prompt",
            json!({"sessionId": session, "prompt": prompt}),
        )
    }

    /// The text of the answer to a prompt.
    fn ask(&mut self, session: &str, text: &str) -> String {
        let id = self.send_prompt(session, text);
        let (updates, _) = self.response(id);
        texts(&updates, "agent_message_chunk").concat()
    }

    /// Closes stdin and returns the lines that were left, and the exit status.
    fn end(mut self) -> (Vec<String>, ExitStatus) {
        drop(self.stdin.take());
        let lines = std::iter::from_fn(|| self.line()).collect();
        (lines, self.process.wait().unwrap())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Nothing is left to end if the agent has ended by itself.
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

fn texts<'a>(updates: &'a [Value], kind: &str) -> Vec<&'a str> {
    let chunks = updates
        .iter()
        .filter(|update| update["sessionUpdate"] == kind);
    let text = |update: &'a Value| update["content"]["text"].as_str().unwrap();
    chunks.map(text).collect()
}

fn resource(session: &str) -> Value {
    json!({"sessionId": session, "cwd": "/", "mcpServers": []})
}

#[test]
fn it_ends_with_stdin_and_answers_what_it_was_asked_before() {
    let mut agent = Agent::start(&[]);
    let id = agent.send("initialize", json!({"protocolVersion": 1}));
    let (lines, status) = agent.end();
    assert!(status.success());
    assert_eq!(lines.len(), 1);
    let response: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(response["id"], id);
    assert_eq!(response["result"]["agentInfo"]["name"], "baton-mock-agent");
}

#[test]
fn another_process_goes_on_with_a_session() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--state-dir", directory.path().to_str().unwrap()];
    let mut first = Agent::start(&flags);
    let session = first.session();
    assert_eq!(first.ask(&session, "echo one"), "one");
    first.send_prompt(&session, "crash");
    while first.line().is_some() {}
    assert_eq!(first.process.wait().unwrap().code(), Some(70));

    // What the user said survives a crash; what was being answered does not.
    let mut second = Agent::start(&flags);
    let load = second.send("session/load", resource(&session));
    let (replayed, _) = second.response(load);
    assert_eq!(
        texts(&replayed, "user_message_chunk"),
        ["echo one", "crash"]
    );
    assert_eq!(texts(&replayed, "agent_message_chunk"), ["one"]);
    assert_eq!(second.ask(&session, "echo two"), "two");

    let mut third = Agent::start(&flags);
    let resume = third.send("session/resume", resource(&session));
    let (replayed, _) = third.response(resume);
    assert!(replayed.is_empty());
    let history = third.ask(&session, "history");
    assert!(
        history.ends_with("4. user: echo two\n5. assistant [mock]: two"),
        "{history}"
    );

    // The file is newer than what the second process remembers.
    second.call("session/resume", resource(&session));
    assert!(second.ask(&session, "history").contains("6. user: history"));

    let mut stateless = Agent::start(&[]);
    let load = stateless.send("session/load", resource(&session));
    assert_eq!(stateless.response(load).1["error"]["code"], -32002);
}

#[test]
fn a_crash_comes_after_what_was_said() {
    let mut agent = Agent::start(&[]);
    let session = agent.session();
    agent.send_prompt(&session, "crash");
    assert!(agent.line().unwrap().contains("crashing now"));
    assert_eq!(agent.line(), None);
}

#[test]
fn it_dies_on_the_request_that_it_was_told_to() {
    let mut agent = Agent::start(&["--die-on-request", "3"]);
    agent.call("initialize", json!({"protocolVersion": 1}));
    agent.session();
    agent.send("session/new", json!({"cwd": "/", "mcpServers": []}));
    assert_eq!(agent.line(), None);
    assert_eq!(agent.process.wait().unwrap().code(), Some(70));
}

#[test]
fn it_can_leave_everything_unanswered() {
    let mut agent = Agent::start(&["--fault", "never-answers"]);
    agent.send("initialize", json!({"protocolVersion": 1}));
    agent.send("no/such", json!({}));
    assert_eq!(agent.end().0, Vec::<String>::new());
}

#[test]
fn a_flood_arrives_whole() {
    let mut agent = Agent::start(&["--fault", "floods"]);
    let session = agent.session();
    assert_eq!(agent.ask(&session, "flood").len(), 100_000);
}

#[test]
fn noise_is_on_stdout_and_answers_come_all_the_same() {
    let mut agent = Agent::start(&["--fault", "noise"]);
    let session = agent.session();
    let id = agent.send_prompt(&session, "echo x");
    assert!(serde_json::from_str::<Value>(&agent.line().unwrap()).is_err());
    let (updates, _) = agent.response(id);
    assert_eq!(texts(&updates, "agent_message_chunk"), ["x"]);
}

#[test]
fn noise_on_stderr_is_more_than_a_pipe_holds() {
    let mut agent = Agent::start(&["--fault", "stderr-noise"]);
    let mut stderr = agent.process.stderr.take().unwrap();
    let noise = std::thread::spawn(move || {
        let mut noise = String::new();
        stderr.read_to_string(&mut noise).unwrap();
        noise
    });
    agent.session();
    agent.end();
    let noise = noise.join().unwrap();
    assert!(noise.len() > 64 * 1024);
    assert!(noise.ends_with("mock-agent: received session/new\n"));
}

#[test]
fn sigterm_and_the_end_of_stdin_can_be_ignored() {
    let mut agent = Agent::start(&["--fault", "ignores-sigterm,ignores-eof"]);
    let session = agent.session();
    kill(agent.pid(), Signal::SIGTERM).unwrap();
    let pid = agent.pid().to_string();
    assert_eq!(agent.ask(&session, "pid"), pid);
    let id = agent.send_prompt(&session, "slow 0.3");
    drop(agent.stdin.take());
    assert_eq!(agent.response(id).1["result"]["stopReason"], "end_turn");
    assert_eq!(agent.process.try_wait().unwrap(), None);

    let mut polite = Agent::start(&[]);
    polite.session();
    kill(polite.pid(), Signal::SIGTERM).unwrap();
    assert_eq!(
        polite.process.wait().unwrap().signal(),
        Some(Signal::SIGTERM as i32)
    );
}

#[test]
fn a_child_is_left_in_the_process_group() {
    let mut agent = Agent::start(&["--fault", "leaves-child"]);
    let session = agent.session();
    let child = Pid::from_raw(agent.ask(&session, "child").parse().unwrap());
    let group = agent.pid();
    assert_eq!(getpgid(Some(child)), Ok(group));
    drop(agent.stdin.take());
    agent.process.wait().unwrap();
    // The agent has gone, its child has not.
    assert_eq!(getpgid(Some(child)), Ok(group));
}

#[test]
fn a_slow_start_is_not_the_end() {
    let mut agent = Agent::start(&["--fault", "slow-start", "--delay-ms", "200"]);
    let started = std::time::Instant::now();
    agent.call("initialize", json!({"protocolVersion": 1}));
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[test]
fn help_names_every_fault_and_every_command() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    let help = command.args(["mock-agent", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for word in [
        "load-replays-late:",
        "set-config-option:",
        "leaves-child:",
        "switch MODEL",
    ] {
        assert!(help.contains(word), "{word} is not in:\n{help}");
    }
}
