//! `session/prompt`: takes a prompt in, carries its command out, closes the turn.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Agent;
use super::commands::{self, Command};
use super::faults::{Fault, Without};
use super::methods::{GREETING, busy, is_signed_in, save, string};
use super::options;
use super::script::{self, Step};
use super::session::{Choice, Entry, Speaker};
use super::wire::{RpcError, session_update};
use crate::opencode::now_ms;

/// Characters that count as one token.
const CHARS_PER_TOKEN: usize = 4;

/// What a token costs, in US dollars.
const USD_PER_TOKEN: f64 = 0.000_01;

/// Pieces in which a short answer is streamed.
const STREAM_PIECES: usize = 3;

/// A turn that runs.
pub(super) struct Turn {
    pub(super) agent: Arc<Agent>,
    pub(super) session_id: String,
    pub(super) cwd: PathBuf,
    /// As it was when the turn began; a switch during the turn is for the next one.
    pub(super) choice: Choice,
    /// The place of the command in the session's history.
    pub(super) command_at: usize,
    /// Characters in the prompt.
    given_chars: usize,
    /// What was said so far; a cancelled turn keeps it.
    answer: String,
    /// What a test wants instead of the command.
    script: Option<Vec<Step>>,
}

/// What goes on after a turn.
pub(super) enum Later {
    /// These steps.
    Play(Vec<Step>),
    /// A command.
    Run(Box<Command>),
}

/// How a command ends, unless it is cancelled.
pub(super) enum End {
    /// It is done.
    Done,
    /// As `Done`, but with no word of it: neither text nor usage.
    Silent,
    /// The prompt is answered with an error.
    Error(RpcError),
    /// It is done, for this reason.
    Stopped(String),
    /// The prompt is answered with this, and the agent dies.
    LastWord(Value),
}

/// Answers a prompt, in a task of its own.
pub(super) async fn start(agent: &Arc<Agent>, id: Value, params: &Value) {
    match begin(agent, params) {
        Ok((turn, command, cancelled)) => {
            tokio::spawn(turn.serve(id, command, cancelled));
        }
        Err(error) => agent.respond(&id, Err(error)).await,
    }
}

/// Takes the prompt into the session's history and makes the session busy.
fn begin(
    agent: &Arc<Agent>,
    params: &Value,
) -> Result<(Turn, Command, watch::Receiver<bool>), RpcError> {
    let id = string(params, "sessionId")?;
    if agent.has(Fault::AuthAtPrompt) && !is_signed_in(agent) {
        return Err(RpcError::new(-32000, "Authentication required"));
    }
    if agent.has(Fault::RateLimited) {
        let message = "429 rate limit reached. Please try again in 3s.";
        return Err(RpcError::new(-32603, message));
    }
    let blocks = blocks(agent, params)?;
    let last_text = blocks.iter().rposition(|(is_text, _)| *is_text);
    let command = last_text.map_or("", |at| blocks[at].1.as_str());
    let command = Command::parse(command, agent.has(Fault::Floods));
    let first = blocks.first().filter(|(is_text, _)| *is_text);
    let slash = first.and_then(|(_, text)| Command::slash(text, &agent.args.commands));
    let command = slash.unwrap_or(command);

    let (cancel, cancelled) = watch::channel(false);
    let mut sessions = agent.sessions();
    let session = sessions
        .get_mut(id)
        .ok_or_else(|| RpcError::resource_not_found(id))?;
    if session.turn.is_some() {
        return Err(busy());
    }
    session.turn = Some(cancel);
    let turn = Turn {
        agent: Arc::clone(agent),
        session_id: id.to_owned(),
        cwd: session.cwd.clone(),
        choice: agent.effective_choice(session),
        command_at: session.history.len() + last_text.unwrap_or(blocks.len()),
        given_chars: blocks.iter().map(|(_, text)| text.chars().count()).sum(),
        answer: String::new(),
        script: agent.script().and_then(|script| script.answer()),
    };
    let given = blocks.into_iter().map(|(_, text)| Entry::user(text));
    session.history.extend(given);
    session.updated = now_ms();
    let stored = session.stored(id);
    drop(sessions);
    save(agent, &stored);
    Ok((turn, command, cancelled))
}

