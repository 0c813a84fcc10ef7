//! `SessionState`: what is known of a session for good.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::late::LatePart;
use super::notice::Told;
use super::set_by::SetBy;
use crate::json;
use crate::opencode::event::Todo;
use crate::opencode::handoff::HandoffWish;
use crate::opencode::history::{ContextUse, ModelUsage};
use crate::opencode::message::AssistantMessage;
use crate::opencode::session::{
    MessageModel, PermissionRule, Revert, SessionSummary, SessionTime, Tokens,
};
use crate::opencode::spending::SpendingLimit;
use crate::opencode::{Metadata, Selection, SessionId, now_ms};
use crate::project::Place;
use crate::registry::Resolved;
use crate::session::ask::{Always, TurnRules};
use crate::session::conversation::cut::Past;
use crate::session::request::Prompt;
use crate::store::{Change, Keys, SessionKeys};

/// What the store keeps of a session: what clients see, and in `kept` what only Baton needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SessionState {
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
    /// What the user wants to talk to; `None` until the first prompt or choice. This is what the runtime
    /// works towards, too: the two cannot differ.
    pub selection: Option<Selection>,
    /// Whether messages are kept from selecting another model.
    #[serde(default)]
    pub pinned: bool,
    /// What goes on when the selected model cannot answer; `None` for the server's own chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Vec<MessageModel>>,
    /// What it may spend; `None` for the server's own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<SpendingLimit>,
    /// Free data of the client.
    pub metadata: Option<Metadata>,
    /// Permission rules.
    pub permission: Vec<PermissionRule>,
    /// When things happened.
    pub time: SessionTime,
    /// Cost of all answers.
    pub cost: f64,
    /// Tokens of all answers.
    pub tokens: Tokens,
    /// The same by model, in the order of their first answers.
    #[serde(default)]
    pub usage: Vec<ModelUsage>,
    /// What was changed.
    pub summary: SessionSummary,
    /// Set while the session is reverted.
    pub revert: Option<Revert>,
    /// The agent's plan.
    pub todos: Vec<Todo>,
    /// The version of the server that made it.
    pub version: String,
    /// Counts the committed changes of what clients can set.
    pub revision: u64,
    /// What clients do not see.
    #[serde(flatten)]
    pub kept: Kept,
}

/// What only Baton keeps of a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The title is the one that Baton made.
    pub title_is_default: bool,
    /// The revision at which the selection was set.
    pub selection_revision: u64,
    /// The permission rules of the selected agent, where it is a profile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agent_rules: Vec<PermissionRule>,
    /// The last selection that an agent has confirmed: where a failed switch goes back to.
    pub last_applied: Option<Selection>,
    /// The selection before the chain was needed, while that is what the session goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_choice: Option<Selection>,
    /// Who has set what is selected.
    #[serde(default)]
    pub set_by: SetBy,
    /// What the user messages say is selected; `None` before the first one.
    #[serde(default)]
    pub told: Option<Told>,
    /// Where the conversation is cut, and what its working directory was like.
    #[serde(default)]
    pub past: Past,
    /// Permissions given for good.
    pub always: Vec<Always>,
    /// What was said of answers that had ended, for those who have seen them without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<LatePart>,
    /// Prompts that were only stored since the last one that was answered.
    #[serde(default)]
    pub stored: StoredOnly,
    /// What was wished for the next handover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<HandoffWish>,
    /// The last turn of which a backend is to be told nothing, where it is to be told only of later ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub withheld: BTreeMap<String, u64>,
}

/// Prompts without a reply, in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredOnly {
    /// How many.
    pub prompts: usize,
    /// Their texts and files, in bytes.
    pub bytes: usize,
}

impl StoredOnly {
    /// Counts a prompt; one that is answered ends the row.
    pub(crate) fn note(&mut self, prompt: &Prompt) {
        if !prompt.no_reply {
            *self = Self::default();
            return;
        }
        self.prompts += 1;
        self.bytes = self.bytes.saturating_add(prompt.bytes());
    }
}

/// A selection with the revision that made it: what the reconciler works towards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The selection.
    pub selection: Selection,
    /// Its revision.
    pub revision: u64,
}

/// What a new session is made from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Birth {
    /// The working directory of its agents.
    pub directory: String,
    /// The project of that directory.
    pub project_id: String,
    /// The directory relative to its worktree.
    pub path: String,
    /// The session that it belongs to.
    pub parent_id: Option<SessionId>,
    /// Its title; one with the time is made when there is none.
    pub title: Option<String>,
    /// Free data of the client.
    pub metadata: Option<Metadata>,
    /// Permission rules.
    pub permission: Vec<PermissionRule>,
}

impl SessionState {
    /// The state of a session that was just made, with nothing selected yet.
    pub(crate) fn new(birth: Birth) -> Self {
        let (id, now) = (SessionId::new(), now_ms());
        Self {
            slug: slug(&id),
            directory: birth.directory,
            project_id: birth.project_id,
            path: birth.path,
            parent_id: birth.parent_id,
            kept: Kept {
                title_is_default: birth.title.is_none(),
                ..Kept::default()
            },
            title: birth.title.unwrap_or_else(|| default_title(now)),
            selection: None,
            pinned: false,
            fallback: None,
            limit: None,
            metadata: birth.metadata,
            permission: birth.permission,
            time: SessionTime {
                created: now,
                updated: now,
                compacting: None,
                archived: None,
            },
            cost: 0.0,
            tokens: Tokens::default(),
            usage: Vec::new(),
            summary: SessionSummary::default(),
            revert: None,
            todos: Vec::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: 1,
            id,
        }
    }

