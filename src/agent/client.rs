//! The ACP calls that Baton makes, over a [`Connection`].

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_client_protocol_schema::v1::InitializeResponse;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::commands::{self, AgentCommand};
use super::connection::{CallError, Connection, Inbound, Inbox};
use super::options::{Kind, Options, Via};
use super::quirks::told;
use super::replay::Replay;
use super::sign_in::{self, SignInMethod};
pub use super::switch_error::SwitchError;
use crate::mcp::Given;

/// ACP's major version that Baton speaks.
const PROTOCOL_VERSION: u16 = 1;
/// A replay is over when nothing has come for this long.
const LOAD_QUIET: Duration = Duration::from_millis(150);
/// A replay that follows its reply is swallowed for at most this long.
const LOAD_QUIET_AT_MOST: Duration = Duration::from_secs(3);
/// ACP's "authentication required".
pub const AUTH_REQUIRED: i64 = -32000;

/// What an agent can do, as it says at `initialize`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// `session/load`.
    pub load: bool,
    /// `session/resume`.
    pub resume: bool,
    /// `session/list`. What an older Baton has found lacks it.
    #[serde(default)]
    pub list: bool,
    /// `session/close`.
    pub close: bool,
    /// `session/delete`. What an older Baton has found lacks it.
    #[serde(default)]
    pub delete: bool,
    /// Pictures in prompts.
    pub image: bool,
    /// Embedded resources in prompts.
    pub embedded_context: bool,
    /// MCP servers over streamable HTTP. What an older Baton has found lacks it.
    #[serde(default)]
    pub mcp_http: bool,
    /// MCP servers over server-sent events.
    #[serde(default)]
    pub mcp_sse: bool,
}

/// What an agent says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// Its version.
    pub version: Option<String>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The ways to sign in. What an older Baton has found lacks them.
    #[serde(default)]
    pub methods: Vec<SignInMethod>,
}

/// A native session that was just opened.
#[derive(Debug)]
pub struct Opened {
    /// Its id, in the agent's numbering.
    pub native_session: String,
    /// What it offers.
    pub options: Options,
    /// What the agent sends about it.
    pub inbox: Inbox,
    /// A text that the agent sends by itself, and that is part of no answer.
    pub greeting: Option<String>,
    /// The slash commands that it has already advertised.
    pub commands: Option<Vec<AgentCommand>>,
    /// How many messages and tool calls of an earlier conversation the agent has replayed.
    pub replayed: usize,
}

/// Shakes hands.
///
/// # Errors
/// When the agent does not answer, or speaks another version of ACP.
pub async fn initialize(
    connection: &Connection,
    timeout: Duration,
) -> Result<AgentInfo, CallError> {
    let params = json!({
        "protocolVersion": PROTOCOL_VERSION,
        "clientCapabilities": {
            "fs": { "readTextFile": false, "writeTextFile": false },
            "terminal": false,
            "elicitation": { "form": {} },
        },
        "clientInfo": { "name": "baton", "version": env!("CARGO_PKG_VERSION") },
    });
    let reply = connection.call("initialize", params, timeout).await?;
    // A reply that does not fit the schema still comes from an agent that may work.
    let Ok(reply) = serde_json::from_value::<InitializeResponse>(reply) else {
        return Ok(AgentInfo::default());
    };
    let can = &reply.agent_capabilities;
    Ok(AgentInfo {
        version: reply.agent_info.map(|info| info.version),
        capabilities: Capabilities {
            load: can.load_session,
            resume: can.session_capabilities.resume.is_some(),
            list: can.session_capabilities.list.is_some(),
            close: can.session_capabilities.close.is_some(),
            delete: can.session_capabilities.delete.is_some(),
            image: can.prompt_capabilities.image,
            embedded_context: can.prompt_capabilities.embedded_context,
            mcp_http: can.mcp_capabilities.http,
            mcp_sse: can.mcp_capabilities.sse,
        },
        methods: sign_in::methods(&reply.auth_methods),
    })
}

/// What goes with the opening of a native session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Opening {
    /// What the protocol has no field for.
    pub meta: Option<Value>,
    /// The MCP servers that its agent connects to.
    pub mcp: Given,
}

impl Opening {
    /// The parameters that open a native session.
    pub(super) fn parameters(&self, cwd: &Path) -> Value {
        let mut params = json!({ "cwd": cwd, "mcpServers": self.mcp.servers });
        if let Some(meta) = &self.meta {
            params["_meta"] = meta.clone();
        }
        params
    }
}

