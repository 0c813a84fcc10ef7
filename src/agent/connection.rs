//! JSON-RPC 2.0 over a process's stdio, one message a line, as ACP has it.
//!
//! The reply to `session/prompt` comes through the same channel as the updates before it, so that no
//! text can arrive after "done". When the process's stdout ends, every call that waits is answered,
//! and later ones fail at once.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot, watch};

/// The longest line that an agent may send, in bytes; it is disconnected for a longer one.
pub const LINE_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Messages of one native session that may wait for their reader; then the agent has to wait.
pub const INBOX_MESSAGES: usize = 4096;
/// Messages to the agent that may wait to be written.
const OUTBOX_MESSAGES: usize = 256;
/// Updates kept for a native session that nobody knows yet: agents send some before their reply.
const EARLY_MESSAGES: usize = 64;
/// Unknown native sessions for which that is done.
const EARLY_SESSIONS: usize = 16;

/// JSON-RPC's "method not found".
const METHOD_NOT_FOUND: i64 = -32601;

/// An error that an agent answered with.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcError {
    /// JSON-RPC's code.
    pub code: i64,
    /// What the agent says.
    pub message: String,
    /// What else it says.
    pub data: Option<Value>,
}

impl RpcError {
    /// The message with what `data` adds to it, for a person.
    pub fn describe(&self) -> String {
        let detail = match &self.data {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Object(map)) => ["details", "message", "reason"]
                .iter()
                .find_map(|key| map.get(*key)?.as_str().map(str::to_owned)),
            _ => None,
        };
        match detail {
            Some(detail) if !self.message.contains(&detail) => {
                format!("{}: {detail}", self.message)
            }
            _ => self.message.clone(),
        }
    }
}

/// Why a call to an agent has no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The agent answered with an error.
    #[error("{}", .0.describe())]
    Rpc(RpcError),
    /// The agent's process has ended or closed its stdout.
    #[error("the agent's process has ended")]
    Closed,
    /// The agent did not answer in time.
    #[error("the agent did not answer {method} within {after:?}")]
    Timeout {
        /// The method that was called.
        method: &'static str,
        /// How long was waited.
        after: Duration,
    },
}

/// What an agent sends about one native session, in its order.
#[derive(Debug)]
pub enum Inbound {
    /// `session/update`: the `update` object.
    Update(Value),
    /// A request that has to be answered with [`Connection::respond`].
    Request {
        /// The request's id, in the agent's own numbering.
        id: Value,
        /// The method.
        method: String,
        /// Its parameters.
        params: Value,
    },
    /// The reply to the prompt.
    PromptReply(Result<Value, RpcError>),
}

type CallResult = Result<Value, RpcError>;

enum Pending {
    Call(oneshot::Sender<CallResult>),
    Prompt { native_session: String },
}

#[derive(Default)]
struct Routes {
    /// `None` once the agent is gone.
    pending: Option<HashMap<u64, Pending>>,
    inboxes: HashMap<String, mpsc::Sender<Inbound>>,
    early: VecDeque<(String, Vec<Inbound>)>,
}

/// A connection to an agent.
pub struct Connection {
    next_id: AtomicU64,
    outbox: mpsc::Sender<String>,
    routes: Mutex<Routes>,
    closed: watch::Sender<bool>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Takes over the pipes of a process.
    pub fn open(stdin: ChildStdin, stdout: ChildStdout) -> Arc<Self> {
        let (outbox, lines) = mpsc::channel(OUTBOX_MESSAGES);
        let routes = Routes {
            pending: Some(HashMap::new()),
            ..Routes::default()
        };
        let connection = Arc::new(Self {
            next_id: AtomicU64::new(1),
            outbox,
            routes: Mutex::new(routes),
            closed: watch::Sender::new(false),
        });
        // Neither task keeps the connection alive: dropping or closing it closes the agent's stdin.
        tokio::spawn(write_lines(stdin, lines, connection.closed.subscribe()));
        tokio::spawn(read_lines(stdout, Arc::downgrade(&connection)));
        connection
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the agent is gone.
    pub fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Waits until the agent is gone.
    pub async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        // An error means that the sender is gone, and with it the connection.
        let _gone = closed.wait_for(|closed| *closed).await;
    }

