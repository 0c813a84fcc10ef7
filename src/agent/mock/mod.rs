//! `baton mock-agent`: a coding agent that needs no model, no network and no account.
//!
//! It serves the Agent Client Protocol on stdin and stdout, does what a prompt's command says
//! (`--help` lists them) and can be told to lack things or to misbehave (see [`faults`]). It is an
//! implementation of its own: it shares no code and no types with Baton's side of the protocol and
//! builds its JSON by hand, so that an error there is not repeated here, and so that it can be
//! wrong on purpose. Its tests parse what it sends with the protocol's published types.

pub mod faults;
pub mod in_memory;
pub mod script;

mod args;
mod commands;
mod methods;
mod options;
mod session;
mod tools;
mod turn;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

pub use args::{MockArgs, ToolSort};
use faults::{Fault, Without};
use script::{Reaction, Script};
use session::Session;
use wire::{Line, Outgoing, RpcError};

/// How long the agent waits at its end for the client to read what is left, in milliseconds.
const LAST_FLUSH_MS: u64 = 1_000;

/// The exit status of a crash that was asked for.
const CRASH_STATUS: i32 = 70;

/// How often `--delay-while` looks whether its file is still there.
const DELAY_POLL: Duration = Duration::from_millis(10);

/// Serves the protocol on stdin and stdout until stdin ends.
///
/// # Errors
/// When the arguments contradict each other, or when a fault that begins with the process cannot
/// be brought about.
pub async fn run(args: MockArgs) -> io::Result<()> {
    let child = faults::at_start(&args.fault)?;
    let faults = args.fault.clone();
    let (out, queue) = Outgoing::new();
    let agent = Arc::new(Agent::new(args, out, child)?);
    wire::start_writer(queue, agent.has(Fault::Noise));
    let mut lines = wire::start_reader(faults);
    while let Some(line) = lines.recv().await {
        agent.receive(line).await;
    }
    if agent.has(Fault::IgnoresEof) {
        std::future::pending::<()>().await;
    }
    // Replies may be on their way still, but a client that no longer reads must not hold us.
    let _ = tokio::time::timeout(Duration::from_millis(LAST_FLUSH_MS), agent.out.flush()).await;
    Ok(())
}

/// The agent: what it was started with and what it remembers.
struct Agent {
    args: MockArgs,
    launch_model: String,
    out: Outgoing,
    sessions: Mutex<HashMap<String, Session>>,
    /// The client can show a form (`initialize` said so).
    client_has_forms: AtomicBool,
    authenticated: AtomicBool,
    requests_received: AtomicU64,
    requests_sent: AtomicU64,
    /// Requests to the client that wait for their answer.
    pending: Mutex<HashMap<u64, oneshot::Sender<Result<Value, Value>>>>,
    /// The process that `leaves-child` started.
    child: Option<u32>,
    home: Home,
}

/// Where the agent lives.
enum Home {
    /// It has a process to itself.
    Process,
    /// It lives in its client's process, and a test tells it what to do.
    Memory {
        /// Becomes `true` when the agent has died.
        dead: watch::Sender<bool>,
        script: Arc<Script>,
    },
}

/// What a request leads to.
struct Reply {
    result: Value,
    /// Notifications that go out before the reply, in this order.
    before: Vec<Value>,
    /// Notifications that go out after it.
    after: Vec<Value>,
}

impl From<Value> for Reply {
    fn from(result: Value) -> Self {
        Self {
            result,
            before: Vec::new(),
            after: Vec::new(),
        }
    }
}