/// Opens a new native session.
///
/// # Errors
/// The agent's own error, its end, the timeout, or a reply that names no session.
pub async fn new_session(
    connection: &Connection,
    cwd: &Path,
    with: &Opening,
    timeout: Duration,
) -> Result<Opened, CallError> {
    let params = with.parameters(cwd);
    let reply = connection.call("session/new", params, timeout).await?;
    let native_session = read_session_id(&reply)
        .map_err(|what| CallError::Malformed {
            method: "session/new",
            what: what.to_owned(),
        })?
        .to_owned();
    if connection.is_attached(&native_session) {
        return Err(CallError::Malformed {
            method: "session/new",
            what: format!(
                "its sessionId \"{native_session}\" is that of another session, whose conversation it would be; use another backend, or a session in another directory"
            ),
        });
    }
    let inbox = connection.attach(&native_session);
    let greeting = told::GREETING
        .iter()
        .find_map(|place| reply.pointer(place)?.as_str());
    Ok(Opened {
        greeting: greeting.map(str::to_owned),
        options: Options::from_session_reply(&reply),
        native_session,
        inbox,
        commands: None,
        replayed: 0,
    })
}

/// The longest id of a native session, in bytes. It is stored, and goes with every call.
pub const SESSION_ID_MAX_BYTES: usize = 1024;

/// The id of a new session. Without one, nothing that follows would reach the session.
fn read_session_id(reply: &Value) -> Result<&str, &'static str> {
    match reply.get("sessionId") {
        None | Some(Value::Null) => Err("it has no sessionId"),
        Some(Value::String(id)) if id.is_empty() => Err("its sessionId is empty"),
        Some(Value::String(id)) if id.len() > SESSION_ID_MAX_BYTES => {
            Err("its sessionId is too long")
        }
        Some(Value::String(id)) => Ok(id),
        Some(_) => Err("its sessionId is not a string"),
    }
}

/// Lets go of a native session that is no longer needed: it is deleted, or closed where the agent cannot delete.
/// Whether it is gone from the agent's own store, as far as the agent says.
pub async fn remove_session(
    connection: &Connection,
    can: Capabilities,
    native_session: &str,
    timeout: Duration,
) -> bool {
    let params = json!({ "sessionId": native_session });
    let call = |method| connection.call(method, params.clone(), timeout);
    // What an agent cannot remove stays in its own store.
    if can.delete && call("session/delete").await.is_ok() {
        return true;
    }
    if can.close {
        let _closed = call("session/close").await;
    }
    false
}

/// How an earlier native session is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reopen {
    /// `session/resume`: without a replay.
    Resume,
    /// `session/load`: the agent replays the history, which is swallowed here.
    Load,
}

impl Reopen {
    fn method(self) -> &'static str {
        match self {
            Self::Resume => "session/resume",
            Self::Load => "session/load",
        }
    }

    /// What is done, for the log.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Resume => "resuming",
            Self::Load => "loading",
        }
    }
}

/// Opens an earlier native session again.
///
/// # Errors
/// The agent's own error (often: it does not know the session any more), its end, the timeout, or a reply that names
/// another native session.
pub async fn reopen_session(
    connection: &Connection,
    how: Reopen,
    native_session: &str,
    cwd: &Path,
    with: &Opening,
    timeout: Duration,
) -> Result<Opened, CallError> {
    let mut replay = Replay::default();
    let params = with.parameters(cwd);
    reopen_noting(
        connection,
        how,
        native_session,
        params,
        &mut replay,
        timeout,
    )
    .await
}

/// The same, with what is noted of what the agent replays.
pub(super) async fn reopen_noting(
    connection: &Connection,
    how: Reopen,
    native_session: &str,
    mut params: Value,
    replay: &mut Replay,
    timeout: Duration,
) -> Result<Opened, CallError> {
    let method = how.method();
    let mut inbox = connection.attach(native_session);
    params["sessionId"] = json!(native_session);
    let call = connection.call(method, params, timeout);
    let result = draining(&mut inbox, call, |message| replay.note(message)).await;
    let result = result.and_then(|reply| is_of(reply, method, native_session));
    if how == Reopen::Load && result.is_ok() {
        until_quiet(&mut inbox, replay).await;
    }
    match result {
        Ok(reply) => {
            let options = Options::from_session_reply(&reply);
            Ok(Opened {
                native_session: native_session.to_owned(),
                options,
                inbox,
                greeting: None,
                commands: replay.commands.take(),
                replayed: replay.messages,
            })
        }
        Err(error) => {
            connection.detach(native_session);
            Err(error)
        }
    }
}

