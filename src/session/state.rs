//! `SessionState` and `Runtime`, under one lock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{Mutex, MutexGuard, Notify, oneshot, watch};

use super::answer::Answering;
use super::cut::Past;
use super::notice::Told;
use super::outbox::Outbox;
use super::{Answer, Caller};
use crate::agent::commands::AgentCommand;
use crate::opencode::event::Todo;
use crate::opencode::history::{ModelSwitch, ModelUsage};
use crate::opencode::message::{AssistantMessage, MessageError};
use crate::opencode::session::{
    PermissionRule, Revert, RuntimeStatus, SessionRuntime, SessionSummary, SessionTime, Tokens,
};
use crate::opencode::{MessageId, Selection, Session as SessionInfo, SessionId};
use crate::project::Place;
use crate::store::Change;

/// Outcomes of switches that are kept for those who wait for one.
const OUTCOMES: usize = 32;

/// What clients see of a session, and what the store keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionState {
    /// Its id.
    pub id: SessionId,
    /// A short name of two words.
    pub slug: String,
    /// The working directory of its agents.
    pub directory: String,
    /// The project of that directory.
    #[serde(default)]
    pub project_id: String,
    /// The directory relative to its worktree.
    #[serde(default)]
    pub path: String,
    /// The session that it belongs to.
    pub parent_id: Option<SessionId>,
    /// The title.
    pub title: String,
    /// The title is the one that Baton made.
    pub title_is_default: bool,
    /// What the user wants to talk to; `None` until the first prompt or choice.
    pub selection: Option<Selection>,
    /// The revision at which the selection was set.
    pub selection_revision: u64,
    /// The last selection that an agent has confirmed: where a failed switch goes back to.
    pub last_applied: Option<Selection>,
    /// What the user messages say is selected; `None` before the first one.
    #[serde(default)]
    pub told: Option<Told>,
    /// Free data of the client.
    pub metadata: Option<Map<String, Value>>,
    /// Permission rules.
    pub permission: Vec<PermissionRule>,
    /// When things happened.
    pub time: SessionTime,
    /// Cost of all answers.
    pub cost: f64,
    /// Tokens of all answers.
    pub tokens: Tokens,
    /// The same by model, the first one used first.
    #[serde(default)]
    pub usage: Vec<ModelUsage>,
    /// What was changed.
    pub summary: SessionSummary,
    /// Set while the session is reverted.
    pub revert: Option<Revert>,
    /// Where the conversation is cut, and what its working directory was like.
    #[serde(default)]
    pub past: Past,
    /// The agent's plan.
    pub todos: Vec<Todo>,
    /// Permissions given for good.
    pub always: Vec<Always>,
    /// The version of the server that made it.
    pub version: String,
    /// Counts the committed changes of what clients can set.
    pub revision: u64,
}

/// A session's native session inside a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The native session's id.
    pub native_session: String,
    /// The last turn whose messages the backend has seen; 0 for none.
    pub seen_turn: u64,
}

/// A selection with the revision that made it: what the reconciler works towards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The selection.
    pub selection: Selection,
    /// Its revision.
    pub revision: u64,
}

/// What a turn does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Gives the prompt to the agent.
    Prompt,
    /// Gives the agent one of its own slash commands, which has to stand at the beginning of a prompt.
    Command,
    /// Runs this command line of the user.
    Shell(String),
    /// Has the conversation summarised.
    Compact {
        /// Goes on with the work afterwards.
        auto: bool,
    },
}

impl Work {
    /// Whether it goes on with the conversation in the session's own native session.
    pub fn is_prompt(&self) -> bool {
        matches!(self, Self::Prompt | Self::Command)
    }
}

/// A prompt that waits for its turn. Its selection is a snapshot; nothing changes it any more.
#[derive(Debug)]
pub struct Queued {
    /// The prompt's message.
    pub message_id: MessageId,
    /// Its place in the session.
    pub turn: u64,
    /// What is to be done.
    pub work: Work,
    /// What it is answered by.
    pub target: Target,
    /// When it was admitted.
    pub admitted: Instant,
    /// Set to stop it, also before its turn has come.
    pub abort: watch::Sender<bool>,
    /// Who waits for the answer.
    pub answers: Vec<oneshot::Sender<Answer>>,
}

/// A turn in flight.
#[derive(Debug)]
pub struct Turn {
    /// Set to stop it.
    pub abort: watch::Sender<bool>,
    /// Who waits for the answer: the prompt's own client, and those whose prompts were taken out of the
    /// queue by an abort.
    pub answers: Vec<oneshot::Sender<Answer>>,
}

/// A permission that the user gave for good, to one backend of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Always {
    /// To whom. A switch of the backend takes no approval along.
    pub backend: String,
    /// In which mode. What was allowed while building is not allowed while planning.
    #[serde(default)]
    pub agent: String,
    /// The kind of thing.
    pub permission: String,
    /// What it is done to.
    pub pattern: String,
}

