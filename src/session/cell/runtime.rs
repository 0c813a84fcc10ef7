//! `Runtime`: what is running for a session. It is made anew when a session is loaded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::handoff::Handoff;
use super::signs::Signs;
use super::state::Target;
use crate::opencode::event::Transfer;
use crate::opencode::history::{ModelSwitch, Overrides};
use crate::opencode::message::{AssistantMessage, MessageError, MessageWithParts, Part};
use crate::opencode::session::{MessageModel, RuntimeTurn, Tokens};
use crate::opencode::{MessageId, Selection};
use crate::session::ask::Ask;
use crate::session::ask::TurnRules;
use crate::session::conversation::answer::Answering;
use crate::session::conversation::prompt::SummaryFor;

/// Outcomes of switches that are kept for those who wait for one.
const OUTCOMES: usize = 32;

/// A session's native session inside a backend.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Binding {
    /// The native session's id.
    pub native_session: String,
    /// The last turn whose messages the backend has seen; 0 for none.
    pub seen_turn: u64,
    /// What the native session had cost when its agent reported it last, in US dollars as the agent counts them. `None` where
    /// it has reported nothing yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// The tokens that its agent had counted for all of it, where it reports no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// The model that it was used with last. `None` in what an older Baton has written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// It was made outside of Baton, and is its user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Outside>,
}

/// What is known of a native session that was made outside of Baton: others may go on in it, and Baton never deletes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outside {
    /// Until when it is known what was said in it, in milliseconds since the Unix epoch.
    pub known_ms: u64,
    /// How many prompts its agent has of it, as far as Baton can count them.
    pub prompts: u64,
}

/// What a turn does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// Gives the prompt to the agent.
    Prompt,
    /// Gives the agent one of its own slash commands, which has to be at the beginning of a prompt.
    Command,
    /// Runs this command line of the user.
    Shell(String),
    /// Has the conversation summarised.
    Compact(SummaryFor),
}

impl Work {
    /// Whether it goes on with the conversation in the session's own native session.
    pub(crate) fn is_prompt(&self) -> bool {
        matches!(self, Self::Prompt | Self::Command)
    }
}

/// How a prompt was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The answer.
    pub message: AssistantMessage,
    /// Its parts.
    pub parts: Vec<Part>,
}

/// The caller that waits for an answer. Dropped without one, it says that there will be none.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<Vec<oneshot::Sender<Answer>>>);

impl Waiters {
    /// Somebody waits.
    pub(crate) fn one() -> (Arc<Self>, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        (Arc::new(Self(Mutex::new(vec![sender]))), receiver)
    }

    /// Gives the answer to all of them.
    pub(crate) fn answer(&self, answer: &Answer) {
        for waiting in std::mem::take(&mut *lock(&self.0)) {
            // A client that went away reads the answer later.
            let _gone = waiting.send(answer.clone());
        }
    }
}

/// A prompt that waits for its turn, or has it. Its selection is a snapshot; nothing changes it any more.
#[derive(Debug)]
pub(crate) struct Queued {
    /// The prompt's message.
    pub message_id: MessageId,
    /// The prompt, unless it was edited since: then the store has it.
    pub message: Option<Arc<MessageWithParts>>,
    /// Its place in the session.
    pub turn: u64,
    /// What to do.
    pub work: Work,
    /// What its own wish has taken back.
    pub overrides: Option<Overrides>,
    /// What it wished for in vain.
    pub pinned_over: Option<MessageModel>,
    /// What it is answered by.
    pub target: Target,
    /// The rules when it came.
    pub rules: TurnRules,
    /// Stops it, also before its turn has come.
    pub abort: CancellationToken,
    /// When it began and was heard of last.
    pub signs: Signs,
    /// Who waits for the answer.
    pub waiters: Arc<Waiters>,
    /// The models that could not answer it.
    pub tried: Vec<Selection>,
    /// One of them had begun to.
    pub continues: bool,
    /// How the conversation gets to its model.
    pub handoff: Handoff,
}

impl Queued {
    /// The same, before its turn has come.
    pub(crate) fn anew(&self) -> Self {
        Self {
            message_id: self.message_id.clone(),
            message: self.message.clone(),
            turn: self.turn,
            work: self.work.clone(),
            overrides: self.overrides.clone(),
            pinned_over: self.pinned_over.clone(),
            target: self.target.clone(),
            rules: self.rules.clone(),
            abort: self.abort.clone(),
            signs: Signs::default(),
            waiters: Arc::clone(&self.waiters),
            tried: self.tried.clone(),
            continues: self.continues,
            handoff: self.handoff.clone(),
        }
    }
}

/// An answer that is being written: the worker writes it, anybody may look at it.
#[derive(Debug, Clone)]
pub(crate) struct LiveAnswer {
    id: MessageId,
    answering: Arc<Mutex<Answering>>,
}

impl LiveAnswer {
    /// Shares an answer.
    pub(crate) fn new(answering: Answering) -> Self {
        Self {
            id: answering.message.id.clone(),
            answering: Arc::new(Mutex::new(answering)),
        }
    }

    /// The message's id.
    pub(crate) fn id(&self) -> &MessageId {
        &self.id
    }

    /// Looks at the answer, or writes it. Never held over an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Answering> {
        lock(&self.answering)
    }
}

/// A turn in flight.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    /// The prompt.
    pub queued: Arc<Queued>,
    /// Since when the conversation is being summarised, in milliseconds since the Unix epoch.
    pub compacting: Option<u64>,
    /// Its answer, once that was begun.
    pub answer: Option<LiveAnswer>,
}

