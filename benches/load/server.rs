//! The servers that are measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::LocalSet;

use crate::client::{Connection, Template};

/// Sessions for the rows with 16 connections.
const SESSIONS: usize = 16;
/// A start or an end that takes longer is a failure.
const LONG: Duration = Duration::from_secs(60);

/// A server, and what was made in it to measure with.
pub(crate) trait Server {
    fn name(&self) -> &'static str;
    fn address(&self) -> SocketAddr;
    /// What stands before the paths of OpenCode's routes.
    fn prefix(&self) -> &'static str;
    fn sessions(&self) -> &[String];
    /// The session with many messages, where there is one.
    fn long(&self) -> Option<&str>;
    /// A switch of a session to the n-th model.
    fn switch(&self, session: &str, n: u64) -> Template;
    /// Resident memory, in MB.
    fn rss_mb(&self) -> f64;
    /// From the start of the process until it listened.
    fn start(&self) -> Duration;
    /// Makes what is measured with.
    fn prepare(&mut self, messages: u32) -> LocalBoxFuture<'_, ()>;
    fn stop(self: Box<Self>) -> LocalBoxFuture<'static, ()>;
}

struct Process {
    child: Child,
    address: SocketAddr,
    start: Duration,
    sessions: Vec<String>,
    long: Option<String>,
    _folder: TempDir,
}

/// The Baton of this build, with its mock agent.
pub(crate) struct Baton(Process);

/// A real `opencode serve`.
pub(crate) struct OpenCode(Process);

/// The one that the agents' tests have installed.
pub(crate) fn installed_opencode() -> Option<PathBuf> {
    let packages =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/packages/opencode/node_modules");
    let program = packages.join(format!("opencode-linux-{}/bin/opencode", cpu()));
    program.exists().then_some(program)
}

fn cpu() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "x64",
    }
}

impl Process {
    /// Starts a server and waits until it says where it listens: the last word of a line.
    async fn start(mut command: Command, folder: TempDir) -> Self {
        let begun = Instant::now();
        let mut child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await.expect("reads") {
                let address = line
                    .rsplit_once("http://")
                    .map(|(_, address)| address.trim().to_owned());
                if let Some(address) = address {
                    return address.parse().expect("an address");
                }
            }
            panic!("it has ended before it listened")
        };
        let address = tokio::time::timeout(LONG, listening)
            .await
            .expect("listens soon");
        let start = begun.elapsed();
        // What it says later has to go somewhere.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            child,
            address,
            start,
            sessions: Vec::new(),
            long: None,
            _folder: folder,
        }
    }

    fn rss_mb(&self) -> f64 {
        let pid = self.child.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("its memory");
        let kib = line
            .trim()
            .trim_end_matches(" kB")
            .parse::<f64>()
            .expect("a number");
        kib / 1_024.0
    }

    async fn stop(mut self) {
        let pid = self.child.id().expect("it runs");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("told to end");
        let ended = tokio::time::timeout(LONG, self.child.wait()).await;
        ended.expect("ends soon").expect("is waited for");
    }

    async fn make_sessions(&mut self, path: &str) {
        for _ in 0..SESSIONS {
            let made = call(self.address, Method::POST, path, Some(json!({}))).await;
            self.sessions
                .push(made["id"].as_str().expect("an id").to_owned());
        }
    }
}

/// One request on a connection of its own.
pub(crate) async fn call(to: SocketAddr, method: Method, path: &str, body: Option<Value>) -> Value {
    let template = Template {
        method,
        path: path.to_owned(),
        body: body.map(|body| body.to_string()),
    };
    let answered = LocalSet::new()
        .run_until(async { Connection::open(to).await.send(&template).await })
        .await;
    let (status, body) = answered;
    assert!(
        status.is_success(),
        "{path} was answered with {status}: {}",
        String::from_utf8_lossy(&body)
    );
    serde_json::from_slice(&body).unwrap_or(Value::Null)
}

impl Baton {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command
            .args(["serve", "--port", "0", "--agents", "mock", "--data-dir"])
            .arg(folder.path().join("data"));
        Self(Process::start(command, folder).await)
    }
}

