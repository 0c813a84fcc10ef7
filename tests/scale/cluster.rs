//! Nodes as real processes, what can go wrong with them, and how they are asked.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::database::{self, Server};
use crate::real::{GOOSE, Real};
use crate::way::Way;

/// How long a node counts as alive.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// No single step takes longer, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long running turns have to end when a node drains.
const DRAIN: Duration = Duration::from_secs(5);
/// Whoever has it is a node.
const SECRET: &str = "a-secret-of-the-tests";
/// The environment variable by which the tests find every process of a node.
const MARK: &str = "TEST_NODE_OF_BATON";

/// The program: the one that was built with the tests, unless `BATON_BIN` names another.
fn program() -> PathBuf {
    let given = std::env::var_os("BATON_BIN");
    given
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_baton").into())
        .into()
}

/// A node.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) way: Way,
    folder: PathBuf,
    agents: Vec<&'static str>,
    running: Mutex<Option<Child>>,
    url: Mutex<String>,
}

/// Some nodes on one database.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
    folder: TempDir,
}

impl Cluster {
    /// So many nodes on a new database of this server.
    pub(crate) async fn start(server: &Server, nodes: usize) -> Self {
        Self::start_with(server, nodes, "", None).await
    }

    /// The same with further lines in the table `[nodes]` of their configuration, and with a real agent.
    pub(crate) async fn start_with(
        server: &Server,
        count: usize,
        more: &str,
        real: Option<&Real>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a scratch directory");
        fs::create_dir(folder.path().join("work")).expect("a working directory");
        let url = server.database().await;
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let cluster = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut nodes = Vec::new();
        for number in 0..count {
            let way = Way::to(server.port).await;
            let node = Node {
                name: format!("{}-{cluster}-{number}", std::process::id()),
                folder: folder.path().join(format!("node{number}")),
                running: Mutex::default(),
                url: Mutex::default(),
                agents: ["one", "two"]
                    .into_iter()
                    .chain(real.map(|_| GOOSE))
                    .collect(),
                way,
            };
            node.configure(&url, more, real);
            node.launch().await;
            nodes.push(node);
        }
        let client = reqwest::Client::builder().timeout(PATIENCE).build();
        Self {
            nodes,
            url,
            client: client.expect("a client"),
            folder,
        }
    }

    /// A connection to their database.
    pub(crate) async fn database(&self) -> tokio_postgres::Client {
        database::client(&self.url).await
    }

    /// The name of the node that holds a session, as far as the database knows.
    pub(crate) async fn owner(&self, session: &str) -> Option<&Node> {
        let sql = "SELECT n.url FROM baton.lease l JOIN baton.node n ON n.id = l.node WHERE l.session = $1";
        let row = self.database().await.query_opt(sql, &[&session]).await;
        let url: String = row.expect("reads")?.get(0);
        self.nodes.iter().find(|node| node.url() == url)
    }