/// What is running for a session.
#[derive(Debug, Default)]
pub struct Runtime {
    /// What the reconciler works towards: always the state's selection.
    pub desired: Option<Target>,
    /// What the agent has confirmed.
    pub applied: Option<Selection>,
    /// The reconciler is at work outside of a turn.
    pub switching: bool,
    /// The turn in flight.
    pub turn: Option<Turn>,
    /// Since when the conversation is being summarised, in milliseconds since the Unix epoch.
    pub compacting: Option<u64>,
    /// The answer that is being written.
    pub answering: Option<Answering>,
    /// Prompts that wait.
    pub queue: VecDeque<Queued>,
    /// The slash commands that native sessions have told, by backend.
    pub commands: BTreeMap<String, Vec<AgentCommand>>,
    /// Native sessions by backend.
    pub bindings: BTreeMap<String, Binding>,
    /// Counts how often all bindings were forgotten, so that the worker drops its live ones.
    pub bindings_epoch: u64,
    /// The highest place of a message.
    pub last_seq: u64,
    /// The revision of the last switch that was applied or has failed.
    pub settled_revision: u64,
    /// How the last switches ended, by revision.
    pub outcomes: VecDeque<(u64, Option<MessageError>)>,
    /// When the last switch failed, for prompts that were waiting for it.
    pub failed: Option<(Target, MessageError, Instant)>,
    /// Entries of the audit trail whose outcome is not known yet.
    pub open_switches: VecDeque<ModelSwitch>,
    /// The worker was started.
    pub worker: bool,
    /// Counts how often the state was read from the store anew, after a failed commit.
    pub reloads: u64,
    /// The session was deleted; nothing is to be started for it any more.
    pub deleted: bool,
}

impl Runtime {
    /// Whether a turn is in flight or waits.
    pub fn is_busy(&self) -> bool {
        self.turn.is_some() || !self.queue.is_empty()
    }

    /// The backends whose native sessions know a turn, or may know it: one that failed in it has seen the
    /// prompt all the same.
    pub fn bindings_that_know(&self, turn: u64, asked: &BTreeSet<&str>) -> Vec<String> {
        let knows = |(backend, binding): &(&String, &Binding)| {
            binding.seen_turn >= turn || asked.contains(backend.as_str())
        };
        let known = self.bindings.iter().filter(knows);
        known.map(|(backend, _)| backend.clone()).collect()
    }

    /// Lets go of native sessions: the next turn of these backends is given the conversation anew.
    pub fn unbind(&mut self, backends: &[String]) {
        for backend in backends {
            self.bindings.remove(backend);
        }
        if !backends.is_empty() {
            self.bindings_epoch += 1;
        }
    }

    /// Notes how a switch ended; false when that was known already.
    pub fn settle(&mut self, revision: u64, failure: Option<MessageError>) -> bool {
        if revision <= self.settled_revision {
            return false;
        }
        self.settled_revision = revision;
        if self.outcomes.len() == OUTCOMES {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back((revision, failure));
        true
    }
}

/// State and runtime: only ever seen together.
#[derive(Debug)]
pub struct Locked {
    /// What clients see.
    pub state: SessionState,
    /// What is running.
    pub runtime: Runtime,
}

/// A session.
#[derive(Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Its directory.
    pub directory: Arc<str>,
    /// THE lock. Nothing but the store is awaited while it is held.
    pub locked: Mutex<Locked>,
    /// Wakes the worker.
    pub wake: Notify,
    /// Events on their way to the bus.
    pub outbox: Outbox,
    /// Changes when a switch has ended.
    pub settled: watch::Sender<u64>,
    /// The working directory is being brought to another state.
    restoring: watch::Sender<bool>,
}

/// Held while a session's working directory is being brought to another state.
#[derive(Debug)]
pub struct Restoring(Arc<Session>);

impl Drop for Restoring {
    fn drop(&mut self) {
        self.0.restoring.send_replace(false);
    }
}

impl Session {
    /// A session around its stored state.
    pub fn new(
        state: SessionState,
        bindings: BTreeMap<String, Binding>,
        last_seq: u64,
    ) -> Arc<Self> {
        let desired = state.selection.clone().map(|selection| Target {
            selection,
            revision: state.selection_revision,
        });
        // A selection from before a restart is applied by the next prompt and not before, so that a
        // start of Baton does not start an agent for every session it knows.
        let settled_revision = state.selection_revision;
        let directory: Arc<str> = state.directory.as_str().into();
        let is_restoring = state.past.restoring.is_some();
        Arc::new(Self {
            id: state.id.clone(),
            locked: Mutex::new(Locked {
                state,
                runtime: Runtime {
                    desired,
                    bindings,
                    last_seq,
                    settled_revision,
                    ..Runtime::default()
                },
            }),
            outbox: Outbox::new(Arc::clone(&directory)),
            directory,
            wake: Notify::new(),
            settled: watch::Sender::new(0),
            restoring: watch::Sender::new(is_restoring),
        })
    }

