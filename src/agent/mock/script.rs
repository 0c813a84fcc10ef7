//! What a test tells the mock agent beyond its prompts, and what the agent has been asked.
//!
//! A script is shared by every agent of a backend, one after the other: it outlives their deaths.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::commands::{self, Command};
use super::turn::{End, Later, Turn};
use super::wire::RpcError;

/// A step of the answer to a prompt. An answer whose steps do not end it ends with `end_turn`.
#[derive(Debug, Clone)]
pub enum Step {
    /// Says a text, in one piece.
    Say(String),
    /// Thinks a text.
    Think(String),
    /// Sends a `session/update` with this `update`.
    Update(Value),
    /// Does what this prompt would have it do: see `baton mock-agent --help`. `bash ls` is a tool
    /// call, `permission ls` asks for permission, waits, and says what the answer was.
    Do(String),
    /// Waits this long.
    Sleep(Duration),
    /// Continues with the next step, and does these after this time, even if the turn is over by then.
    Later(Duration, Vec<Step>),
    /// Waits until the test notifies.
    Wait(Arc<Notify>),
    /// Never goes on, until the turn is cancelled.
    Hang,
    /// Replies with this stop reason.
    Stop(String),
    /// Replies with a JSON-RPC error.
    Fail {
        /// Its code.
        code: i64,
        /// Its message.
        message: String,
    },
    /// Replies with nothing but `end_turn`.
    Silence,
    /// Dies without a reply.
    Die,
    /// Replies with this stop reason and dies.
    StopAndDie(String),
}

/// What becomes of a request, instead of what the agent would do by itself.
#[derive(Debug, Clone)]
pub enum Reaction {
    /// It is carried out after this time.
    After(Duration),
    /// It is carried out when the test notifies.
    Wait(Arc<Notify>),
    /// It is answered with this result.
    Reply(Value),
    /// It is answered with a JSON-RPC error.
    Fail {
        /// Its code.
        code: i64,
        /// Its message.
        message: String,
    },
    /// It is never answered.
    Never,
    /// The agent dies without an answer.
    Die,
    /// It is carried out, and the agent dies. A prompt's reply does not come any more.
    ServeAndDie,
}

/// Something that an agent was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The method; empty for an answer to a request of the agent.
    pub method: String,
    /// The native session that it is about.
    pub native_session: Option<String>,
    /// The parameters, or what the answer was.
    pub params: Value,
}

impl Asked {
    /// The text blocks of a prompt, one a line.
    pub fn text(&self) -> String {
        let blocks = self.params.get("prompt").and_then(Value::as_array);
        let texts = blocks.into_iter().flatten();
        let texts = texts.filter_map(|block| block.get("text")?.as_str());
        texts.collect::<Vec<_>>().join("\n")
    }
}

/// What a test and the agents of one backend have in common.
#[derive(Debug, Default)]
pub struct Script {
    state: Mutex<State>,
    told: Notify,
}

#[derive(Debug, Default)]
struct State {
    answers: VecDeque<Vec<Step>>,
    reactions: HashMap<String, VecDeque<Reaction>>,
    asked: Vec<Asked>,
    starts: usize,
}

impl Script {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Answers a prompt with these steps: the next one that no earlier call is for. A prompt that
    /// nothing was said about is taken as a command of the mock agent.
    pub fn answer_next(&self, steps: impl IntoIterator<Item = Step>) {
        self.state().answers.push_back(steps.into_iter().collect());
    }

    /// Reacts in this way to a request of this method: the next one that no earlier call is for.
    pub fn react_next(&self, method: &str, reaction: Reaction) {
        let mut state = self.state();
        let reactions = state.reactions.entry(method.to_owned()).or_default();
        reactions.push_back(reaction);
    }

    /// Everything that the agents were sent so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// Those of this method.
    pub fn asked_of(&self, method: &str) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| asked.method == method);
        asked
    }

    /// The texts of the prompts so far.
    pub fn prompts(&self) -> Vec<String> {
        let prompts = self.asked_of("session/prompt");
        prompts.iter().map(Asked::text).collect()
    }

    /// Waits until the agents were sent this many messages of this method.
    pub async fn until_asked(&self, method: &str, count: usize) {
        loop {
            let told = self.told.notified();
            if self.asked_of(method).len() >= count {
                return;
            }
            told.await;
        }
    }

    /// How many agents were started.
    pub fn starts(&self) -> usize {
        self.state().starts
    }

    pub(super) fn note_start(&self) {
        self.state().starts += 1;
    }

    pub(super) fn note(&self, method: &str, params: &Value) {
        let session = params.get("sessionId").and_then(Value::as_str);
        self.state().asked.push(Asked {
            method: method.to_owned(),
            native_session: session.map(str::to_owned),
            params: params.clone(),
        });
        self.told.notify_waiters();
    }

    pub(super) fn reaction(&self, method: &str) -> Option<Reaction> {
        self.state().reactions.get_mut(method)?.pop_front()
    }

    pub(super) fn answer(&self) -> Option<Vec<Step>> {
        self.state().answers.pop_front()
    }
}

/// Carries an answer's steps out.
pub(super) async fn play(turn: &mut Turn, steps: Vec<Step>) -> End {
    for step in steps {
        match step {
            Step::Say(text) => turn.say(&text).await,
            Step::Think(text) => turn.think(&text).await,
            Step::Update(update) => turn.update(update).await,
            Step::Do(command) => {
                let command = Command::parse(&command, true);
                let end = commands::run(turn, command).await;
                if !matches!(end, End::Done) {
                    return end;
                }
            }
            Step::Sleep(time) => tokio::time::sleep(time).await,
            Step::Wait(notify) => notify.notified().await,
            Step::Later(time, steps) => turn.later(time, Later::Play(steps)),
            Step::Hang => std::future::pending().await,
            Step::Stop(reason) => return End::Stopped(reason),
            Step::Fail { code, message } => return End::Error(RpcError::new(code, message)),
            Step::Silence => return End::Silent,
            Step::Die => turn.agent.crash().await,
            Step::StopAndDie(reason) => return End::LastWord(json!({ "stopReason": reason })),
        }
    }
    End::Done
}
