//! What is measured: a server as a process, and what was made in it to measure with.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use hyper::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::client::{Connection, Template};

/// Sessions for the rows with 16 connections.
pub(crate) const SESSIONS: usize = 16;
/// A start or an end that takes longer is a failure.
const LONG: Duration = Duration::from_secs(60);
/// Ticks of a processor's time in a second, as Linux counts them for programs.
const TICKS: f64 = 100.0;

/// A server, and what was made in it to measure with.
pub(crate) trait Server {
    fn name(&self) -> &'static str;
    fn process(&self) -> &Process;
    /// What stands before the paths of OpenCode's routes.
    fn prefix(&self) -> &'static str;
    fn sessions(&self) -> &[String];
    /// Sessions with many messages, where there are some: the longest one last.
    fn long(&self) -> &[Long];
    /// A switch of a session to the n-th model.
    fn switch(&self, session: &str, n: u64) -> Template;
    /// Makes what is measured with.
    fn prepare<'a>(&'a mut self, lengths: &'a [u32]) -> LocalBoxFuture<'a, ()>;
    fn stop(self: Box<Self>) -> LocalBoxFuture<'static, ()>;

    fn address(&self) -> SocketAddr {
        self.process().address
    }
}

/// A session with many messages.
#[derive(Debug, Clone)]
pub(crate) struct Long {
    pub(crate) messages: u32,
    pub(crate) id: String,
}

/// A process that serves.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process until it listened.
    pub(crate) start: Duration,
    begun: Instant,
}

impl Process {
    /// Starts a server and waits until it says where it listens: the last word of a line.
    pub(crate) async fn start(mut command: Command, folder: &Path) -> Self {
        let begun = Instant::now();
        let mut child = command
            .current_dir(folder)
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
        tokio::task::spawn_local(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            child,
            address,
            start,
            begun,
        }
    }

    /// The time since the process was started, in milliseconds.
    pub(crate) fn age_ms(&self) -> f64 {
        self.begun.elapsed().as_secs_f64() * 1_000.0
    }

    /// Resident memory, in MB.
    pub(crate) fn rss_mb(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// What of it is its own, and no page of a file, in MB.
    pub(crate) fn anonymous_mb(&self) -> f64 {
        self.status("RssAnon:")
    }

    fn status(&self, name: &str) -> f64 {
        let text = self.read("status");
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.expect("its memory").trim().trim_end_matches(" kB");
        kib.parse::<f64>().expect("a number") / 1_024.0
    }

    /// The processor's time that it has had, with that of the programs that it has waited for, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> f64 {
        let text = self.read("stat");
        let (_, fields) = text.rsplit_once(')').expect("its name");
        let times = fields.split_whitespace().skip(11).take(4);
        times.map(|n| n.parse::<f64>().expect("ticks")).sum::<f64>() * 1_000.0 / TICKS
    }

    fn read(&self, what: &str) -> String {
        let pid = self.child.id().expect("it runs");
        std::fs::read_to_string(format!("/proc/{pid}/{what}")).expect("it runs")
    }

    pub(crate) async fn stop(mut self) {
        let pid = self.child.id().expect("it runs");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("told to end");
        let ended = tokio::time::timeout(LONG, self.child.wait()).await;
        ended.expect("ends soon").expect("is waited for");
    }
}

/// One request on a connection of its own.
pub(crate) async fn call(to: SocketAddr, method: Method, path: &str, body: Option<Value>) -> Value {
    let template = Template {
        method,
        path: path.to_owned(),
        body: body.map(|body| body.to_string()),
        known: None,
    };
    let (status, body) = Connection::open(to).await.send(&template).await;
    assert!(
        status.is_success(),
        "{path} was answered with {status}: {}",
        String::from_utf8_lossy(&body)
    );
    serde_json::from_slice(&body).unwrap_or(Value::Null)
}

/// Makes a session. Answers its id.
pub(crate) async fn make_session(to: SocketAddr, path: &str) -> String {
    let made = call(to, Method::POST, path, Some(json!({}))).await;
    made["id"].as_str().expect("an id").to_owned()
}
