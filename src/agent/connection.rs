//! JSON-RPC 2.0 over an agent's stdin and stdout, one message a line, as ACP has it.
//!
//! One task reads and one writes; neither waits for anything but the agent, and nothing waits for them
//! without an end:
//!
//! - The reply to `session/prompt` comes through the same [`Inbox`] as the updates before it, so that no
//!   text can arrive after "done".
//! - A session that does not read its inbox loses it ([`Inbound::Overflowed`]); the other sessions of
//!   the process notice nothing.
//! - An agent that does not read what it is sent is disconnected ([`WRITE_STALL_MAX`]).
//! - When the agent's stdout ends, or one of the two tasks does, every call that waits is answered, and
//!   later ones fail at once.

mod envelope;
mod error;
#[cfg(test)]
mod fuzz;
mod inbox;
mod lines;
mod outbox;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::sync::{oneshot, watch};

pub use error::{CallError, RpcError};
pub use inbox::{INBOX_MAX_BYTES, Inbound, Inbox};
pub use lines::LINE_MAX_BYTES;
pub use outbox::{OUTBOX_MAX_BYTES, WRITE_STALL_MAX};

use crate::metrics;
use crate::repair::{self, Halves};
use envelope::Envelope;
use inbox::{RawReply, Waiting};
use outbox::{Lines, NotAccepted, Outbox, WriteError, outbox, write_lines};
pub use routes::EarlyLimits;
use routes::{Pending, Routes};

/// Read from an agent at once, in bytes.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// What an agent wrote before it closed its stdin is still read for this long.
const LAST_WORDS_MAX: Duration = Duration::from_secs(2);

/// Replaces a broken reply.
const UNREADABLE: &str = r#"{"code":-32700,"message":"the agent's reply is no JSON"}"#;
/// JSON-RPC's "method not found".
const METHOD_NOT_FOUND: i64 = -32601;

/// A connection to an agent.
pub struct Connection {
    next_id: AtomicU64,
    outbox: Outbox,
    routes: Mutex<Routes>,
    closed: watch::Sender<bool>,
    /// Why Baton has closed it, if it was Baton.
    cause: OnceLock<String>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("closed", &self.is_closed())
            .field("cause", &self.cause.get())
            .finish_non_exhaustive()
    }
}

/// The parameters of what concerns a native session.
#[derive(Deserialize)]
struct SessionParams<'a> {
    #[serde(rename = "sessionId")]
    session_id: String,
    #[serde(borrow, default)]
    update: Option<&'a RawValue>,
}

/// While it lives, a reply is waited for.
struct AwaitedReply<'a> {
    connection: &'a Connection,
    id: u64,
}

impl Drop for AwaitedReply<'_> {
    fn drop(&mut self) {
        self.connection.routes().take_pending(self.id);
    }
}

impl Connection {
    /// Takes over the pipes of an agent.
    pub fn open(
        stdin: impl AsyncWrite + Send + Unpin + 'static,
        stdout: impl AsyncRead + Send + Unpin + 'static,
    ) -> Arc<Self> {
        Self::open_within(EarlyLimits::default(), stdin, stdout)
    }