    /// The permission rules that hold: those of the agent, and then those of the session, the last of which wins.
    pub(crate) fn rules(&self) -> Vec<PermissionRule> {
        let agent = self.kept.agent_rules.iter();
        agent.chain(&self.permission).cloned().collect()
    }

    /// The rules that a prompt takes along.
    pub(crate) fn turn_rules(&self) -> TurnRules {
        TurnRules {
            agent: self.kept.agent_rules.as_slice().into(),
            all: self.rules().into(),
        }
    }

    /// Takes over what was resolved; true when that is another selection.
    pub(crate) fn take(&mut self, resolved: Resolved) -> bool {
        let (before, now) = (self.selection.as_ref(), &resolved.selection);
        let is_same_agent = before.is_some_and(|before| before.agent == now.agent);
        match resolved.rules {
            Some(rules) => self.kept.agent_rules = rules,
            None if is_same_agent => {}
            None => self.kept.agent_rules.clear(),
        }
        let is_other = before != Some(now);
        self.selection = Some(resolved.selection);
        is_other
    }

    /// What the reconciler works towards.
    pub(crate) fn target(&self) -> Option<Target> {
        Some(Target {
            selection: self.selection.clone()?,
            revision: self.kept.selection_revision,
        })
    }

    /// Writes it over what is stored: the revision that has to be there, `None` for a new session, and the state.
    pub(crate) fn put(&self, expected: Option<u64>, stored: &Self) -> Change {
        let keys = match expected {
            Some(_) if self.is_listed_as(stored) => Keys::Used(self.time.updated),
            _ => Keys::All(self.keys()),
        };
        Change::PutSession {
            id: self.id.clone(),
            expected,
            revision: self.revision,
            keys,
            body: json::text(self),
        }
    }

    /// Whether lists select it as they do another state, whenever it was used.
    fn is_listed_as(&self, other: &Self) -> bool {
        self.project_id == other.project_id
            && self.directory == other.directory
            && self.path == other.path
            && self.parent_id == other.parent_id
            && self.title == other.title
            && self.time.created == other.time.created
            && self.time.archived == other.time.archived
            && self.is_restoring() == other.is_restoring()
    }

    fn is_restoring(&self) -> bool {
        self.kept.past.restoring.is_some()
    }

    fn keys(&self) -> SessionKeys {
        SessionKeys {
            project: self.project_id.clone(),
            directory: self.directory.clone(),
            path: self.path.clone(),
            parent: self.parent_id.clone(),
            title: self.title.clone(),
            created: self.time.created,
            updated: self.time.updated,
            archived: self.time.archived,
            restoring: self.is_restoring(),
        }
    }

    /// Notes what its directory belongs to.
    pub(crate) fn belongs_to(&mut self, place: &Place) {
        self.project_id.clone_from(&place.project_id);
        self.path = place.path();
    }

    /// Notes that it was used now.
    pub(crate) fn touch(&mut self) {
        self.time.updated = now_ms().max(self.time.updated);
    }

    /// Adds what has come to the cost of an answer that was counted already, and how full its model's context is now.
    pub(crate) fn count_more(
        &mut self,
        provider_id: &str,
        model_id: &str,
        cost: f64,
        context: ContextUse,
    ) {
        self.cost += cost;
        let same = |u: &&mut ModelUsage| u.provider_id == provider_id && u.model_id == model_id;
        if let Some(usage) = self.usage.iter_mut().find(same) {
            usage.cost += cost;
            usage.context.note(context);
        }
    }

    /// Adds what an answer has cost to the session and to its model.
    pub(crate) fn count(&mut self, answer: &AssistantMessage, context: ContextUse) {
        self.tokens.add(&answer.tokens);
        self.cost += answer.cost;
        let same = |u: &&mut ModelUsage| {
            u.provider_id == answer.provider_id && u.model_id == answer.model_id
        };
        if let Some(usage) = self.usage.iter_mut().find(same) {
            usage.answers += 1;
            usage.tokens.add(&answer.tokens);
            usage.cost += answer.cost;
            usage.context.note(context);
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
            context,
        });
    }
}

/// The title of a session that has none yet, as OpenCode makes it.
fn default_title(now_ms: u64) -> String {
    let ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("New session - {}", time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
}

/// Two words for a session, always the same for the same id.
fn slug(id: &SessionId) -> String {
    const FIRST: [&str; 16] = [
        "amber", "brave", "calm", "clever", "cosmic", "eager", "gentle", "happy", "jolly", "lucky",
        "misty", "neon", "quiet", "rapid", "sunny", "vivid",
    ];
    const SECOND: [&str; 16] = [
        "anchor", "breeze", "cactus", "comet", "falcon", "forest", "harbor", "lagoon", "meadow",
        "orchid", "pebble", "planet", "river", "tiger", "walnut", "wolf",
    ];
    let sum = id.as_str().bytes().fold(0usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    format!("{}-{}", FIRST[sum % 16], SECOND[sum / 16 % 16])
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_title_has_the_time_as_opencode_writes_it() {
        assert_eq!(
            default_title(1_795_332_950_408),
            "New session - 2026-11-22T07:35:50.408Z"
        );
        assert_eq!(default_title(0), "New session - 1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_slug_is_two_words() {
        let id = SessionId::new();
        assert_eq!(slug(&id), slug(&id));
        assert_eq!(slug(&id).split('-').count(), 2);
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let state = SessionState::new(Birth::default());
        let again: SessionState = serde_json::from_str(&json::text(&state)).expect("readable");
        assert_eq!(again, state);
        // What only Baton keeps is next to the rest, as in databases of earlier versions.
        let json: Value = serde_json::from_str(&json::text(&state)).expect("JSON");
        assert_eq!(json["title_is_default"], true);
    }
}
