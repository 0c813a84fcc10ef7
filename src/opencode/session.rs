//! OpenCode's `Session`, with what Baton adds to it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bounded;
use super::handoff::HandoffWish;
use super::id::{MessageId, PartId, SessionId};
use super::metadata::Metadata;
use super::spending::SpendingLimit;

/// The name that means no variant: the model's default effort.
pub const DEFAULT_VARIANT: &str = "default";

/// What the user wants to talk to: the model of a backend, its reasoning effort, and the agent mode.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[schema(as = ModelSelection)]
pub struct Selection {
    /// The backend's id, which OpenCode clients see as a provider.
    #[serde(rename = "providerID")]
    #[schema(example = "claude")]
    pub provider_id: String,
    /// The model's id, verbatim as the backend advertises it; it may contain `/`.
    #[serde(rename = "modelID")]
    #[schema(example = "opus")]
    pub model_id: String,
    /// The reasoning effort; absent for the model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "high")]
    pub variant: Option<String>,
    /// `build`, `plan`, the name of a profile, or the id of a mode that the backend advertises.
    #[schema(example = "build")]
    pub agent: String,
    /// The mode that a profile works in: `build`, `plan`, or one that the backend advertises; absent where the agent is
    /// the mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mode: Option<String>,
}

/// A model as OpenCode writes it in a `Session` and in OpenCode 2's messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelRef {
    /// The model's id.
    pub id: String,
    /// The provider's id.
    #[serde(rename = "providerID")]
    pub provider_id: String,
    /// The reasoning effort; in a `Session`, `default` means the model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub variant: Option<String>,
}

/// A model as OpenCode writes it in a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageModel {
    /// The provider's id.
    #[serde(rename = "providerID")]
    pub provider_id: String,
    /// The model's id.
    #[serde(rename = "modelID")]
    pub model_id: String,
    /// The reasoning effort; absent for the model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub variant: Option<String>,
}

impl Selection {
    /// The mode: the agent's, or the agent itself.
    pub fn mode(&self) -> &str {
        self.mode.as_deref().unwrap_or(&self.agent)
    }

    /// The selection as an event shows its model.
    pub fn model_ref(&self) -> ModelRef {
        ModelRef {
            id: self.model_id.clone(),
            provider_id: self.provider_id.clone(),
            variant: self.variant.clone(),
        }
    }

    /// The selection as a `Session` shows its model: OpenCode names the default effort there.
    pub fn session_model(&self) -> ModelRef {
        let variant = self.variant.as_deref().unwrap_or(DEFAULT_VARIANT);
        ModelRef {
            variant: Some(variant.to_owned()),
            ..self.model_ref()
        }
    }

    /// The selection as a user message shows its model.
    pub fn message_model(&self) -> MessageModel {
        MessageModel {
            provider_id: self.provider_id.clone(),
            model_id: self.model_id.clone(),
            variant: self.variant.clone(),
        }
    }

    /// `provider/model`, the way a person writes it.
    pub fn label(&self) -> String {
        format!("{}/{}", self.provider_id, self.model_id)
    }
}

/// Tokens spent, as OpenCode counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// All of them, where the agent says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub total: Option<u64>,
    /// Given to the model, without cache reads.
    pub input: u64,
    /// Written by the model.
    pub output: u64,
    /// Spent on hidden reasoning.
    pub reasoning: u64,
    /// Prompt cache use.
    pub cache: CacheTokens,
}

/// Prompt cache use, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheTokens {
    /// Read from the cache.
    pub read: u64,
    /// Written to the cache.
    pub write: u64,
}