    /// The same, with bounds on what is kept for native sessions that are not known yet.
    pub fn open_within(
        early: EarlyLimits,
        stdin: impl AsyncWrite + Send + Unpin + 'static,
        stdout: impl AsyncRead + Send + Unpin + 'static,
    ) -> Arc<Self> {
        let (outbox, lines) = outbox();
        let connection = Arc::new(Self {
            next_id: AtomicU64::new(1),
            outbox,
            routes: Mutex::new(Routes::new(early)),
            closed: watch::Sender::new(false),
            cause: OnceLock::new(),
        });
        // Neither task keeps the connection alive: dropping or closing it closes the agent's stdin.
        let closed = connection.closed.subscribe();
        tokio::spawn(write(stdin, lines, closed, Arc::downgrade(&connection)));
        tokio::spawn(read(stdout, Arc::downgrade(&connection)));
        connection
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock()
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

    /// The error of whatever is tried with an agent that is gone.
    pub fn gone(&self) -> CallError {
        match self.cause.get() {
            Some(why) => CallError::Disconnected { why: why.clone() },
            None => CallError::Closed,
        }
    }

    /// Calls a method and waits for its result. Dropping the future is giving up the reply.
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
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        if !self.routes().await_reply(id, Pending::Call(sender)) {
            return Err(self.gone());
        }
        let _awaited = AwaitedReply {
            connection: self,
            id,
        };
        self.send_request(id, method, params)?;
        let reply = match tokio::time::timeout(timeout, receiver).await {
            Ok(reply) => reply.map_err(|_| self.gone())?,
            Err(_) => {
                return Err(CallError::Timeout {
                    method,
                    after: timeout,
                });
            }
        };
        match reply.read() {
            Ok(result) => result.map_err(CallError::Rpc),
            Err(error) => Err(CallError::Malformed {
                method,
                what: format!("it cannot be read: {error}"),
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
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        // It is waited for until it comes, the session is detached, or the agent is gone, which is also
        // what makes sending fail.
        if !self.routes().await_reply(id, pending) {
            return Err(self.gone());
        }
        self.send_request(id, "session/prompt", params)
    }

    /// Sends a notification. It is queued, so this waits for nothing.
    ///
    /// # Errors
    /// When the agent is gone.
    pub async fn notify(&self, method: &str, params: Value) -> Result<(), CallError> {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
    }

    /// Answers a request of the agent. The answer is queued, so this waits for nothing.
    ///
    /// # Errors
    /// When the agent is gone.
    pub async fn respond(&self, id: Value, result: Value) -> Result<(), CallError> {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
    }

    fn refuse(&self, id: &Value, method: &str) {
        let error = json!({ "code": METHOD_NOT_FOUND, "message": format!("Baton does not offer {method}") });
        // If this fails the agent is gone, and the answer no longer matters.
        let _gone = self.send(&json!({ "jsonrpc": "2.0", "id": id, "error": error }));
    }

    /// Receives what the agent sends about a native session from now on, and what it has sent early.
    /// Whoever received for it before gets nothing more.
    pub fn attach(&self, native_session: &str) -> Inbox {
        self.routes().attach(native_session)
    }

    /// Whether somebody receives what is sent about a native session.
    pub fn is_attached(&self, native_session: &str) -> bool {
        self.routes().is_attached(native_session)
    }

    /// Stops receiving for a native session, also the reply to its prompt.
    pub fn detach(&self, native_session: &str) {
        self.routes().detach(native_session);
    }

    /// The same for who holds this inbox: it stays with somebody who has attached since.
    pub fn let_go(&self, native_session: &str, inbox: &Inbox) {
        self.routes().let_go(native_session, inbox);
    }

    fn send_request(&self, id: u64, method: &str, params: Value) -> Result<(), CallError> {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
    }

    fn send(&self, message: &Value) -> Result<(), CallError> {
        tracing::trace!(target: "baton::acp", "-> {message}");
        if self.is_closed() {
            return Err(self.gone());
        }
        match self.outbox.push(format!("{message}\n")) {
            Ok(()) => Ok(()),
            Err(NotAccepted::Closed) => Err(self.gone()),
            Err(NotAccepted::Full) => {
                let limit = OUTBOX_MAX_BYTES;
                self.disconnect(&format!("it reads too slowly; {limit} bytes wait for it"));
                Err(self.gone())
            }
        }
    }

    /// Closes the agent's stdin, answers every waiting call and ends every inbox.
    pub fn close(&self) {
        self.routes().close();
        self.closed.send_replace(true);
    }

    /// Closes it because the agent cannot be talked to any more.
    fn disconnect(&self, why: &str) {
        let mut routes = self.routes();
        if self.is_closed() {
            return;
        }
        // The cause has to be known before anybody learns that it is closed.
        if self.cause.set(why.to_owned()).is_ok() {
            tracing::warn!(target: "baton::acp", "disconnected an agent: {why}");
        }
        routes.close();
        drop(routes);
        self.closed.send_replace(true);
    }

    fn receive(&self, line: &[u8]) {
        if tracing::enabled!(target: "baton::acp", tracing::Level::TRACE) {
            tracing::trace!(target: "baton::acp", "<- {}", String::from_utf8_lossy(line));
        }
        // Many agents cut text in the middle of a character; the rest of the line is as good as any.
        let line = repair::json(line);
        let read = envelope::messages(&line, &mut |message| self.receive_message(&message));
        if let Err(error) = read {
            // Some agents print banners on stdout.
            metrics::line_dropped();
            let line = String::from_utf8_lossy(&line);
            tracing::debug!(target: "baton::acp", "ignored what is no message ({error}): {line:.200}");
            if let Some(number) = envelope::id_of_broken(line.as_bytes()) {
                let error = RawValue::from_string(UNREADABLE.to_owned()).ok();
                let (result, error) = (None, error);
                self.take_reply(number, RawReply { result, error });
            }
        }
    }

    fn receive_message(&self, message: &Envelope<'_>) {
        match (&message.method, &message.id) {
            (Some(method), Some(id)) => self.receive_request(id, method, message.params),
            (Some(method), None) => self.receive_notification(method, message.params),
            (None, Some(_)) => self.receive_reply(message),
            (None, None) => {
                metrics::line_dropped();
                tracing::debug!(target: "baton::acp", "ignored a message without id and method");
            }
        }
    }

    fn receive_request(&self, id: &Value, method: &str, params: Option<&RawValue>) {
        let offered = matches!(method, "session/request_permission" | "elicitation/create");
        let session = params.and_then(|params| Some((params, session_of(params)?)));
        if let (true, Some((params, session))) = (offered, session) {
            let request = Waiting::Request {
                id: id.clone(),
                method: method.to_owned(),
                params: params.to_owned(),
            };
            if self.routes().deliver(&session.session_id, request) {
                return;
            }
        }
        self.refuse(id, method);
    }

    fn receive_notification(&self, method: &str, params: Option<&RawValue>) {
        if method != "session/update" {
            return;
        }
        let Some(session) = params.and_then(session_of) else {
            return;
        };
        if let Some(update) = session.update {
            let update = Waiting::Update(update.to_owned());
            self.routes().deliver(&session.session_id, update);
        }
    }

    fn receive_reply(&self, envelope: &Envelope<'_>) {
        let Some(number) = envelope.number() else {
            return;
        };
        let reply = RawReply {
            result: envelope.result.map(ToOwned::to_owned),
            error: envelope.error.map(ToOwned::to_owned),
        };
        self.take_reply(number, reply);
    }

    fn take_reply(&self, number: u64, reply: RawReply) {
        let mut routes = self.routes();
        match routes.take_pending(number) {
            // A caller that has given up at this moment does not need the result.
            Some(Pending::Call(sender)) => drop(sender.send(reply)),
            Some(Pending::Prompt { native_session }) => {
                routes.deliver(&native_session, Waiting::Reply(reply));
            }
            None => {
                tracing::debug!(target: "baton::acp", "ignored a reply to no request: {number}");
            }
        }
    }
}

fn session_of(params: &RawValue) -> Option<SessionParams<'_>> {
    serde_json::from_str(params.get()).ok()
}

/// Disconnects the agent if the task that holds it panics: otherwise callers would wait forever.
struct DisconnectOnPanic(Weak<Connection>, &'static str);

impl Drop for DisconnectOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(connection) = self.0.upgrade()
        {
            connection.disconnect(self.1);
        }
    }
}

async fn write(
    mut stdin: impl AsyncWrite + Send + Unpin,
    lines: Lines,
    mut closed: watch::Receiver<bool>,
    connection: Weak<Connection>,
) {
    let _guard = DisconnectOnPanic(connection.clone(), "writing to it has failed in Baton");
    let failed = tokio::select! {
        written = write_lines(&mut stdin, lines) => written.err(),
        // An error means that the connection was dropped, which is a way of closing it.
        _ = closed.wait_for(|closed| *closed) => None,
    };
    let Some(error) = failed else { return };
    if matches!(error, WriteError::Io(_)) {
        // It is mostly about to end; what it has said before, the reader is to get.
        let closed = closed.wait_for(|closed| *closed);
        let _ended = tokio::time::timeout(LAST_WORDS_MAX, closed).await;
    }
    if let Some(connection) = connection.upgrade() {
        connection.disconnect(&error.to_string());
    }
}

async fn read(stdout: impl AsyncRead + Send + Unpin, connection: Weak<Connection>) {
    let _guard = DisconnectOnPanic(connection.clone(), "reading from it has failed in Baton");
    let mut reader = BufReader::with_capacity(READ_BUFFER_BYTES, stdout);
    let mut line = Vec::new();
    let mut halves = Halves::default();
    loop {
        // Also when the connection is closed: an agent that is about to end may have much to say, and
        // would break off if nobody read it.
        let read = lines::read_line(&mut reader, &mut line).await;
        let Some(connection) = connection.upgrade() else {
            return;
        };
        match read {
            Ok(true) => {
                halves.join(&mut line);
                connection.receive(&line);
            }
            Ok(false) => return connection.close(),
            Err(error) => return connection.disconnect(&error.to_string()),
        }
    }
}