/// The blocks of a prompt as text, each with whether it is text by itself.
fn blocks(agent: &Agent, params: &Value) -> Result<Vec<(bool, String)>, RpcError> {
    let Some(blocks) = params.get("prompt").and_then(Value::as_array) else {
        return Err(RpcError::invalid_params("`prompt` must be an array"));
    };
    let describe = |block: &Value| {
        let kind = string(block, "type")?;
        let described = match kind {
            "text" => return Ok((true, string(block, "text")?.to_owned())),
            "image" if agent.lacks(Without::Images) => {
                return Err(RpcError::invalid_params("images are not supported"));
            }
            "image" | "audio" => string(block, "mimeType")?,
            "resource_link" => string(block, "name")?,
            "resource" => match block.get("resource") {
                Some(resource) => string(resource, "uri")?,
                None => return Err(RpcError::invalid_params("`resource` is missing")),
            },
            _ => {
                return Err(RpcError::invalid_params(format!(
                    "unknown block type: {kind:?}"
                )));
            }
        };
        Ok((false, format!("[{kind} {described}]")))
    };
    blocks.iter().map(describe).collect()
}

impl Turn {
    /// The text of the command.
    fn prompt(&self) -> String {
        let sessions = self.agent.sessions();
        let session = sessions.get(&self.session_id);
        let entry = session.and_then(|session| session.history.get(self.command_at));
        entry.map(|entry| entry.text.clone()).unwrap_or_default()
    }

    /// Notes in the journal that something has happened to a prompt.
    fn note(&self, what: &str, prompt: &str) {
        let Some(journal) = &self.agent.args.journal else {
            return;
        };
        let line =
            json!({"at": now_ms(), "what": what, "pid": std::process::id(), "prompt": prompt});
        let file = OpenOptions::new().append(true).create(true).open(journal);
        // In one piece: several processes may write.
        let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        if let Err(error) = written {
            eprintln!(
                "mock agent: {} cannot be written: {error}",
                journal.display()
            );
        }
    }

    /// Carries the command out and answers the prompt.
    async fn serve(mut self, id: Value, command: Command, mut cancelled: watch::Receiver<bool>) {
        let prompt = self.prompt();
        self.note("begin", &prompt);
        let silent = self.agent.has(Fault::SilentEndTurn);
        let thought = Duration::from_millis(self.agent.args.think_ms);
        if self.agent.has(Fault::Greets) && self.command_at == 0 {
            let content = json!({"type": "text", "text": GREETING});
            self.update(json!({"sessionUpdate": "agent_message_chunk", "content": content}))
                .await;
        }
        let agent = Arc::clone(&self.agent);
        let end = tokio::select! {
            biased;
            () = agent.died() => return,
            // An error means that the session was closed, which cancels too.
            _ = cancelled.wait_for(|cancelled| *cancelled) => None,
            end = async {
                if !thought.is_zero() {
                    tokio::time::sleep(thought).await;
                }
                match self.script.take() {
                    Some(steps) => script::play(&mut self, steps).await,
                    None if silent => End::Silent,
                    None => commands::run(&mut self, command).await,
                }
            } => Some(end),
        };
        let announcement = self.close();
        self.note("end", &prompt);
        let result = match end {
            Some(End::Error(error)) => Err(error),
            Some(End::Silent) => Ok(json!({"stopReason": "end_turn"})),
            Some(End::Done) => Ok(self.report("end_turn").await),
            Some(End::Stopped(reason)) => Ok(self.report(&reason).await),
            Some(End::LastWord(reply)) => {
                self.agent.respond(&id, Ok(reply)).await;
                self.agent.crash().await
            }
            None => Ok(self.report("cancelled").await),
        };
        let result = result.map(|reply| self.telling_model(reply));
        self.agent.respond(&id, result).await;
        if let Some(update) = announcement {
            self.update(update).await;
        }
    }

    /// Takes the answer into the history and makes the session idle, before the client can know
    /// that the turn is over. Returns an update that has to follow the reply.
    fn close(&self) -> Option<Value> {
        let mut sessions = self.agent.sessions();
        let session = sessions.get_mut(&self.session_id)?;
        if !self.answer.is_empty() {
            let entry = Entry::assistant(&self.choice.model, &self.answer);
            session.history.push(entry);
        }
        session.turn = None;
        session.updated = now_ms();
        let stored = session.stored(&self.session_id);
        let announcement = if self.agent.has(Fault::SwitchesItself) {
            let next = self.agent.next_model(&session.choice.model).to_owned();
            options::switch(&self.agent, &mut session.choice, &next)
                .ok()
                .flatten()
        } else {
            None
        };
        drop(sessions);
        save(&self.agent, &stored);
        announcement
    }