/// Some agents "open again" by making another native session, whose id is in the reply.
fn is_of(reply: Value, method: &'static str, native_session: &str) -> Result<Value, CallError> {
    match reply.get("sessionId").and_then(Value::as_str) {
        Some(other) if other != native_session => Err(CallError::Malformed {
            method,
            what: "it names another session than the one that was to be opened".to_owned(),
        }),
        _ => Ok(reply),
    }
}

/// Swallows what an agent replays after its reply to `session/load`. The protocol has no end mark for
/// that, so it is over when nothing has come for a moment.
async fn until_quiet(inbox: &mut Inbox, replay: &mut Replay) {
    let replayed = async {
        while let Ok(Some(message)) = tokio::time::timeout(LOAD_QUIET, inbox.recv()).await {
            replay.note(message);
        }
    };
    // An agent that never falls silent is not waited for; its chatter would be in the next answer.
    let _chatters = tokio::time::timeout(LOAD_QUIET_AT_MOST, replayed).await;
}

/// Keeps the slash commands of a message, if it has any; of several lists the last one counts.
pub fn note(told: &mut Option<Vec<AgentCommand>>, message: &Inbound) {
    if let Inbound::Update(update) = message
        && let Some(commands) = commands::read(update)
    {
        *told = Some(commands);
    }
}

/// Waits for a call while reading the session's inbox, so that what comes before the reply is dealt with
/// before it and does not use up the inbox's budget.
pub async fn draining<T>(
    inbox: &mut Inbox,
    call: impl Future<Output = T>,
    mut on_message: impl FnMut(Inbound),
) -> T {
    let mut call = std::pin::pin!(call);
    loop {
        tokio::select! {
            // The reply comes after what was sent before it; reading first keeps that order.
            biased;
            Some(message) = inbox.recv() => on_message(message),
            result = &mut call => return result,
        }
    }
}

/// A choice that was sent and whose reply was not awaited to its end: what is chosen is not known until
/// it has come.
pub type Outstanding = Option<JoinHandle<Result<Value, CallError>>>;

/// Chooses a value and takes the reply's complete list as the truth.
///
/// The value is checked against what is on offer beforehand, because several agents accept any text. Given
/// up in the middle, the call goes on in `outstanding`: an agent may deal with two at the same time, so a
/// further choice has to wait for it.
///
/// # Errors
/// When the value is not on offer, the agent refuses it, or reports another one afterwards.
pub async fn choose(
    connection: &Arc<Connection>,
    outstanding: &mut Outstanding,
    native_session: &str,
    options: &mut Options,
    kind: Kind,
    value: &str,
    timeout: Duration,
) -> Result<(), SwitchError> {
    if kind == Kind::Model
        && let Some(provider) = options.provider_of(value).map(str::to_owned)
    {
        // Its models are shown once it is selected.
        let chosen = choose(
            connection,
            outstanding,
            native_session,
            options,
            Kind::Provider,
            &provider,
            timeout,
        );
        Box::pin(chosen).await?;
    }
    let what = kind.word();
    let not_offered = |offered| SwitchError::NotOffered {
        what,
        wanted: value.to_owned(),
        offered,
    };
    let choice = options.get(kind).ok_or_else(|| not_offered(Vec::new()))?;
    if choice.current == value {
        return Ok(());
    }
    let is_unlisted = kind == Kind::Model && options.unlisted.iter().any(|id| id == value);
    if !choice.offers(value) && !is_unlisted {
        return Err(not_offered(choice.ids()));
    }
    let sent = options.sent(kind, value).to_owned();
    let (method, params) = match &choice.via {
        Via::ConfigOption(id) => (
            "session/set_config_option",
            json!({ "sessionId": native_session, "configId": id, "value": sent }),
        ),
        Via::SetModel => (
            "session/set_model",
            json!({ "sessionId": native_session, "modelId": sent }),
        ),
        Via::SetMode => (
            "session/set_mode",
            json!({ "sessionId": native_session, "modeId": sent }),
        ),
    };
    let caller = Arc::clone(connection);
    let call = async move { caller.call(method, params, timeout).await };
    let reply = outstanding.insert(tokio::spawn(call)).await;
    *outstanding = None;
    let reply = reply.unwrap_or(Err(CallError::Closed));
    let reply = reply.map_err(|error| SwitchError::Call {
        what,
        wanted: value.to_owned(),
        error,
    })?;
    if !options.read_config_options(&reply) {
        options.note_current(kind, value);
    }
    match options.get(kind).map(|c| c.current.as_str()) {
        Some(current) if current == value => Ok(()),
        got => Err(SwitchError::Ignored {
            what,
            wanted: value.to_owned(),
            got: got.unwrap_or("nothing").to_owned(),
        }),
    }
}
