//! A real `opencode serve`.

use std::path::{Path, PathBuf};

use futures_util::future::LocalBoxFuture;
use hyper::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::client::Template;
use crate::server::{Long, Process, SESSIONS, Server, call, make_session};

/// A real `opencode serve`.
pub(crate) struct OpenCode {
    process: Process,
    sessions: Vec<String>,
    long: Vec<Long>,
    _home: TempDir,
}

/// The one that the environment names, or that the agents' tests have installed.
pub(crate) fn installed() -> Option<PathBuf> {
    let named = std::env::var_os("OPENCODE_BIN").map(PathBuf::from);
    let packages =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/packages/opencode/node_modules");
    let cpu = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "x64",
    };
    let program = named.unwrap_or(packages.join(format!("opencode-linux-{cpu}/bin/opencode")));
    program.exists().then_some(program)
}

impl OpenCode {
    pub(crate) async fn start(program: &Path) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("opencode");
        std::fs::create_dir_all(&folder).expect("a folder");
        // Nobody listens there: it is never asked.
        let stub = json!({
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": "http://127.0.0.1:9/v1", "apiKey": "none"},
            "models": {"a": {}, "b": {}},
        });
        let config = json!({"provider": {"stub": stub}, "model": "stub/a"});
        std::fs::write(folder.join("opencode.json"), config.to_string()).expect("written");
        let mut command = Command::new(program);
        command.args(["serve", "--port", "0", "--hostname", "127.0.0.1"]);
        for variable in [
            "HOME",
            "XDG_DATA_HOME",
            "XDG_CONFIG_HOME",
            "XDG_STATE_HOME",
            "XDG_CACHE_HOME",
        ] {
            command.env(variable, home.path());
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
        Self {
            process: Process::start(command, home.path()).await,
            sessions: Vec::new(),
            long: Vec::new(),
            _home: home,
        }
    }
}

impl Server for OpenCode {
    fn name(&self) -> &'static str {
        "OpenCode"
    }
    fn process(&self) -> &Process {
        &self.process
    }
    fn prefix(&self) -> &'static str {
        ""
    }
    fn sessions(&self) -> &[String] {
        &self.sessions
    }
    fn long(&self) -> &[Long] {
        &self.long
    }
    /// By the route of OpenCode 2, the only one that it has for this.
    fn switch(&self, session: &str, n: u64) -> Template {
        let model = if n.is_multiple_of(2) { "a" } else { "b" };
        let body = json!({"model": {"providerID": "stub", "id": model}});
        let path = format!("/api/session/{session}/model");
        Template::new(Method::POST, path, Some(body))
    }
    /// Its long session has prompts only, since there is no model that answers, and only the shorter length: it takes in
    /// some hundred a second.
    fn prepare<'a>(&'a mut self, lengths: &'a [u32]) -> LocalBoxFuture<'a, ()> {
        Box::pin(async move {
            let to = self.process.address;
            for _ in 0..SESSIONS {
                self.sessions.push(make_session(to, "/session").await);
            }
            let Some(messages) = lengths.first().copied() else {
                return;
            };
            let id = make_session(to, "/session").await;
            for n in 0..messages {
                let body = json!({
                    "noReply": true,
                    "model": {"providerID": "stub", "modelID": "a"},
                    "parts": [{"type": "text", "text": format!("echo {n}")}],
                });
                let path = format!("/session/{id}/message");
                call(to, Method::POST, &path, Some(body)).await;
            }
            self.long.push(Long { messages, id });
        })
    }
    fn stop(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(self.process.stop())
    }
}
