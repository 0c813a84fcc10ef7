//! One real server per test: `baton serve` on a free port, in a scratch directory, with the mock agent
//! as a real subprocess.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::documented;

/// Nothing of a server that has ended cleanly is left after this time.
const GONE_WITHIN: Duration = Duration::from_secs(1);
/// No single step of a test takes longer than this, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The environment variable by which a test finds every process that it is answerable for.
const MARK: &str = "TEST_RUN_OF_BATON";

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub url: String,
    pub folder: TempDir,
    pub client: reqwest::Client,
    mark: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// How a server is started.
#[derive(Default)]
pub(crate) struct Options {
    /// baton.toml.
    pub config: String,
    /// Further arguments.
    pub arguments: Vec<String>,
}

/// What a server logs.
pub(crate) enum Log {
    /// Warnings, to the stderr of the tests.
    Warnings,
    /// Everything, to this file.
    EverythingTo(std::fs::File),
    /// What the settings say, to this file.
    AsSetTo(std::fs::File),
}

impl Server {
    /// A server with the mock agent only.
    pub(crate) async fn start() -> Self {
        Self::start_with(Options {
            arguments: vec!["--agents".into(), "mock".into()],
            ..Options::default()
        })
        .await
    }

    /// A server with this configuration.
    pub(crate) async fn start_with(options: Options) -> Self {
        Self::start_logging(options, Log::Warnings).await
    }

    /// A server with this configuration and log.
    pub(crate) async fn start_logging(options: Options, log: Log) -> Self {
        Self::start_among(options, log, &[]).await
    }

    /// A server with this configuration and log, and with these environment variables.
    pub(crate) async fn start_among(
        options: Options,
        log: Log,
        variables: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("scratch directory");
        std::fs::create_dir(folder.path().join("work")).expect("work directory");
        std::fs::write(folder.path().join("baton.toml"), options.config).expect("config file");
        let mark = format!("{}-{:x}", std::process::id(), rand_number());
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<_> = variables.iter().map(own).collect();
        let arguments = &options.arguments;
        let (child, url) = launch(folder.path(), &mark, arguments, log, &environment).await;
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .build()
            .expect("client");
        Self {
            child,
            url,
            folder,
            client,
            mark,
            arguments: options.arguments,
            environment,
        }
    }

    /// The working directory of the server's sessions.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("running")
    }

    /// Ends the server as `kill -9` does.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("killed");
    }

    /// Starts it again on the same data.
    pub(crate) async fn restart(&mut self) {
        let (child, url) = launch(
            self.folder.path(),
            &self.mark,
            &self.arguments,
            Log::Warnings,
            &self.environment,
        )
        .await;
        (self.child, self.url) = (child, url);
    }

    /// Starts it again on the same data with other arguments.
    pub(crate) async fn restart_with(&mut self, arguments: Vec<String>) {
        self.arguments = arguments;
        self.restart().await;
    }

    /// Ends the server with SIGTERM and checks that nothing is left of it.
    pub(crate) async fn stop(mut self) {
        self.terminate().await;
        // A supervisor sees that its pipe was closed only when the server is gone.
        let gone = async {
            while !self.everything().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let gone = tokio::time::timeout(GONE_WITHIN, gone).await;
        let left = self.everything();
        assert!(gone.is_ok(), "left after the shutdown: {left:?}");
    }

    /// Ends the server with SIGTERM.
    pub(crate) async fn terminate(&mut self) {
        let pid = i32::try_from(self.child.id().expect("running")).expect("a pid");
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGTERM,
        )
        .expect("SIGTERM");
        let status = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("it stops")
            .expect("status");
        assert!(status.success(), "{status}");
    }

    /// Every process that was started by this server and is still there, without the server itself, and without those
    /// that only supervise others.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let supervises = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|b| *b == 0).nth(1) == Some(b"supervise")
        };
        let mut pids = self.everything();
        pids.retain(|pid| !supervises(pid));
        pids
    }

    /// The same with those.
    pub(crate) fn everything(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.mark);
        let own = self.child.id();
        let marked = |pid: &u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|b| *b == 0)
                .any(|variable| variable == mark.as_bytes())
        };
        let numbers = std::fs::read_dir("/proc").expect("/proc").flatten();
        let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| Some(*pid) != own)
            .filter(marked)
            .collect()
    }

    /// Sends a request and reads the JSON of the answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let response = self.request(method, path, body, &[]).await;
        let status = response.status();
        let text = response.text().await.expect("body");
        let value = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        documented::check(&value);
        (status, value)
    }

    /// Sends a request with headers.
    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.expect("an answer")
    }

    /// A request that has to succeed.
    pub(crate) async fn ok(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, value) = self.send(method, path, body).await;
        assert!(status.is_success(), "{status} {path}: {value}");
        value
    }

    /// GET that has to succeed.
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ok(Method::GET, path, None).await
    }

    /// Makes a session and returns its id.
    pub(crate) async fn create(&self) -> String {
        let session = self
            .ok(
                Method::POST,
                "/opencode/session",
                Some(json!({ "title": "test" })),
            )
            .await;
        session["id"].as_str().expect("id").to_owned()
    }

    /// Sends a text, with further fields of the body, and waits for the answer.
    pub(crate) async fn prompt(&self, session: &str, text: &str, more: Value) -> Value {
        let (status, answer) = self.try_prompt(session, text, more).await;
        assert!(status.is_success(), "{status}: {answer}");
        answer
    }

    /// The same, where it may be refused.
    pub(crate) async fn try_prompt(
        &self,
        session: &str,
        text: &str,
        more: Value,
    ) -> (StatusCode, Value) {
        let path = format!("/opencode/session/{session}/message");
        self.send(Method::POST, &path, Some(prompt_body(text, more)))
            .await
    }

    /// Sends a text and does not wait for the answer.
    pub(crate) async fn prompt_async(&self, session: &str, text: &str, more: Value) {
        let path = format!("/opencode/session/{session}/prompt_async");
        let (status, body) = self
            .send(Method::POST, &path, Some(prompt_body(text, more)))
            .await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    }

    /// PATCHes a session.
    pub(crate) async fn patch(&self, session: &str, body: Value) -> (StatusCode, Value) {
        self.send(
            Method::PATCH,
            &format!("/opencode/session/{session}"),
            Some(body),
        )
        .await
    }

    /// Opens the event stream.
    pub(crate) async fn events(&self) -> Events {
        Events::open(self, "/opencode/event", None).await
    }

    /// Waits until the session is idle.
    pub(crate) async fn until_idle(&self, session: &str) {
        let mut events = self.events().await;
        let status = self.get("/opencode/session/status").await;
        if status.get(session).is_some() {
            events
                .until("session.idle", |p| p["sessionID"] == session)
                .await;
        }
    }
}