impl Server for Baton {
    fn name(&self) -> &'static str {
        "Baton"
    }
    fn address(&self) -> SocketAddr {
        self.0.address
    }
    fn prefix(&self) -> &'static str {
        "/opencode"
    }
    fn sessions(&self) -> &[String] {
        &self.0.sessions
    }
    fn long(&self) -> Option<&str> {
        self.0.long.as_deref()
    }
    fn switch(&self, session: &str, n: u64) -> Template {
        let model = ["mock", "mock-fast", "mock-strong"][usize::try_from(n % 3).unwrap_or(0)];
        Template {
            method: Method::PATCH,
            path: format!("/opencode/session/{session}"),
            body: Some(json!({"providerID": "mock", "modelID": model}).to_string()),
        }
    }
    fn rss_mb(&self) -> f64 {
        self.0.rss_mb()
    }
    fn start(&self) -> Duration {
        self.0.start
    }
    fn prepare(&mut self, messages: u32) -> LocalBoxFuture<'_, ()> {
        Box::pin(async move {
            self.0.make_sessions("/opencode/session").await;
            let to = self.0.address;
            let prompt = |session: &str| format!("/opencode/session/{session}/message");
            for session in &self.0.sessions {
                call(
                    to,
                    Method::POST,
                    &prompt(session),
                    Some(said("echo one", true)),
                )
                .await;
            }
            let long = call(to, Method::POST, "/opencode/session", Some(json!({}))).await;
            let long = long["id"].as_str().expect("an id").to_owned();
            // A prompt and its answer.
            for n in 0..messages / 2 {
                call(
                    to,
                    Method::POST,
                    &prompt(&long),
                    Some(said(&format!("echo {n}"), n == 0)),
                )
                .await;
            }
            self.0.long = Some(long);
        })
    }
    fn stop(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(self.0.stop())
    }
}

fn said(text: &str, selects: bool) -> Value {
    let mut body = json!({"parts": [{"type": "text", "text": text}]});
    if selects {
        body["model"] = json!({"providerID": "mock", "modelID": "mock"});
    }
    body
}

impl OpenCode {
    pub(crate) async fn start(program: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(program);
        command.args(["serve", "--port", "0", "--hostname", "127.0.0.1"]);
        for variable in [
            "HOME",
            "XDG_DATA_HOME",
            "XDG_CONFIG_HOME",
            "XDG_STATE_HOME",
            "XDG_CACHE_HOME",
        ] {
            command.env(variable, folder.path());
        }
        // Nothing is asked of other servers.
        for what in [
            "AUTOUPDATE",
            "MODELS_FETCH",
            "LSP_DOWNLOAD",
            "DEFAULT_PLUGINS",
        ] {
            command.env(format!("OPENCODE_DISABLE_{what}"), "1");
        }
        Self(Process::start(command, folder).await)
    }
}

impl Server for OpenCode {
    fn name(&self) -> &'static str {
        "OpenCode"
    }
    fn address(&self) -> SocketAddr {
        self.0.address
    }
    fn prefix(&self) -> &'static str {
        ""
    }
    fn sessions(&self) -> &[String] {
        &self.0.sessions
    }
    fn long(&self) -> Option<&str> {
        None
    }
    /// By the route of OpenCode 2, the only one that it has for this.
    fn switch(&self, session: &str, n: u64) -> Template {
        let model = if n.is_multiple_of(2) { "a" } else { "b" };
        Template {
            method: Method::POST,
            path: format!("/api/session/{session}/model"),
            body: Some(json!({"model": {"providerID": "stub", "id": model}}).to_string()),
        }
    }
    fn rss_mb(&self) -> f64 {
        self.0.rss_mb()
    }
    fn start(&self) -> Duration {
        self.0.start
    }
    fn prepare(&mut self, _messages: u32) -> LocalBoxFuture<'_, ()> {
        Box::pin(self.0.make_sessions("/session"))
    }
    fn stop(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(self.0.stop())
    }
}
