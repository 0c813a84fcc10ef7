//! The methods other than `session/prompt`. None of them waits for anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use super::faults::{Fault, Without};
use super::session::{self, Choice, Session, Stored};
use super::wire::{self, RpcError, session_update};
use super::{Agent, Reply, options};

/// The protocol version that the agent speaks, whatever it is asked for.
const PROTOCOL_VERSION: u64 = 1;

/// The environment variable that names a file which shows that the user has signed in.
const SIGNED_IN_FILE: &str = "BATON_MOCK_SIGNED_IN";

/// The only way to sign in without a terminal, with the faults `auth-required` and `auth-at-prompt`.
const AUTH_METHOD: &str = "mock-login";

/// Calls a method.
pub(super) fn call(agent: &Agent, method: &str, params: &Value) -> Result<Reply, RpcError> {
    match method {
        "initialize" => initialize(agent, params),
        "authenticate" if wants_sign_in(agent) => authenticate(agent, params),
        "session/new" => new(agent, params),
        "session/load" if !agent.lacks(Without::Load) => load(agent, params),
        "session/resume" if !agent.lacks(Without::Resume) => resume(agent, params),
        "session/list" if !agent.lacks(Without::List) => Ok(list(agent, params).into()),
        "session/close" if !agent.lacks(Without::Close) => close(agent, params),
        "session/delete" if !agent.lacks(Without::Delete) => delete(agent, params),
        "session/set_config_option" if agent.has_config_options() => {
            set_config_option(agent, params)
        }
        "session/set_model" if agent.has_legacy_models() => set_model(agent, params),
        "session/set_mode" if !agent.lacks(Without::Modes) => set_mode(agent, params),
        _ => Err(RpcError::method_not_found(method)),
    }
}

/// A parameter that must be a string.
pub(super) fn string<'a>(params: &'a Value, name: &str) -> Result<&'a str, RpcError> {
    params
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| RpcError::invalid_params(format!("`{name}` must be a string")))
}

fn cwd(params: &Value) -> Result<PathBuf, RpcError> {
    let cwd = PathBuf::from(string(params, "cwd")?);
    if cwd.is_absolute() {
        return Ok(cwd);
    }
    Err(RpcError::invalid_params("`cwd` must be an absolute path"))
}

fn check_mcp_servers(params: &Value, required: bool) -> Result<(), RpcError> {
    match params.get("mcpServers") {
        Some(Value::Array(_)) => Ok(()),
        None if !required => Ok(()),
        _ => Err(RpcError::invalid_params("`mcpServers` must be an array")),
    }
}

fn initialize(agent: &Agent, params: &Value) -> Result<Reply, RpcError> {
    if params
        .get("protocolVersion")
        .and_then(Value::as_u64)
        .is_none()
    {
        return Err(RpcError::invalid_params(
            "`protocolVersion` must be a number",
        ));
    }
    let forms = params.pointer("/clientCapabilities/elicitation/form");
    let forms = forms.is_some_and(Value::is_object);
    agent.client_has_forms.store(forms, Ordering::Relaxed);

    let mut session_capabilities = Map::new();
    for (name, without) in [
        ("resume", Without::Resume),
        ("list", Without::List),
        ("close", Without::Close),
        ("delete", Without::Delete),
    ] {
        if !agent.lacks(without) {
            session_capabilities.insert(name.to_owned(), json!({}));
        }
    }
    let auth_methods = if wants_sign_in(agent) {
        json!([
            {"id": AUTH_METHOD, "name": "Mock login", "description": "Signs in to nothing"},
            {"id": "mock-terminal", "name": "In a terminal", "type": "terminal"},
        ])
    } else {
        json!([])
    };
    let result = json!({
        "protocolVersion": PROTOCOL_VERSION,
        "agentCapabilities": {
            "loadSession": !agent.lacks(Without::Load),
            "promptCapabilities": {
                "image": !agent.lacks(Without::Images),
                "embeddedContext": true,
            },
            "sessionCapabilities": session_capabilities,
        },
        "agentInfo": {"name": "baton-mock-agent", "version": env!("CARGO_PKG_VERSION")},
        "authMethods": auth_methods,
    });
    Ok(result.into())
}

/// Whether there is something to sign in to.
fn wants_sign_in(agent: &Agent) -> bool {
    agent.has(Fault::AuthRequired) || agent.has(Fault::AuthAtPrompt)
}

/// Whether the client has signed in, or its user in another way.
pub(super) fn is_signed_in(agent: &Agent) -> bool {
    let file = std::env::var_os(SIGNED_IN_FILE);
    let elsewhere = file.is_some_and(|file| PathBuf::from(file).exists());
    elsewhere || agent.authenticated.load(Ordering::Relaxed)
}

fn authenticate(agent: &Agent, params: &Value) -> Result<Reply, RpcError> {
    if string(params, "methodId")? != AUTH_METHOD {
        return Err(RpcError::invalid_params("unknown authentication method"));
    }
    agent.authenticated.store(true, Ordering::Relaxed);
    Ok(json!({}).into())
}