    /// Asks a node; `None` when it does not answer.
    pub(crate) async fn ask(
        &self,
        node: &Node,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<(StatusCode, Value)> {
        let mut request = self.client.request(method, format!("{}{path}", node.url()));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.ok()?;
        let (status, text) = (answer.status(), answer.text().await.ok()?);
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Some((status, value))
    }

    /// Asks a node for what has to succeed.
    pub(crate) async fn ok(
        &self,
        node: usize,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Value {
        let answer = self.ask(&self.nodes[node], method, path, body).await;
        let (status, value) = answer.expect("an answer");
        assert!(status.is_success(), "{status} {path}: {value}");
        value
    }

    /// Makes a session at a node.
    pub(crate) async fn create(&self, node: usize) -> String {
        let model = json!({"model": {"providerID": "one", "id": "fast"}});
        let made = self.ok(node, Method::POST, "/session", Some(model)).await;
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Sends a prompt to a node; the text of the answer.
    pub(crate) async fn prompt(&self, node: usize, session: &str, text: &str) -> String {
        let body = json!({"parts": [{"type": "text", "text": text}]});
        let path = format!("/session/{session}/message");
        text_of(&self.ok(node, Method::POST, &path, Some(body)).await)
    }

    /// What the agents of all nodes have noted: when, which node, what, and the prompt.
    pub(crate) fn journal(&self) -> Vec<Noted> {
        let mut all = Vec::new();
        for (node, it) in self.nodes.iter().enumerate() {
            let text = fs::read_to_string(it.folder.join("journal")).unwrap_or_default();
            for line in text.lines() {
                let line: Value = serde_json::from_str(line).expect("a line of the journal");
                all.push(Noted {
                    at: line["at"].as_u64().expect("a time"),
                    node,
                    begins: line["what"] == "begin",
                    prompt: line["prompt"].as_str().expect("a prompt").to_owned(),
                });
            }
        }
        all.sort_by_key(|noted| noted.at);
        all
    }

    /// Ends all nodes as an administrator does, and sees that nothing is left of them.
    pub(crate) async fn stop(self) {
        for node in &self.nodes {
            node.way.mend();
            node.terminate().await;
        }
        for node in &self.nodes {
            let gone = async {
                while !node.processes().is_empty() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let gone = tokio::time::timeout(Duration::from_secs(2), gone).await;
            assert!(
                gone.is_ok(),
                "left of {}: {:?}",
                node.name,
                node.processes()
            );
        }
        drop(self.folder);
    }
}

/// What an agent has noted.
#[derive(Debug, Clone)]
pub(crate) struct Noted {
    /// In milliseconds since the Unix epoch.
    pub(crate) at: u64,
    pub(crate) node: usize,
    pub(crate) begins: bool,
    pub(crate) prompt: String,
}

impl Node {
    pub(crate) fn url(&self) -> String {
        self.url.lock().expect("not poisoned").clone()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn configure(&self, url: &str, more: &str, real: Option<&Real>) {
        fs::create_dir_all(&self.folder).expect("a folder");
        let (_, place) = url.rsplit_once('@').expect("a URL with a role");
        let (_, name) = place.split_once('/').expect("a database");
        let through = url.replace(place, &format!("127.0.0.1:{}/{name}", self.way.port));
        let agent = |more: &str| {
            format!(
                "[\"{}\", \"mock-agent\", \"--journal\", \"{}\", \"--models\", \"fast,strong\", \"--state-dir\", \"{}\"{more}]",
                program().display(),
                self.folder.join("journal").display(),
                self.folder.join("native").display(),
            )
        };
        let (lease, drain) = (LEASE.as_secs(), DRAIN.as_secs());
        let config = format!(
            "[store]\nurl = \"{through}\"\nstatement_timeout_s = 5\nconnect_timeout_s = 2\n
             [nodes]\nsecret = \"{SECRET}\"\nlease_s = {lease}\ndrain_s = {drain}\n{more}
             [agents.one]\ncommand = {}\n[agents.two]\ncommand = {}\n{}",
            agent(""),
            agent(", \"--context\", \"100000\""),
            real.map(|real| real.configure(&self.folder))
                .unwrap_or_default(),
        );
        fs::write(self.folder.join("baton.toml"), config).expect("a configuration");
    }

    /// Starts it, and waits until it listens.
    pub(crate) async fn launch(&self) {
        let log = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.folder.join("log"));
        let work = self.folder.parent().expect("a folder").join("work");
        let mut child = Command::new(program())
            .args(["serve", "--port", "0", "--agents", &self.agents.join(",")])
            .arg("--data-dir")
            .arg(self.folder.join("data"))
            .arg("--config")
            .arg(self.folder.join("baton.toml"))
            .current_dir(work)
            .env(MARK, &self.name)
            .env("HOME", &self.folder)
            .env("XDG_CONFIG_HOME", self.folder.join(".config"))
            .env("XDG_DATA_HOME", self.folder.join(".local/share"))
            .env("XDG_STATE_HOME", self.folder.join(".local/state"))
            .env("BATON_LOG", "baton=info")
            .stdout(Stdio::piped())
            .stderr(log.expect("a log"))
            .kill_on_drop(true)
            .spawn()
            .expect("baton starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        let line = line.expect("in time").expect("stdout");
        let line = line.unwrap_or_else(|| panic!("{} did not start:\n{}", self.name, self.log()));
        let url = line.strip_prefix("baton listening on ").expect("a URL");
        *self.url.lock().expect("not poisoned") = url.to_owned();
        *self.running.lock().expect("not poisoned") = Some(child);
    }

    fn pid(&self) -> Option<Pid> {
        let running = self.running.lock().expect("not poisoned");
        let pid = running.as_ref().and_then(Child::id)?;
        Some(Pid::from_raw(i32::try_from(pid).expect("a pid")))
    }

    /// Ends it as a crash of the machine does.
    pub(crate) async fn crash(&self) {
        let child = self.running.lock().expect("not poisoned").take();
        if let Some(mut child) = child {
            child.kill().await.expect("killed");
        }
    }

    /// Ends it as an administrator does.
    pub(crate) async fn terminate(&self) {
        let Some(pid) = self.pid() else { return };
        kill(pid, Signal::SIGTERM).expect("it is ours");
        let child = self.running.lock().expect("not poisoned").take();
        let mut child = child.expect("it runs");
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        let status = ended.expect("it ends in time").expect("a status");
        assert!(status.success(), "{}: {status}\n{}", self.name, self.log());
    }

    /// Stops it and everything that it has started, as a machine that is suspended.
    pub(crate) fn suspend(&self) {
        self.signal_all(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal_all(Signal::SIGCONT);
    }

    fn signal_all(&self, signal: Signal) {
        for pid in self.processes() {
            // One may have ended just now.
            let _gone = kill(Pid::from_raw(pid), signal);
        }
    }

    /// All processes of it that are there.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let mark = format!("{MARK}={}", self.name);
        let marked = |pid: &i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|b| *b == 0)
                .any(|variable| variable == mark.as_bytes())
        };
        let numbers = fs::read_dir("/proc").expect("/proc").flatten();
        let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(marked).collect()
    }
}

/// All text of an answer.
pub(crate) fn text_of(answer: &Value) -> String {
    let parts = answer["parts"].as_array().into_iter().flatten();
    let texts = parts.filter(|part| part["type"] == "text");
    texts.filter_map(|part| part["text"].as_str()).collect()
}