impl Agent {
    fn new(mut args: MockArgs, out: Outgoing, child: Option<u32>) -> io::Result<Self> {
        let invalid = |message| Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        if let Some(file) = &args.models_file {
            let text = std::fs::read_to_string(file)?;
            args.models = text.lines().map(str::to_owned).collect();
        }
        let named = args.models.iter().all(|id| !id.is_empty());
        let Some(first) = args.models.first().filter(|_| named) else {
            return invalid("--models: a name is missing".to_owned());
        };
        if args.efforts.iter().any(String::is_empty) {
            return invalid("--efforts: a name is missing".to_owned());
        }
        let launch_model = args.model.clone().unwrap_or_else(|| first.clone());
        let any = args.without.contains(&Without::ModelChoice)
            || args.fault.contains(&Fault::AcceptsAnyModel);
        if !any && !args.models.contains(&launch_model) {
            let known = args.models.join(", ");
            return invalid(format!(
                "--model: unknown model {launch_model:?}; known: {known}"
            ));
        }
        Ok(Self {
            args,
            launch_model,
            out,
            sessions: Mutex::default(),
            client_has_forms: AtomicBool::new(false),
            authenticated: AtomicBool::new(false),
            requests_received: AtomicU64::new(0),
            requests_sent: AtomicU64::new(0),
            pending: Mutex::default(),
            child,
            home: Home::Process,
        })
    }

    fn script(&self) -> Option<&Script> {
        match &self.home {
            Home::Process => None,
            Home::Memory { script, .. } => Some(script),
        }
    }

    /// Waits until the agent is dead, where somebody could live to see it.
    async fn died(&self) {
        match &self.home {
            Home::Process => std::future::pending().await,
            Home::Memory { dead, .. } => {
                let mut dead = dead.subscribe();
                // An error would mean that the sender is gone; it is in `self`.
                let _dead = dead.wait_for(|dead| *dead).await;
            }
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.args.fault.contains(&fault)
    }

    fn lacks(&self, without: Without) -> bool {
        self.args.without.contains(&without)
    }

    /// The sessions in memory. No I/O and no waiting happens under this lock.
    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.sessions.lock()
    }

    /// Takes in a line, whatever it is.
    async fn receive(self: &Arc<Self>, line: Line) {
        let message = match line {
            Line::TooLong => Err(RpcError::parse("the line is too long")),
            Line::Complete(bytes) if bytes.trim_ascii().is_empty() => return,
            Line::Complete(bytes) => serde_json::from_slice(&bytes).map_err(RpcError::parse),
        };
        match message {
            Ok(Value::Object(message)) => self.receive_message(message).await,
            Ok(_) => {
                let error = RpcError::invalid_request("a message is an object");
                self.respond(&Value::Null, Err(error)).await;
            }
            Err(error) => self.respond(&Value::Null, Err(error)).await,
        }
    }

    async fn receive_message(self: &Arc<Self>, mut message: serde_json::Map<String, Value>) {
        let id = message.remove("id");
        let params = message.remove("params").unwrap_or(Value::Null);
        let method = message.get("method").and_then(Value::as_str);
        if let Some(script) = self.script() {
            let answer = || message.get("result").or(message.get("error"));
            let params = method.map_or_else(|| answer().unwrap_or(&Value::Null), |_| &params);
            script.note(method.unwrap_or_default(), params);
        }
        if self.has(Fault::StderrNoise) {
            wire::log(&format!("received {}", method.unwrap_or("an answer")));
        }
        match (method, id) {
            (Some(method), Some(id)) if id.is_string() || id.is_number() || id.is_null() => {
                self.receive_request(id, method, params).await;
            }
            (Some("session/cancel"), None) => self.cancel(&params),
            // Unknown notifications are to be ignored, says JSON-RPC.
            (Some(_), None) => {}
            (None, Some(id)) if message.contains_key("result") || message.contains_key("error") => {
                self.receive_answer(&id, message);
            }
            _ => {
                let error = RpcError::invalid_request("neither a request nor a response");
                self.respond(&Value::Null, Err(error)).await;
            }
        }
    }

    async fn receive_request(self: &Arc<Self>, id: Value, method: &str, params: Value) {
        let nth = self.requests_received.fetch_add(1, Ordering::Relaxed) + 1;
        if self.args.die_on_request == Some(nth) {
            self.crash().await;
        }
        match self.script().and_then(|script| script.reaction(method)) {
            Some(reaction) => self.react(reaction, id, method, params).await,
            None => self.carry_out(id, method, params).await,
        }
    }