fn new(agent: &Agent, params: &Value) -> Result<Reply, RpcError> {
    let cwd = cwd(params)?;
    check_mcp_servers(params, true)?;
    if agent.has(Fault::AuthRequired) && !is_signed_in(agent) {
        return Err(RpcError::new(-32000, "Authentication required"));
    }
    let id = if agent.has(Fault::IdByDirectory) {
        let name = cwd
            .to_string_lossy()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        format!("mock{name}")
    } else {
        session::new_id()
    };
    let choice = agent.default_choice(Some(&cwd));
    let mut result = Map::from_iter([("sessionId".to_owned(), json!(id))]);
    result.extend(agent.session_fields(&choice));
    if agent.has(Fault::ClosesOtherSessions) {
        for (_, other) in agent.sessions().drain() {
            other.cancel();
        }
    }
    if agent.has(Fault::Greets) {
        let meta = json!({"piAcp": {"startupInfo": GREETING}});
        result.insert("_meta".to_owned(), meta);
    }
    let mut after = advertised(agent, &id, &cwd);
    if agent.has(Fault::SpeaksFirst) {
        let content = json!({"type": "text", "text": GREETING});
        let update = json!({"sessionUpdate": "agent_message_chunk", "content": content});
        after.push(session_update(&id, update));
    }
    let mut sessions = agent.sessions();
    sessions
        .entry(id)
        .or_insert_with(|| Session::new(cwd, choice));
    drop(sessions);
    Ok(Reply {
        after,
        ..Value::Object(result).into()
    })
}

/// The update with the slash commands; it follows the reply that opens a session.
fn advertised(agent: &Agent, session: &str, cwd: &Path) -> Vec<Value> {
    let describe = |name: &String| {
        let description = match name.as_str() {
            "shout" => "Says it in capitals",
            "count" => "Counts the texts of this native session",
            _ => "Says that it was run",
        };
        json!({"name": name, "description": description, "input": {"hint": "text"}})
    };
    let own = agent.project(Some(cwd)).commands;
    let commands: Vec<Value> = agent
        .args
        .commands
        .iter()
        .chain(&own)
        .map(describe)
        .collect();
    let update = json!({
        "sessionUpdate": "available_commands_update",
        "availableCommands": commands,
    });
    vec![session_update(session, update)]
}

/// What the fault `greets` says.
pub(super) const GREETING: &str = "Welcome. A newer version of this program is available.";

/// What a session that is opened again offers.
fn reopened_fields(agent: &Agent, cwd: &Path) -> Value {
    let fields = Value::Object(agent.session_fields(&agent.default_choice(Some(cwd))));
    if !agent.has(Fault::ReopensWithOtherIds) {
        return fields;
    }
    let renamed = agent
        .args
        .models
        .iter()
        .fold(fields.to_string(), |text, id| {
            text.replace(&format!("\"{id}\""), &format!("\"full-name-of-{id}\""))
        });
    serde_json::from_str(&renamed).unwrap_or(fields)
}

fn load(agent: &Agent, params: &Value) -> Result<Reply, RpcError> {
    check_mcp_servers(params, true)?;
    if agent.has(Fault::LoadFails) {
        return Err(RpcError::internal("mock failure: cannot load the session"));
    }
    let restored = restore(agent, params, true)?;
    let replay = restored.replay().into_iter();
    let replay = replay.map(|update| session_update(&restored.session_id, update));
    let mut reply = Reply::from(reopened_fields(agent, &restored.cwd));
    reply.after = advertised(agent, &restored.session_id, &restored.cwd);
    if agent.has(Fault::LoadReplaysLate) {
        reply.after.extend(replay);
    } else {
        reply.before = replay.collect();
    }
    Ok(reply)
}

fn resume(agent: &Agent, params: &Value) -> Result<Reply, RpcError> {
    check_mcp_servers(params, false)?;
    let restored = restore(agent, params, !agent.has(Fault::ResumeLosesHistory))?;
    Ok(Reply {
        after: advertised(agent, &restored.session_id, &restored.cwd),
        ..reopened_fields(agent, &restored.cwd).into()
    })
}