/// The body of a prompt.
pub(crate) fn prompt_body(text: &str, more: Value) -> Value {
    let mut body = json!({ "parts": [{ "type": "text", "text": text }] });
    if let Value::Object(more) = more {
        body.as_object_mut().expect("object").extend(more);
    }
    body
}

/// A model as a message names it.
pub(crate) fn model(provider: &str, id: &str) -> Value {
    json!({ "model": { "providerID": provider, "modelID": id } })
}

/// All text of an answer.
pub(crate) fn text_of(answer: &Value) -> String {
    let parts = answer["parts"].as_array().expect("parts");
    parts
        .iter()
        .filter(|p| p["type"] == "text")
        .filter_map(|p| p["text"].as_str())
        .collect()
}

async fn launch(
    folder: &Path,
    mark: &str,
    arguments: &[String],
    log: Log,
    environment: &[(String, String)],
) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command
        .args(["serve", "--port", "0", "--data-dir"])
        .arg(folder.join("data"));
    command
        .arg("--config")
        .arg(folder.join("baton.toml"))
        .args(arguments);
    command
        .current_dir(folder.join("work"))
        .env(MARK, mark)
        .env("HOME", folder)
        .envs(environment.iter().map(|(name, value)| (name, value)));
    match log {
        Log::Warnings => command.env("BATON_LOG", "baton=warn"),
        Log::EverythingTo(file) => command.env("BATON_LOG", "baton=trace").stderr(file),
        Log::AsSetTo(file) => command.env_remove("BATON_LOG").stderr(file),
    };
    command.stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("baton starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line())
        .await
        .expect("it is ready in time");
    let line = line.expect("stdout").expect("a first line");
    let url = line
        .strip_prefix("baton listening on ")
        .expect("the first line")
        .to_owned();
    (child, url)
}

fn rand_number() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

/// An event, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// The SSE id, where there was one.
    pub sequence: Option<u64>,
    /// `type`.
    pub kind: String,
    /// `properties`.
    pub properties: Value,
    /// All of it.
    pub whole: Value,
}

/// An event stream that is being read in the background.
pub(crate) struct Events {
    receiver: mpsc::UnboundedReceiver<Event>,
    /// Everything that was read so far.
    pub seen: Vec<Event>,
}

