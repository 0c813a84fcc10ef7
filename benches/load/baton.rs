//! The Baton of this build, with its mock agent.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use futures_util::future::LocalBoxFuture;
use hyper::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::client::Template;
use crate::fill;
use crate::server::{Long, Process, SESSIONS, Server, call, make_session};

/// More readers and connections than any row has.
const LIMITS: &str =
    "[limits]\nevent_streams = 8192\nconnections = 8192\nconnections_per_address = 8192\n";

/// An agent of the configuration: a mock with these arguments.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) arguments: Vec<String>,
}

impl Agent {
    pub(crate) fn new(id: &str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|a| (*a).to_owned());
        Self {
            id: id.to_owned(),
            arguments: arguments.collect(),
        }
    }
}

/// A running Baton.
pub(crate) struct Baton {
    process: Process,
    sessions: Vec<String>,
    long: Vec<Long>,
    home: TempDir,
    agents: Vec<Agent>,
}

/// The program that is measured: the one that the environment names, or that of this build.
pub(crate) fn program() -> PathBuf {
    let named = std::env::var_os("BATON_BIN").map(PathBuf::from);
    named.unwrap_or(PathBuf::from(env!("CARGO_BIN_EXE_baton")))
}

fn command(home: &Path, agents: &[Agent]) -> Command {
    let mut config = LIMITS.to_owned();
    let mut names = "mock".to_owned();
    for agent in agents {
        let program = program().display().to_string();
        let command = [program, "mock-agent".to_owned()];
        let command: Vec<_> = command.iter().chain(&agent.arguments).collect();
        let _always_fits = write!(config, "[agents.{}]\ncommand = {command:?}\n", agent.id);
        let _always_fits = write!(names, ",{}", agent.id);
    }
    let file = home.join("baton.toml");
    std::fs::write(&file, config).expect("written");
    let mut command = Command::new(program());
    command
        .args(["serve", "--port", "0", "--agents", &names, "--config"])
        .arg(file)
        .arg("--data-dir")
        .arg(home.join("data"));
    command
}

impl Baton {
    /// One with nothing in it.
    pub(crate) async fn start(agents: Vec<Agent>) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let process = Process::start(command(home.path(), &agents), home.path()).await;
        Self {
            process,
            sessions: Vec::new(),
            long: Vec::new(),
            home,
            agents,
        }
    }

    /// The same with the sessions for 16 connections, each with a prompt and its answer, and sessions of these lengths.
    pub(crate) async fn prepared(lengths: &[u32]) -> Self {
        let mut baton = Self::start(Vec::new()).await;
        baton.prepare(lengths).await;
        let long = baton.long.clone();
        baton
            .edited(|db| {
                for long in long {
                    fill::messages(db, &long.id, long.messages);
                }
            })
            .await
    }

    /// Ends it, changes its database, and starts it again.
    pub(crate) async fn edited(self, change: impl FnOnce(&Connection)) -> Self {
        self.process.stop().await;
        let file = self.home.path().join("data/baton.sqlite");
        let mut db = Connection::open(file).expect("its database");
        let transaction = db.transaction().expect("a transaction");
        change(&transaction);
        transaction.commit().expect("committed");
        drop(db);
        let command = command(self.home.path(), &self.agents);
        let process = Process::start(command, self.home.path()).await;
        Self { process, ..self }
    }

    /// The folder that it works in.
    pub(crate) fn folder(&self) -> &Path {
        self.home.path()
    }

    /// Makes a session with a prompt and its answer.
    pub(crate) async fn spoken(&self, directory: Option<&Path>) -> String {
        let to = self.address();
        let query = directory.map_or(String::new(), |at| format!("?directory={}", at.display()));
        let id = make_session(to, &format!("/opencode/session{query}")).await;
        let path = format!("/opencode/session/{id}/message");
        let said = "echo what is said in a message is of about this length, which is that of two lines on a screen or so, \
                    and half of those of a paragraph";
        call(to, Method::POST, &path, Some(said_to("mock", "mock", said))).await;
        id
    }
}

/// A prompt for a model.
pub(crate) fn said_to(provider: &str, model: &str, text: &str) -> Value {
    json!({
        "model": {"providerID": provider, "modelID": model},
        "parts": [{"type": "text", "text": text}],
    })
}

impl Server for Baton {
    fn name(&self) -> &'static str {
        "Baton"
    }
    fn process(&self) -> &Process {
        &self.process
    }
    fn prefix(&self) -> &'static str {
        "/opencode"
    }
    fn sessions(&self) -> &[String] {
        &self.sessions
    }
    fn long(&self) -> &[Long] {
        &self.long
    }
    fn switch(&self, session: &str, n: u64) -> Template {
        let model = ["mock", "mock-fast", "mock-strong"][usize::try_from(n % 3).unwrap_or(0)];
        let path = format!("/opencode/session/{session}");
        let body = json!({"providerID": "mock", "modelID": model});
        Template::new(Method::PATCH, path, Some(body))
    }
    fn prepare<'a>(&'a mut self, lengths: &'a [u32]) -> LocalBoxFuture<'a, ()> {
        Box::pin(async move {
            for _ in 0..SESSIONS {
                let session = self.spoken(None).await;
                self.sessions.push(session);
            }
            for messages in lengths {
                let id = self.spoken(None).await;
                self.long.push(Long {
                    messages: *messages,
                    id,
                });
            }
        })
    }
    fn stop(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(self.process.stop())
    }
}