/// Puts a session into memory as it was at the end of its last turn, with the default choice.
fn restore(agent: &Agent, params: &Value, with_history: bool) -> Result<Stored, RpcError> {
    let cwd = cwd(params)?;
    let id = string(params, "sessionId")?;
    // The file takes precedence: another process may have continued the session since.
    let directory = agent.args.state_dir.as_deref();
    let in_file = directory.and_then(|directory| session::read(directory, id));
    let mut sessions = agent.sessions();
    if sessions
        .get(id)
        .is_some_and(|session| session.turn.is_some())
    {
        return Err(busy());
    }
    let in_memory = || sessions.get(id).map(|session| session.stored(id));
    let empty = || {
        let session = Session::new(cwd.clone(), agent.default_choice(Some(&cwd)));
        agent.has(Fault::ReopensEmpty).then(|| session.stored(id))
    };
    let mut stored = in_file
        .filter(|_| !agent.has(Fault::ReopensEmpty))
        .or_else(in_memory)
        .or_else(empty)
        .ok_or_else(|| RpcError::resource_not_found(id))?;
    if !with_history {
        stored.history.clear();
        stored.shown.clear();
    }
    let mut choice = agent.default_choice(Some(&cwd));
    if agent.has(Fault::ReopensOwnModel) {
        choice.model.clone_from(&stored.made_with);
    }
    let mut session = Session::new(cwd, choice);
    session.made_with.clone_from(&stored.made_with);
    session.history.clone_from(&stored.history);
    session.shown.clone_from(&stored.shown);
    session.updated = stored.updated;
    session.opened_at = session.history.len();
    sessions.insert(id.to_owned(), session);
    Ok(stored)
}

fn list(agent: &Agent, params: &Value) -> Value {
    let cwd = params.get("cwd").and_then(Value::as_str).map(Path::new);
    let mut all: BTreeMap<String, Stored> = (agent.sessions().iter())
        .filter(|(_, session)| cwd.is_none_or(|cwd| session.cwd == cwd))
        .map(|(id, session)| (id.clone(), session.stored(id)))
        .collect();
    if let Some(directory) = agent.args.state_dir.as_deref() {
        let in_files = session::list(directory, cwd).into_iter();
        all.extend(in_files.map(|stored| (stored.session_id.clone(), stored)));
    }
    all.retain(|_, _| !agent.has(Fault::ReopensEmpty));
    let sessions: Vec<_> = all.values().map(|stored| listed(agent, stored)).collect();
    json!({ "sessions": sessions })
}

/// A session as it is listed; its title is what the user has said first.
fn listed(agent: &Agent, stored: &Stored) -> Value {
    let said = stored.history.first().map(|entry| &entry.text);
    let mut listed = json!({"sessionId": stored.session_id, "cwd": stored.cwd, "title": said});
    let time = i64::try_from(stored.updated).unwrap_or(i64::MAX);
    if !agent.has(Fault::ListsNoTimes)
        && let Ok(time) = jiff::Timestamp::from_millisecond(time)
    {
        listed["updatedAt"] = json!(time.to_string());
    }
    listed
}

fn close(agent: &Agent, params: &Value) -> Result<Reply, RpcError> {
    let id = string(params, "sessionId")?;
    let session = agent.sessions().remove(id);
    session
        .ok_or_else(|| RpcError::resource_not_found(id))?
        .cancel();
    Ok(json!({}).into())
}

fn delete(agent: &Agent, params: &Value) -> Result<Reply, RpcError> {
    let id = string(params, "sessionId")?;
    if let Some(session) = agent.sessions().remove(id) {
        session.cancel();
    }
    // Deleting what does not exist succeeds, says the protocol.
    if let Some(directory) = &agent.args.state_dir {
        session::delete(directory, id);
    }
    Ok(json!({}).into())
}

fn set_config_option(agent: &Agent, params: &Value) -> Result<Reply, RpcError> {
    let option = string(params, "configId")?;
    let value = string(params, "value")?;
    let choice = change(agent, params, |choice| {
        agent.set_option(choice, option, value)
    })?;
    Ok(json!({"configOptions": agent.config_options(&choice)}).into())
}

fn set_model(agent: &Agent, params: &Value) -> Result<Reply, RpcError> {
    let model = string(params, "modelId")?;
    change(agent, params, |choice| agent.set_model(choice, model))?;
    Ok(json!({}).into())
}

fn set_mode(agent: &Agent, params: &Value) -> Result<Reply, RpcError> {
    let mode = string(params, "modeId")?;
    change(agent, params, |choice| options::set_mode(choice, mode))?;
    Ok(json!({}).into())
}

/// Changes the choice of the session that `params` names, and returns it.
fn change(
    agent: &Agent,
    params: &Value,
    with: impl FnOnce(&mut Choice) -> Result<(), RpcError>,
) -> Result<Choice, RpcError> {
    let id = string(params, "sessionId")?;
    let mut sessions = agent.sessions();
    let session = sessions
        .get_mut(id)
        .ok_or_else(|| RpcError::resource_not_found(id))?;
    if session.turn.is_some() && agent.has(Fault::RefusesBusySwitch) {
        return Err(busy());
    }
    with(&mut session.choice)?;
    Ok(session.choice.clone())
}

/// The session has a turn running.
pub(super) fn busy() -> RpcError {
    RpcError::invalid_request("the session is busy: a prompt is running")
}

/// Keeps a session for other processes, if the agent was told where.
pub(super) fn save(agent: &Agent, stored: &Stored) {
    let Some(directory) = &agent.args.state_dir else {
        return;
    };
    if let Err(error) = session::save(directory, stored) {
        wire::log(&format!("cannot save {}: {error}", stored.session_id));
    }
}