    /// THE lock, once no revert is under way: for everything that begins a turn or changes messages.
    pub async fn at_rest(&self) -> MutexGuard<'_, Locked> {
        let mut restoring = self.restoring.subscribe();
        loop {
            // The sender lives as long as this session, so there is no error.
            drop(restoring.wait_for(|restoring| !restoring).await);
            let locked = self.locked.lock().await;
            if !*self.restoring.borrow() {
                return locked;
            }
        }
    }

    /// Keeps turns and other changes of messages away until the guard is dropped. The caller has got the
    /// lock from [`Session::at_rest`], so that there is only one.
    pub fn begin_restoring(self: &Arc<Self>, _at_rest: &Locked) -> Restoring {
        self.restoring.send_replace(true);
        Restoring(Arc::clone(self))
    }
}

impl Locked {
    /// The session as clients see it.
    pub fn info(&self) -> SessionInfo {
        let (state, runtime) = (&self.state, &self.runtime);
        let status = match () {
            () if runtime.is_busy() => RuntimeStatus::Busy,
            () if runtime.switching => RuntimeStatus::Switching,
            () => RuntimeStatus::Idle,
        };
        let desired = runtime.desired.as_ref().map(|t| &t.selection);
        let pending = desired
            .filter(|d| runtime.applied.as_ref() != Some(*d))
            .cloned();
        SessionInfo {
            id: state.id.clone(),
            slug: state.slug.clone(),
            project_id: state.project_id.clone(),
            directory: state.directory.clone(),
            path: Some(state.path.clone()),
            parent_id: state.parent_id.clone(),
            summary: Some(state.summary),
            cost: state.cost,
            tokens: state.tokens,
            title: state.title.clone(),
            agent: state.selection.as_ref().map(|s| s.agent.clone()),
            model: state.selection.as_ref().map(Selection::model_ref),
            version: state.version.clone(),
            metadata: state.metadata.clone(),
            time: SessionTime {
                compacting: runtime.compacting,
                ..state.time
            },
            permission: (!state.permission.is_empty()).then(|| state.permission.clone()),
            revert: state.revert.clone(),
            revision: state.revision,
            runtime: SessionRuntime {
                status,
                applied: runtime.applied.clone(),
                pending,
            },
        }
    }

    /// Writes the state as it is, for changes that make no new revision.
    pub fn put_state(&self) -> Change {
        put(&self.state, Some(self.state.revision))
    }

    /// Writes a binding.
    pub fn put_binding(&self, backend: &str) -> Option<Change> {
        let binding = self.runtime.bindings.get(backend)?;
        Some(Change::PutBinding {
            session: self.state.id.clone(),
            backend: backend.to_owned(),
            body: to_json(binding),
        })
    }
}

/// Writes a state over the revision that has to be there.
pub fn put(state: &SessionState, expected: Option<u64>) -> Change {
    Change::PutSession {
        id: state.id.clone(),
        expected,
        revision: state.revision,
        body: to_json(state),
    }
}

/// JSON of one of our own types.
pub fn to_json(value: &impl Serialize) -> String {
    // Our types are trees of strings, numbers and string-keyed maps, which always serialise.
    serde_json::to_string(value).unwrap_or_default()
}

/// A change of the selection by somebody, at a time; its outcome is open.
pub fn open_switch(
    revision: u64,
    time: u64,
    previous: Option<Selection>,
    current: Selection,
    caller: &Caller,
) -> ModelSwitch {
    ModelSwitch {
        revision,
        time,
        previous,
        current,
        source: caller.source,
        client: caller.client.clone(),
        transfer: None,
        duration_ms: None,
        failure: None,
    }
}

/// Writes an entry of the audit trail.
pub fn put_switch(session: &SessionId, entry: &ModelSwitch) -> Change {
    Change::PutSwitch {
        session: session.clone(),
        revision: entry.revision,
        body: to_json(entry),
    }
}

impl SessionState {
    /// Notes what its directory belongs to.
    pub fn belongs_to(&mut self, place: &Place) {
        self.project_id.clone_from(&place.project_id);
        self.path = place.path();
    }

    /// Adds what an answer has cost to the session and to its model.
    pub fn count(&mut self, answer: &AssistantMessage) {
        self.tokens.add(&answer.tokens);
        self.cost += answer.cost;
        let same = |u: &&mut ModelUsage| {
            u.provider_id == answer.provider_id && u.model_id == answer.model_id
        };
        if let Some(usage) = self.usage.iter_mut().find(same) {
            usage.answers += 1;
            usage.tokens.add(&answer.tokens);
            usage.cost += answer.cost;
            return;
        }
        let mut tokens = Tokens::default();
        tokens.add(&answer.tokens);
        self.usage.push(ModelUsage {
            provider_id: answer.provider_id.clone(),
            model_id: answer.model_id.clone(),
            answers: 1,
            tokens,
            cost: answer.cost,
        });
    }
}