impl Turn {
    /// The turn as clients see it.
    pub(crate) fn shown(&self) -> Option<RuntimeTurn> {
        let tool = self
            .answer
            .as_ref()
            .and_then(|answer| answer.lock().tool_at_work());
        self.queued.signs.shown(tool)
    }
}

/// What a session does. See the drawing in [`super`].
#[derive(Debug, Clone, Default)]
pub(crate) enum Phase {
    /// Nothing.
    #[default]
    Idle,
    /// The agent is being brought after the selection, outside of a turn.
    Switching,
    /// A turn is in flight.
    Working(Turn),
    /// Its working directory is being brought to another state; turns wait.
    Restoring {
        /// A switch that has begun before continues in parallel.
        switches: bool,
    },
    /// It was deleted; nothing is started for it any more.
    Deleted,
    /// Another server has taken it; nothing is done for it here any more.
    Lost,
}

/// A switch that has failed.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    /// What was wished.
    pub target: Target,
    /// Why it was not available.
    pub error: MessageError,
    /// The highest place of a message then: prompts up to it were waiting for this switch.
    pub last_seq: u64,
}

/// What is running for a session. A copy is cheap: what can be large is shared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runtime {
    /// What it does.
    pub phase: Phase,
    /// What the agent has confirmed.
    pub applied: Option<Selection>,
    /// Prompts that wait.
    pub queue: VecDeque<Arc<Queued>>,
    /// What agents ask the user.
    pub asks: Vec<Arc<Ask>>,
    /// Native sessions by backend.
    pub bindings: Arc<BTreeMap<String, Binding>>,
    /// Counts how often bindings were forgotten, so that the worker drops its live ones.
    pub bindings_epoch: u64,
    /// The highest place of a message.
    pub last_seq: u64,
    /// Counts changes of what was said, for those who have read it from the store.
    pub conversation: u64,
    /// The revision of the last switch that was applied, has failed, or is not to be applied by itself.
    pub settled_revision: u64,
    /// The last revision that a caller has waited for.
    pub awaited_revision: u64,
    /// The entry of the audit trail that was written last.
    pub last_entry: Option<Arc<ModelSwitch>>,
    /// The revision of the last switch whose entry of the audit trail has its outcome.
    pub closed_revision: u64,
    /// How the last switches ended, by revision.
    pub outcomes: Arc<VecDeque<(u64, Option<MessageError>)>>,
    /// What a notification has announced as next, until it is applied.
    pub toasted: Option<Selection>,
    /// The turn in which one did.
    pub toasted_turn: Option<u64>,
    /// The revision for which a notification has said that its agent takes long, until it is applied.
    pub slow: Option<u64>,
    /// The last handover that was announced as leaving something out.
    pub elided: Option<Transfer>,
    /// The last switch that failed.
    pub failed: Option<Arc<Failed>>,
    /// The worker cannot continue because the store does not take what it has.
    pub store_fails: bool,
}

impl Runtime {
    /// Whether a turn is in flight or waits.
    pub(crate) fn is_busy(&self) -> bool {
        self.turn().is_some() || !self.queue.is_empty()
    }

    /// Whether the session was deleted, or is another server's.
    pub(crate) fn is_deleted(&self) -> bool {
        matches!(self.phase, Phase::Deleted | Phase::Lost)
    }

    /// Whether another server has taken the session.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self.phase, Phase::Lost)
    }

    /// Whether its working directory is being brought to another state.
    pub(crate) fn is_restoring(&self) -> bool {
        matches!(self.phase, Phase::Restoring { .. })
    }

    /// Whether its agent is being brought after the selection outside of a turn.
    pub(crate) fn is_switching(&self) -> bool {
        matches!(
            self.phase,
            Phase::Switching | Phase::Restoring { switches: true }
        )
    }

    /// The turn in flight.
    pub(crate) fn turn(&self) -> Option<&Turn> {
        match &self.phase {
            Phase::Working(turn) => Some(turn),
            _ => None,
        }
    }

    /// The turn of the prompt that is answered next: of the first that waits, or of one that has not come yet.
    pub(crate) fn next_turn(&self) -> u64 {
        let waiting = self.queue.front().map(|queued| queued.turn);
        waiting.unwrap_or(self.last_seq + 1)
    }

    /// The answer that is being written.
    pub(crate) fn answer(&self) -> Option<&LiveAnswer> {
        self.turn()?.answer.as_ref()
    }

    /// The backends whose native sessions know a turn, or may know it: one that failed in it has seen the
    /// prompt all the same.
    pub(crate) fn bindings_that_know(&self, turn: u64, asked: &BTreeSet<&str>) -> Vec<String> {
        let knows = |(backend, binding): &(&String, &Binding)| {
            binding.seen_turn >= turn || asked.contains(backend.as_str())
        };
        let known = self.bindings.iter().filter(knows);
        known.map(|(backend, _)| backend.clone()).collect()
    }

    /// How the switch of a revision ended; the outer `None` while that is open or no longer known.
    pub(crate) fn outcome(&self, revision: u64) -> Option<Option<&MessageError>> {
        let (_, failure) = self.outcomes.iter().find(|(r, _)| *r == revision)?;
        Some(failure.as_ref())
    }

    /// Notes how a switch ended; false when that was known already.
    pub(crate) fn settle(&mut self, revision: u64, failure: Option<MessageError>) -> bool {
        if revision <= self.settled_revision {
            return false;
        }
        self.settled_revision = revision;
        let outcomes = Arc::make_mut(&mut self.outcomes);
        if outcomes.len() == OUTCOMES {
            outcomes.pop_front();
        }
        outcomes.push_back((revision, failure));
        true
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept under these locks is valid between any two steps of their holders.
    mutex.lock()
}
