//! The mock agent without Baton: what it takes by itself.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::baton;

/// An agent that is spoken to directly.
pub(crate) struct Direct {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    last_id: u64,
    session: String,
}

impl Direct {
    /// Starts it and opens a session.
    pub(crate) async fn start(arguments: &[String], folder: &Path) -> Self {
        let mut child = Command::new(baton::program())
            .arg("mock-agent")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("starts");
        let stdin = child.stdin.take().expect("piped");
        let stdout = child.stdout.take().expect("piped");
        let mut agent = Self {
            _child: child,
            stdin,
            lines: BufReader::new(stdout).lines(),
            last_id: 0,
            session: String::new(),
        };
        let hello = json!({"protocolVersion": 1, "clientCapabilities": {}});
        agent.request("initialize", hello, |_| ()).await;
        let place = json!({"cwd": folder, "mcpServers": []});
        let opened = agent.request("session/new", place, |_| ()).await;
        opened["sessionId"]
            .as_str()
            .expect("an id")
            .clone_into(&mut agent.session);
        agent
    }

    /// Says something and waits for the whole answer; each line of it is told.
    pub(crate) async fn prompt(&mut self, text: &str, heard: impl FnMut(&str)) {
        let params = json!({
            "sessionId": self.session,
            "prompt": [{"type": "text", "text": text}],
        });
        self.request("session/prompt", params, heard).await;
    }

    pub(crate) async fn switch(&mut self, model: &str) {
        let params = json!({"sessionId": self.session, "configId": "model", "value": model});
        self.request("session/set_config_option", params, |_| ())
            .await;
    }

    async fn request(&mut self, method: &str, params: Value, mut heard: impl FnMut(&str)) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let line = format!("{request}\n");
        self.stdin
            .write_all(line.as_bytes())
            .await
            .expect("it reads");
        let ours = format!("\"id\":{id}");
        loop {
            let line = self.lines.next_line().await.expect("reads");
            let line = line.expect("it has not ended");
            if line.contains("\"session/update\"") {
                heard(&line);
            } else if line.contains(&ours) {
                let mut answer: Value = serde_json::from_str(&line).expect("JSON");
                assert!(answer["error"].is_null(), "{method}: {line}");
                return answer["result"].take();
            }
        }
    }
}