impl Events {
    /// Opens a stream and waits for its first event.
    pub(crate) async fn open(server: &Server, path: &str, last_event_id: Option<u64>) -> Self {
        let mut request = reqwest::Client::new().get(format!("{}{path}", server.url));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("a stream");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(read_stream(response, sender));
        let mut events = Self {
            receiver,
            seen: Vec::new(),
        };
        let first = events.next().await;
        assert_eq!(
            first.whole.get("payload").unwrap_or(&first.whole)["type"],
            "server.connected"
        );
        events
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Event {
        let next = tokio::time::timeout(PATIENCE, self.receiver.recv()).await;
        let event = next
            .unwrap_or_else(|_| panic!("no further event after {:#?}", self.kinds()))
            .expect("the stream goes on");
        self.seen.push(event.clone());
        event
    }

    /// The next event of a type that fits; what comes before it is skipped (and in `seen`).
    pub(crate) async fn until(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Event {
        loop {
            let event = self.next().await;
            if event.kind == kind && fits(&event.properties) {
                return event;
            }
        }
    }

    /// The types of what was read so far.
    pub(crate) fn kinds(&self) -> Vec<&str> {
        self.seen.iter().map(|e| e.kind.as_str()).collect()
    }
}

async fn read_stream(mut response: Response, sender: mpsc::UnboundedSender<Event>) {
    let mut buffer = String::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        buffer.push_str(&String::from_utf8_lossy(&chunk));
        while let Some(end) = buffer.find("\n\n") {
            let frame: String = buffer.drain(..end + 2).collect();
            let field = |name: &str| {
                frame
                    .lines()
                    .find_map(|line| line.strip_prefix(name).map(|v| v.trim_start().to_owned()))
            };
            let Some(data) = field("data:") else { continue };
            let whole: Value = serde_json::from_str(&data).expect("JSON");
            let payload = whole.get("payload").unwrap_or(&whole);
            let event = Event {
                sequence: field("id:").and_then(|id| id.parse().ok()),
                kind: payload["type"].as_str().unwrap_or_default().to_owned(),
                properties: payload["properties"].clone(),
                whole,
            };
            if sender.send(event).is_err() {
                return;
            }
        }
    }
}

/// Reads the data of a stream's frames as they are; what has none, such as a comment, is skipped.
pub(crate) async fn read_frames(mut response: Response, sender: mpsc::UnboundedSender<Value>) {
    let mut buffer = String::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        buffer.push_str(&String::from_utf8_lossy(&chunk));
        while let Some(end) = buffer.find("\n\n") {
            let frame: String = buffer.drain(..end + 2).collect();
            let data = frame.lines().find_map(|line| line.strip_prefix("data: "));
            let Some(data) = data else { continue };
            let event = serde_json::from_str(data).expect("JSON");
            if sender.send(event).is_err() {
                return;
            }
        }
    }
}

/// What tests of more than one area need.
impl Server {
    /// Sends a text and leaves the request waiting for its answer.
    pub(crate) fn prompt_later(
        &self,
        session: &str,
        text: &str,
        more: Value,
    ) -> JoinHandle<(StatusCode, Value)> {
        let url = format!("{}/opencode/session/{session}/message", self.url);
        let request = self.client.post(url).json(&prompt_body(text, more));
        tokio::spawn(async move {
            let response = request.send().await.expect("an answer");
            let status = response.status();
            (status, response.json().await.expect("JSON"))
        })
    }

    /// All messages of a session.
    pub(crate) async fn messages(&self, session: &str) -> Vec<Value> {
        let all = self
            .get(&format!("/opencode/session/{session}/message"))
            .await;
        all.as_array().expect("a list").clone()
    }

    /// Aborts what a session does.
    pub(crate) async fn abort(&self, session: &str) {
        let path = format!("/opencode/session/{session}/abort");
        let answer = self.ok(Method::POST, &path, None).await;
        assert_eq!(answer, true);
    }

    /// Selects a model and waits until the agent has confirmed it.
    pub(crate) async fn select(&self, session: &str, provider: &str, id: &str) -> Value {
        let path = format!("/opencode/session/{session}?wait=true");
        let body = json!({ "providerID": provider, "modelID": id });
        self.ok(Method::PATCH, &path, Some(body)).await
    }

    /// What the agent of a session answers to one of the mock agent's commands.
    pub(crate) async fn say(&self, session: &str, text: &str) -> String {
        let answer = self.prompt(session, text, json!({})).await;
        assert_eq!(answer["info"]["error"], Value::Null, "{text}");
        text_of(&answer)
    }
}

/// The answer to a prompt, when it comes in time.
pub(crate) async fn answered(waiting: JoinHandle<(StatusCode, Value)>) -> (StatusCode, Value) {
    let answer = tokio::time::timeout(PATIENCE, waiting).await;
    answer.expect("it is answered in time").expect("no panic")
}

/// The parts of a message of one type.
pub(crate) fn parts_of<'a>(message: &'a Value, kind: &str) -> Vec<&'a Value> {
    let parts = message["parts"].as_array().expect("parts");
    parts.iter().filter(|part| part["type"] == kind).collect()
}

impl Events {
    /// Reads on to the end of the stream.
    pub(crate) async fn until_end(&mut self) {
        let all = async {
            while let Some(event) = self.receiver.recv().await {
                self.seen.push(event);
            }
        };
        let ended = tokio::time::timeout(PATIENCE, all).await;
        ended.expect("the stream ends");
    }

    /// What was read so far, of one type.
    pub(crate) fn of(&self, kind: &str) -> Vec<&Value> {
        let fitting = self.seen.iter().filter(|event| event.kind == kind);
        fitting.map(|event| &event.properties).collect()
    }
}
