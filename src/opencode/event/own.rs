//! The events that OpenCode does not have: a session's model was changed, was applied or was not, and what an agent shows
//! of itself in a turn.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::opencode::handoff::HandoffWish;
use crate::opencode::history::Overrides;
use crate::opencode::id::{MessageId, SessionId};
use crate::opencode::message::MessageError;
use crate::opencode::session::{MessageModel, Selection};

/// Who changed a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SwitchSource)]
pub enum Source {
    /// The session was made with it.
    Create,
    /// A PATCH of the session, or OpenCode 2's model and agent routes.
    Patch,
    /// A message's own model, agent or variant.
    Message,
    /// `POST …/init`.
    Init,
    /// A slash command.
    Command,
    /// A fork.
    Fork,
    /// The agent itself.
    Agent,
    /// Baton: the selection could not be applied.
    Revert,
    /// Baton: the model that was selected cannot answer for now, or can again.
    Fallback,
}

impl Source {
    /// Its word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Patch => "patch",
            Self::Message => "message",
            Self::Init => "init",
            Self::Command => "command",
            Self::Fork => "fork",
            Self::Agent => "agent",
            Self::Revert => "revert",
            Self::Fallback => "fallback",
        }
    }
}

/// When a changed selection takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SwitchTiming)]
pub enum Effective {
    /// The session is idle: its agent is being prepared now.
    Immediate,
    /// A turn is in flight and keeps its model; the next one has the new model.
    NextTurn,
}

/// Why a session goes on with another model of its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FallbackCause {
    /// Too much was asked lately.
    RateLimit,
    /// What was paid for is used up: a quota, a usage limit, credit.
    Quota,
    /// The provider has too much to do.
    Overloaded,
    /// The provider or the agent has failed, or cannot be reached.
    Outage,
    /// Its user is not signed in.
    SignedOut,
    /// It has not said a word for as long as `fallback.silent_s` allows.
    Silent,
    /// No more may be spent on it.
    SpendingLimit,
    /// The first choice is to answer again.
    Recovered,
}

impl FallbackCause {
    /// What it is called for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::RateLimit => "its rate limit is reached",
            Self::Quota => "its usage limit is reached",
            Self::Overloaded => "its provider is overloaded",
            Self::Outage => "it cannot be reached",
            Self::SignedOut => "it is not signed in",
            Self::Silent => "it says nothing",
            Self::SpendingLimit => "no more may be spent on it",
            Self::Recovered => "it may answer again",
        }
    }
}

/// Why Baton has selected another model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FallbackReason {
    /// Which kind of reason.
    pub cause: FallbackCause,
    /// What the agent said, or a sentence of Baton's.
    pub message: String,
    /// Until when the model that failed is left out, in milliseconds since the Unix epoch; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub until: Option<u64>,
}

/// A session's selection has changed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelChanged {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The session's revision after the change.
    pub revision: u64,
    /// The selection before; null for a session's first.
    #[schema(required)]
    pub previous: Option<Selection>,
    /// The selection now.
    pub current: Selection,
    /// Who changed it.
    pub source: Source,
    /// The `x-client-id` of the request, or null.
    #[schema(required)]
    pub client: Option<String>,
    /// When it takes effect.
    pub effective: Effective,
    /// The variant was dropped because the new model does not have it.
    #[serde(rename = "variantReset")]
    pub variant_reset: bool,
    /// Whether messages cannot select another model until the next PATCH.
    pub pinned: bool,
    /// What a message took back of somebody else's; absent when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub overrides: Option<Overrides>,
    /// Why Baton has changed it; absent when it was somebody else, and for `revert`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<FallbackReason>,
    /// What was wished for the handover with it; absent where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub handoff: Option<HandoffWish>,
    /// When, in milliseconds since the Unix epoch.
    pub time: u64,
}

/// How the conversation reaches the agent that goes on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// There is no conversation yet; or, with a count of what was left out, none of it was to be handed over.
    None,
    /// The agent's own live session has all of it.
    Native,
    /// The agent's own session was resumed and has all of it.
    Resume,
    /// The agent's own session was loaded and has all of it.
    Load,
    /// The agent's own session goes on; what it missed goes with the next prompt.
    CatchUp,
    /// A new session of the agent; the whole conversation goes with the next prompt.
    Transcript,
    /// A summary of what it has not seen goes with the next prompt.
    Summary,
}

impl TransferKind {
    /// Its word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Native => "native",
            Self::Resume => "resume",
            Self::Load => "load",
            Self::CatchUp => "catch_up",
            Self::Transcript => "transcript",
            Self::Summary => "summary",
        }
    }
}

/// What goes to the agent with the next prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transfer {
    /// How.
    pub kind: TransferKind,
    /// Messages handed over as text.
    pub messages: u64,
    /// Bytes of that text.
    pub bytes: u64,
    /// Messages, tool outputs and files that were left out, or shortened for size.
    pub elided: u64,
}

/// The agent has confirmed a selection.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelApplied {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The revision of the change that was applied.
    pub revision: u64,
    /// The selection that is applied.
    pub current: Selection,
    /// What goes to the agent with the next prompt.
    pub transfer: Transfer,
    /// How long it took.
    #[serde(rename = "durationMs")]
    pub duration_ms: u64,
    /// When, in milliseconds since the Unix epoch.
    pub time: u64,
}

/// A selection could not be applied.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelFailed {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The revision of the change that failed.
    pub revision: u64,
    /// The selection that failed.
    pub current: Selection,
    /// Why, and what to do.
    pub error: MessageError,
    /// How long it took.
    #[serde(rename = "durationMs")]
    pub duration_ms: u64,
    /// When, in milliseconds since the Unix epoch.
    pub time: u64,
}

/// An agent has reported that another of its models has answered than the selected one. The message names the one that
/// has answered.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelMismatch {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The answer.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// What was selected; it stays selected, and is set again before the next prompt.
    pub wished: Selection,
    /// The model that has answered.
    pub answered: MessageModel,
    /// When, in milliseconds since the Unix epoch.
    pub time: u64,
}

/// The agent of a turn has said nothing for `timeouts.silent_s`, and is not waiting for the user.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SessionSilent {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The prompt that it works on.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// Since when, in milliseconds since the Unix epoch.
    pub since: u64,
    /// What the tool call does that has begun last and has not ended; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tool: Option<String>,
    /// When the turn is ended if nothing comes, in milliseconds since the Unix epoch; absent when `timeouts.silent_end_s` is not
    /// set.
    #[serde(default, rename = "endsAt", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ends_at: Option<u64>,
}