    /// Calls a method and waits for its result.
    ///
    /// # Errors
    /// The agent's own error, its end, or the timeout.
    pub async fn call(
        &self,
        method: &'static str,
        params: Value,
        timeout: Duration,
    ) -> Result<Value, CallError> {
        let (sender, receiver) = oneshot::channel();
        let exchange = async {
            self.send_request(method, params, Pending::Call(sender))
                .await?;
            match receiver.await {
                Ok(result) => result.map_err(CallError::Rpc),
                Err(_) => Err(CallError::Closed),
            }
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Timeout {
                method,
                after: timeout,
            }),
        }
    }

    /// Sends a prompt; its reply comes through the native session's inbox.
    ///
    /// # Errors
    /// When the agent is gone.
    pub async fn prompt(&self, native_session: &str, blocks: Vec<Value>) -> Result<(), CallError> {
        let params = json!({ "sessionId": native_session, "prompt": blocks });
        let pending = Pending::Prompt {
            native_session: native_session.to_owned(),
        };
        self.send_request("session/prompt", params, pending).await
    }

    /// Sends a notification.
    ///
    /// # Errors
    /// When the agent is gone.
    pub async fn notify(&self, method: &str, params: Value) -> Result<(), CallError> {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
            .await
    }

    /// Answers a request of the agent.
    ///
    /// # Errors
    /// When the agent is gone.
    pub async fn respond(&self, id: Value, result: Value) -> Result<(), CallError> {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
            .await
    }

    async fn refuse(&self, id: Value, method: &str) -> Result<(), CallError> {
        let error = json!({ "code": METHOD_NOT_FOUND, "message": format!("Baton does not offer {method}") });
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "error": error }))
            .await
    }

    /// Receives what the agent sends about a native session from now on, and what it has sent early.
    pub fn attach(&self, native_session: &str) -> mpsc::Receiver<Inbound> {
        let (sender, receiver) = mpsc::channel(INBOX_MESSAGES);
        let mut routes = self.routes();
        if let Some(at) = routes.early.iter().position(|(id, _)| id == native_session)
            && let Some((_, messages)) = routes.early.remove(at)
        {
            for message in messages {
                // There are fewer early messages than the inbox holds.
                let _fits = sender.try_send(message);
            }
        }
        if routes.pending.is_some() {
            routes.inboxes.insert(native_session.to_owned(), sender);
        }
        receiver
    }

    /// Stops receiving for a native session.
    pub fn detach(&self, native_session: &str) {
        self.routes().inboxes.remove(native_session);
    }

    async fn send_request(
        &self,
        method: &str,
        params: Value,
        pending: Pending,
    ) -> Result<(), CallError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        match &mut self.routes().pending {
            Some(waiting) => waiting.insert(id, pending),
            None => return Err(CallError::Closed),
        };
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .await
    }

    async fn send(&self, message: &Value) -> Result<(), CallError> {
        tracing::trace!(target: "baton::acp", "-> {message}");
        let line = format!("{message}\n");
        tokio::select! {
            sent = self.outbox.send(line) => sent.map_err(|_| CallError::Closed),
            () = self.closed() => Err(CallError::Closed),
        }
    }

    /// Closes the agent's stdin, answers every waiting call and ends every inbox.
    pub fn close(&self) {
        let mut routes = self.routes();
        // Dropping the senders answers every waiting call and ends every inbox.
        routes.pending = None;
        routes.inboxes.clear();
        routes.early.clear();
        drop(routes);
        self.closed.send_replace(true);
    }

    async fn receive(&self, line: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            // Some agents print banners on stdout.
            tracing::debug!(target: "baton::acp", "ignored a line that is not JSON: {:.200}", String::from_utf8_lossy(line));
            return;
        };
        tracing::trace!(target: "baton::acp", "<- {message}");
        let id = message.get("id").filter(|id| !id.is_null()).cloned();
        let method = message.get("method").and_then(Value::as_str);
        match (method, id) {
            (Some(method), Some(id)) => {
                self.receive_request(id, method, message.get("params"))
                    .await
            }
            (Some(method), None) => {
                self.receive_notification(method, message.get("params"))
                    .await
            }
            (None, Some(id)) => self.receive_reply(&id, &message).await,
            (None, None) => {
                tracing::debug!(target: "baton::acp", "ignored a message without id and method")
            }
        }
    }

    async fn receive_request(&self, id: Value, method: &str, params: Option<&Value>) {
        let params = params.cloned().unwrap_or_default();
        let offered = matches!(method, "session/request_permission" | "elicitation/create");
        let session = params
            .get("sessionId")
            .and_then(Value::as_str)
            .map(str::to_owned);
        if let (true, Some(session)) = (offered, session) {
            let request = Inbound::Request {
                id: id.clone(),
                method: method.to_owned(),
                params,
            };
            if self.deliver(&session, request).await {
                return;
            }
        }
        // The agent is gone when this fails, and then nobody waits for the answer.
        let _gone = self.refuse(id, method).await;
    }

    async fn receive_notification(&self, method: &str, params: Option<&Value>) {
        let Some(params) = params else { return };
        let session = params.get("sessionId").and_then(Value::as_str);
        if let ("session/update", Some(session), Some(update)) =
            (method, session, params.get("update"))
        {
            self.deliver(session, Inbound::Update(update.clone())).await;
        }
    }

    async fn receive_reply(&self, id: &Value, message: &Value) {
        let Some(number) = id.as_u64() else { return };
        let pending = self
            .routes()
            .pending
            .as_mut()
            .and_then(|waiting| waiting.remove(&number));
        let result = match message.get("error") {
            Some(error) => Err(RpcError {
                code: error
                    .get("code")
                    .and_then(Value::as_i64)
                    .unwrap_or_default(),
                message: error
                    .get("message")
                    .and_then(Value::as_str)
                    .unwrap_or("unknown error")
                    .to_owned(),
                data: error.get("data").cloned(),
            }),
            None => Ok(message.get("result").cloned().unwrap_or_default()),
        };
        match pending {
            // A caller that has given up does not need the result.
            Some(Pending::Call(sender)) => drop(sender.send(result)),
            Some(Pending::Prompt { native_session }) => {
                self.deliver(&native_session, Inbound::PromptReply(result))
                    .await;
            }
            None => {
                tracing::debug!(target: "baton::acp", "ignored a reply to no request: {number}")
            }
        }
    }

    /// Gives a message to its native session; false when nobody reads for that session.
    async fn deliver(&self, session: &str, message: Inbound) -> bool {
        let inbox = {
            let mut routes = self.routes();
            match routes.inboxes.get(session) {
                Some(inbox) => inbox.clone(),
                None => return keep_early(&mut routes.early, session, message),
            }
        };
        inbox.send(message).await.is_ok()
    }
}