impl Tokens {
    /// What has come to an earlier count; a smaller one begins anew.
    pub fn since(&self, earlier: &Tokens) -> Tokens {
        let difference = || {
            Some(Tokens {
                total: match (self.total, earlier.total) {
                    (Some(total), Some(earlier)) => Some(total.checked_sub(earlier)?),
                    (total, _) => total,
                },
                input: self.input.checked_sub(earlier.input)?,
                output: self.output.checked_sub(earlier.output)?,
                reasoning: self.reasoning.checked_sub(earlier.reasoning)?,
                cache: CacheTokens {
                    read: self.cache.read.checked_sub(earlier.cache.read)?,
                    write: self.cache.write.checked_sub(earlier.cache.write)?,
                },
            })
        };
        difference().unwrap_or(*self)
    }

    /// All of them: as the agent says, else the sum.
    pub fn spent(&self) -> u64 {
        let cache = self.cache.read.saturating_add(self.cache.write);
        let parts = [self.input, self.output, self.reasoning, cache];
        let sum = || {
            parts
                .iter()
                .fold(0u64, |sum, part| sum.saturating_add(*part))
        };
        self.total.unwrap_or_else(sum)
    }

    /// Adds what one more answer has spent; a session has no `total`.
    pub fn add(&mut self, other: &Tokens) {
        self.input += other.input;
        self.output += other.output;
        self.reasoning += other.reasoning;
        self.cache.read += other.cache.read;
        self.cache.write += other.cache.write;
    }
}

/// When things happened to a session, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionTime {
    /// When it was created.
    pub created: u64,
    /// When it was last used or changed.
    pub updated: u64,
    /// When a compaction that is still running began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub compacting: Option<u64>,
    /// When it was archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub archived: Option<u64>,
}

/// Lines and files that the session has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionSummary {
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// Files touched.
    pub files: u64,
}

/// What was done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = FileChangeStatus)]
pub enum FileStatus {
    /// It was made.
    Added,
    /// It was deleted.
    Deleted,
    /// Its contents were changed.
    Modified,
}

/// What was changed in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileDiff {
    /// The file, below the root of its repository.
    pub file: String,
    /// The change as a unified diff; empty for a file that is not text, and where it would be too large.
    pub patch: String,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// What was done to it.
    pub status: FileStatus,
}

/// What to do when a permission rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PermissionAction {
    /// Go ahead without asking.
    Allow,
    /// Refuse without asking.
    Deny,
    /// Ask the user.
    Ask,
}

/// One rule of a session's permissions; the last rule that matches decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PermissionRule {
    /// The kind of thing: `edit`, `bash`, … or `*`.
    #[schema(format = "bound:name")]
    pub permission: String,
    /// What it is done to; `*` matches any text.
    #[serde(deserialize_with = "bounded::pattern")]
    #[schema(format = "bound:pattern")]
    pub pattern: String,
    /// What to do then.
    pub action: PermissionAction,
}

/// The message that a session was reverted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RevertPoint)]
pub struct Revert {
    /// This message and all later ones are out of the conversation.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// The first part of that message that is out, when not all of it is.
    #[serde(rename = "partID", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub part_id: Option<PartId>,
    /// Names the state of the working directory before; absent where no snapshots are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub snapshot: Option<String>,
    /// What reverting has changed in the working directory, as a unified diff; absent where no snapshots
    /// are taken, and where it would be too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub diff: Option<String>,
}

/// What is running for a session (Baton's addition).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeStatus {
    /// Nothing is running.
    Idle,
    /// A turn is in flight.
    Busy,
    /// The selected model is being applied to its agent.
    Switching,
}

/// What a selection waits for (Baton's addition).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PendingReason {
    /// A turn is in flight; it keeps its model to its end.
    Turn,
    /// The agent is being started or switched.
    Starting,
    /// The store does not take what the session has to write, for example because the disk is full.
    Store,
}

/// A selection that waits to be applied, and what it waits for (Baton's addition).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PendingSelection {
    /// The backend's id.
    #[serde(rename = "providerID")]
    pub provider_id: String,
    /// The model's id.
    #[serde(rename = "modelID")]
    pub model_id: String,
    /// The reasoning effort; absent for the model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub variant: Option<String>,
    /// The agent.
    pub agent: String,
    /// What it waits for.
    pub reason: PendingReason,
}