    /// Does with a request what a test wants.
    async fn react(self: &Arc<Self>, reaction: Reaction, id: Value, method: &str, params: Value) {
        let later: BoxFuture<'static, ()> = match reaction {
            Reaction::After(time) => Box::pin(tokio::time::sleep(time)),
            Reaction::Wait(notify) => Box::pin(async move { notify.notified().await }),
            Reaction::Reply(result) => return self.respond(&id, Ok(result)).await,
            Reaction::Fail { code, message } => {
                let error = RpcError::new(code, message);
                return self.respond(&id, Err(error)).await;
            }
            Reaction::Never => return,
            Reaction::Die => self.crash().await,
            Reaction::ServeAndDie => {
                self.carry_out(id, method, params).await;
                self.crash().await
            }
        };
        let (agent, method) = (Arc::clone(self), method.to_owned());
        tokio::spawn(async move {
            later.await;
            agent.carry_out(id, &method, params).await;
        });
    }

    async fn carry_out(self: &Arc<Self>, id: Value, method: &str, params: Value) {
        let never = self.args.never_answer.iter().any(|name| name == method);
        if never || self.has(Fault::NeverAnswers) {
            return;
        }
        if method == "session/prompt" {
            return turn::start(self, id, &params).await;
        }
        let slow = match method {
            "initialize" => self.has(Fault::SlowStart),
            "session/set_config_option" | "session/set_model" => self.has(Fault::SlowSwitch),
            _ => false,
        };
        if slow {
            let (agent, method) = (Arc::clone(self), method.to_owned());
            tokio::spawn(async move {
                agent.delay().await;
                agent.answer(&id, &method, &params).await;
            });
        } else {
            self.answer(&id, method, &params).await;
        }
    }

    /// What makes `slow-start` and `slow-switch` slow.
    async fn delay(&self) {
        let Some(file) = &self.args.delay_while else {
            return tokio::time::sleep(Duration::from_millis(self.args.delay_ms)).await;
        };
        while tokio::fs::try_exists(file).await.unwrap_or(false) {
            tokio::time::sleep(DELAY_POLL).await;
        }
    }

    async fn answer(&self, id: &Value, method: &str, params: &Value) {
        match methods::call(self, method, params) {
            Ok(reply) => {
                for message in reply.before {
                    self.out.send(message).await;
                }
                self.respond(id, Ok(reply.result)).await;
                for message in reply.after {
                    self.out.send(message).await;
                }
            }
            Err(error) => self.respond(id, Err(error)).await,
        }
    }

    async fn respond(&self, id: &Value, result: Result<Value, RpcError>) {
        self.out.send(wire::response(id, result)).await;
    }

    /// `session/cancel`. A session that is unknown or idle has nothing to cancel.
    fn cancel(&self, params: &Value) {
        if self.has(Fault::IgnoresCancel) {
            return;
        }
        let id = params.get("sessionId").and_then(Value::as_str);
        if let Some(session) = self.sessions().get(id.unwrap_or_default()) {
            session.cancel();
        }
    }

    /// Passes an answer of the client to the caller that waits for it.
    fn receive_answer(&self, id: &Value, mut message: serde_json::Map<String, Value>) {
        let waiting = id.as_u64().and_then(|id| self.pending.lock().remove(&id));
        let answer = match message.remove("result") {
            Some(result) => Ok(result),
            None => Err(message.remove("error").unwrap_or(Value::Null)),
        };
        if let Some(waiting) = waiting {
            // A cancelled turn no longer waits.
            let _ = waiting.send(answer);
        }
    }

    /// Sends a request to the client and waits for its result; `Err` holds the error.
    async fn ask(&self, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.requests_sent.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        {
            let mut pending = self.pending.lock();
            // Requests of turns that were cancelled need not be remembered.
            pending.retain(|_, waiting| !waiting.is_closed());
            pending.insert(id, sender);
        }
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.out.send(request).await;
        answer.await.unwrap_or(Err(Value::Null))
    }

    /// Dies at once, but not before what was sent has left.
    async fn crash(&self) -> ! {
        self.out.flush().await;
        match &self.home {
            Home::Process => std::process::exit(CRASH_STATUS),
            Home::Memory { dead, .. } => {
                dead.send_replace(true);
                // Its callers are dead, too.
                std::future::pending().await
            }
        }
    }
}