fn keep_early(
    early: &mut VecDeque<(String, Vec<Inbound>)>,
    session: &str,
    message: Inbound,
) -> bool {
    if !matches!(message, Inbound::Update(_)) {
        return false;
    }
    if let Some((_, messages)) = early.iter_mut().find(|(id, _)| id == session) {
        if messages.len() < EARLY_MESSAGES {
            messages.push(message);
        }
        return true;
    }
    if early.len() == EARLY_SESSIONS {
        early.pop_front();
    }
    early.push_back((session.to_owned(), vec![message]));
    true
}

async fn write_lines(
    mut stdin: ChildStdin,
    mut lines: mpsc::Receiver<String>,
    mut closed: watch::Receiver<bool>,
) {
    let write = async {
        while let Some(line) = lines.recv().await {
            if stdin.write_all(line.as_bytes()).await.is_err() || stdin.flush().await.is_err() {
                // The reader notices the end of the process.
                return;
            }
        }
    };
    tokio::select! {
        () = write => {}
        // An error means that the connection was dropped, which is a way of closing it.
        _ = closed.wait_for(|closed| *closed) => {}
    }
}

async fn read_lines(stdout: ChildStdout, connection: std::sync::Weak<Connection>) {
    let mut reader = BufReader::with_capacity(64 * 1024, stdout);
    let mut line = Vec::new();
    loop {
        let read = read_line(&mut reader, &mut line).await;
        let Some(connection) = connection.upgrade() else {
            return;
        };
        match read {
            Ok(true) => connection.receive(&line).await,
            Ok(false) => return connection.close(),
            Err(error) => {
                tracing::warn!(target: "baton::acp", "disconnected an agent: {error}");
                return connection.close();
            }
        }
    }
}

/// Reads one line into the buffer; false at the end of the stream.
async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> io::Result<bool> {
    line.clear();
    loop {
        let available = reader.fill_buf().await?;
        if available.is_empty() {
            return Ok(!line.is_empty());
        }
        let newline = available.iter().position(|&b| b == b'\n');
        let taken = newline.unwrap_or(available.len());
        if line.len() + taken > LINE_MAX_BYTES {
            let limit = LINE_MAX_BYTES;
            return Err(io::Error::other(format!(
                "a line is longer than {limit} bytes"
            )));
        }
        line.extend_from_slice(&available[..taken]);
        reader.consume(newline.map_or(taken, |at| at + 1));
        if newline.is_some() {
            return Ok(true);
        }
    }
}