impl PendingSelection {
    /// A selection that waits.
    pub fn new(selection: &Selection, reason: PendingReason) -> Self {
        Self {
            provider_id: selection.provider_id.clone(),
            model_id: selection.model_id.clone(),
            variant: selection.variant.clone(),
            agent: selection.agent.clone(),
            reason,
        }
    }
}

/// A turn in flight: since when, and whether its agent still says something (Baton's addition). In milliseconds since the
/// Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuntimeTurn {
    /// When it began.
    pub started: u64,
    /// When its agent has sent something last; absent before the first. A client sees it as it was when it asked: no event
    /// tells of it.
    #[serde(rename = "lastSign", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_sign: Option<u64>,
    /// Since when the agent says nothing; absent while it does, and until that has lasted for `timeouts.silent_s`.
    #[serde(
        rename = "silentSince",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(nullable = false)]
    pub silent_since: Option<u64>,
    /// What the tool call does that has begun last and has not ended; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tool: Option<String>,
}

/// Whether the running agent has applied the selection (Baton's addition).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionRuntime {
    /// What is going on right now.
    pub status: RuntimeStatus,
    /// What the agent has confirmed; null before the first agent was started.
    #[schema(required)]
    pub applied: Option<Selection>,
    /// The selection that waits to be applied, with the reason; null when none does. A selection from before a
    /// restart is applied by the next prompt and does not wait.
    #[schema(required)]
    pub pending: Option<PendingSelection>,
    /// The turn in flight; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub turn: Option<RuntimeTurn>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// The session's id.
    pub id: SessionId,
    /// A short name of two words.
    pub slug: String,
    /// The project's id: one per working directory.
    #[serde(rename = "projectID")]
    pub project_id: String,
    /// The working directory of the session's agents.
    pub directory: String,
    /// The directory below the project's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub path: Option<String>,
    /// The session that this one was forked from or belongs to.
    #[serde(rename = "parentID", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parent_id: Option<SessionId>,
    /// What the session has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub summary: Option<SessionSummary>,
    /// Cost of all answers, in US dollars where the agents say so.
    pub cost: f64,
    /// Tokens of all answers.
    pub tokens: Tokens,
    /// The title.
    pub title: String,
    /// The selected agent; absent before the first selection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub agent: Option<String>,
    /// The selected model; absent before the first selection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub model: Option<ModelRef>,
    /// The version of the server that created it.
    pub version: String,
    /// Free data of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    pub metadata: Option<Metadata>,
    /// When things happened.
    pub time: SessionTime,
    /// Permission rules of this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub permission: Option<Vec<PermissionRule>>,
    /// Set while the session is reverted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub revert: Option<Revert>,
    /// Counts the committed changes of what clients can set; it is the `ETag` (Baton's addition).
    pub revision: u64,
    /// Whether the selected model is pinned: messages do not select another one until the next PATCH (Baton's addition).
    #[serde(default)]
    pub pinned: bool,
    /// Models that go on in this order when the selected one cannot answer for now; empty for none, absent where the
    /// server's own chain is used (Baton's addition).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub fallback: Option<Vec<MessageModel>>,
    /// What the session may spend; absent where the server's own limit holds (Baton's addition).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub limit: Option<SpendingLimit>,
    /// What was wished for the next handover, until a prompt takes it along; absent where nothing was (Baton's addition).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub handoff: Option<HandoffWish>,
    /// Whether the running agent has applied the selection (Baton's addition).
    pub runtime: SessionRuntime,
}

/// The project of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProjectSummary {
    /// Its id.
    pub id: String,
    /// Its folder.
    pub worktree: String,
}

/// A session of any directory.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct GlobalSession {
    /// The session.
    #[serde(flatten)]
    pub session: Session,
    /// Its project.
    pub project: ProjectSummary,
}