    /// A reply that names the model, where that is wanted.
    fn telling_model(&self, mut reply: Value) -> Value {
        if self.agent.has(Fault::TellsModel) {
            reply["_meta"] = json!({"model": self.choice.model});
        }
        reply
    }

    /// Sends `usage_update` and makes the prompt's result.
    async fn report(&self, stop_reason: &str) -> Value {
        if self.agent.lacks(Without::Usage) {
            return json!({"stopReason": stop_reason});
        }
        let chars = |entries: &[Entry]| -> usize {
            entries.iter().map(|entry| entry.text.chars().count()).sum()
        };
        let used_chars = (self.agent.sessions().get(&self.session_id))
            .map_or(0, |session| chars(&session.history));
        let used = used_chars / CHARS_PER_TOKEN;
        // Exact: no history has 2^52 characters.
        let amount = used as f64 * USD_PER_TOKEN;
        self.update(json!({
            "sessionUpdate": "usage_update",
            "used": used,
            "size": self.agent.args.context,
            "cost": {"amount": amount, "currency": "USD"},
        }))
        .await;
        let (all, of_model) = (Fault::CountsAllTokens, Fault::CountsTokensOfModel);
        let (given, said) = match self.agent.has(all) || self.agent.has(of_model) {
            true => self.all_chars(self.agent.has(of_model)),
            false => (self.given_chars, self.answer.chars().count()),
        };
        let (input, output) = (given / CHARS_PER_TOKEN, said / CHARS_PER_TOKEN);
        json!({
            "stopReason": stop_reason,
            "usage": {
                "totalTokens": input + output,
                "inputTokens": input,
                "outputTokens": output,
            },
        })
    }

    /// The characters that the session was given and has said, in all of its turns or in those of its model alone.
    fn all_chars(&self, of_model: bool) -> (usize, usize) {
        let sessions = self.agent.sessions();
        let session = sessions.get(&self.session_id);
        let entries = session.map_or(&[][..], |session| match of_model {
            true => session.said_by_model(),
            false => &session.history,
        });
        entries.iter().fold((0, 0), |(given, said), entry| {
            let chars = entry.text.chars().count();
            match entry.speaker {
                Speaker::User => (given + chars, said),
                Speaker::Assistant { .. } => (given, said + chars),
            }
        })
    }

    /// Does something after this time, whatever becomes of this turn.
    pub(super) fn later(&self, time: Duration, what: Later) {
        let mut turn = Self {
            agent: Arc::clone(&self.agent),
            session_id: self.session_id.clone(),
            cwd: self.cwd.clone(),
            choice: self.choice.clone(),
            command_at: self.command_at,
            given_chars: 0,
            answer: String::new(),
            script: None,
        };
        let agent = Arc::clone(&self.agent);
        let work: BoxFuture<'static, ()> = Box::pin(async move {
            tokio::time::sleep(time).await;
            let _ended = match what {
                Later::Play(steps) => script::play(&mut turn, steps).await,
                Later::Run(command) => commands::run(&mut turn, *command).await,
            };
        });
        tokio::spawn(async move {
            tokio::select! {
                () = agent.died() => {}
                () = work => {}
            }
        });
    }

    /// Sends a `session/update`.
    pub(super) async fn update(&self, update: Value) {
        if let Some(session) = self.agent.sessions().get_mut(&self.session_id) {
            session.note_shown(&update);
        }
        let message = session_update(&self.session_id, update);
        self.agent.out.send(message).await;
    }

    /// Says something, in one piece.
    pub(super) async fn say(&mut self, text: &str) {
        // First remembered, then sent: a turn that is cancelled in between has said it.
        self.answer.push_str(text);
        self.chunk("agent_message_chunk", text).await;
    }

    /// Says something in a few pieces, as a model does.
    pub(super) async fn stream(&mut self, text: &str) {
        let piece = text.chars().count().div_ceil(STREAM_PIECES).max(1);
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest
                .char_indices()
                .nth(piece)
                .map_or(rest.len(), |(at, _)| at);
            self.say(&rest[..end]).await;
            rest = &rest[end..];
        }
    }

    /// Thinks aloud; that is not part of the answer.
    pub(super) async fn think(&self, text: &str) {
        self.chunk("agent_thought_chunk", text).await;
    }

    async fn chunk(&self, kind: &str, text: &str) {
        let content = json!({"type": "text", "text": text});
        self.update(json!({"sessionUpdate": kind, "content": content}))
            .await;
    }
}
