//! Which models a session has used, for how much, and who changed them (Baton's addition).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::event::{FallbackReason, Source, Transfer};
use super::handoff::HandoffWish;
use super::id::MessageId;
use super::message::MessageError;
use super::session::{MessageModel, Selection, Tokens};

/// How full a model's context is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContextUse {
    /// Tokens in it after the last answer, as the agent reports it; null where it does not.
    #[schema(required)]
    pub used: Option<u64>,
    /// Tokens that it holds: what the agent reports, or what is configured; null where neither is known.
    #[schema(required)]
    pub size: Option<u64>,
}

impl ContextUse {
    /// Takes over what was reported later; the rest stays as it was.
    pub fn note(&mut self, later: Self) {
        self.used = later.used.or(self.used);
        self.size = later.size.or(self.size);
    }
}

/// What one model has answered in a session. What was deleted since still counts: it was paid for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelUsage {
    /// The backend.
    #[serde(rename = "providerID")]
    pub provider_id: String,
    /// The model.
    #[serde(rename = "modelID")]
    pub model_id: String,
    /// Its answers, also those that failed or were aborted.
    pub answers: u64,
    /// Its tokens, as far as the agent reports them.
    pub tokens: Tokens,
    /// Its cost, in US dollars, where the agent reports it.
    pub cost: f64,
    /// Its context.
    #[serde(default)]
    #[schema(required)]
    pub context: ContextUse,
}

/// What a message has taken back: what somebody else had selected since its client's last message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SwitchOverrides)]
pub struct Overrides {
    /// By which way it was selected.
    #[schema(example = "patch")]
    pub source: Source,
    /// By whom: the `x-client-id` of that request, else its `user-agent`, else null.
    #[schema(required, example = "ci-script")]
    pub client: Option<String>,
    /// When, in milliseconds since the Unix epoch.
    pub time: u64,
}

/// One change of a session's selection, or of whether it is pinned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelSwitch {
    /// The revision that it made.
    pub revision: u64,
    /// When, in milliseconds since the Unix epoch.
    pub time: u64,
    /// The selection before; null for a session's first.
    #[schema(required)]
    pub previous: Option<Selection>,
    /// The selection after.
    pub current: Selection,
    /// Who changed it.
    pub source: Source,
    /// The `x-client-id` of the request, or null.
    #[schema(required)]
    pub client: Option<String>,
    /// The beginning of the request's `user-agent`: the program that it came from; absent for a change of Baton's or the
    /// agent's own, and where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "curl/8.14.1")]
    pub program: Option<String>,
    /// How the conversation reached the agent; null while that is open, and for a change that was passed
    /// over or has failed.
    #[schema(required)]
    pub transfer: Option<Transfer>,
    /// How long it took until the agent had confirmed or refused it.
    #[schema(required)]
    #[serde(rename = "durationMs")]
    pub duration_ms: Option<u64>,
    /// Why it could not be applied, or null.
    #[schema(required)]
    pub failure: Option<MessageError>,
    /// What it took back of somebody else's; absent when it took back nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub overrides: Option<Overrides>,
    /// Whether the selection was pinned by it, or stayed so: messages do not select another model until the next PATCH.
    /// An entry whose `previous` and `current` are the same has only pinned or unpinned it.
    #[serde(default)]
    pub pinned: bool,
    /// Why Baton has changed it; absent when it was somebody else, and for `revert`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<FallbackReason>,
    /// What was wished for the handover with it; absent where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub handoff: Option<HandoffWish>,
}

/// The parts of the conversation that an agent was not given in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HandoverOmission {
    /// The message that it stood in, as the handover heads it: `user`, or `assistant provider/model`; empty for whole
    /// messages.
    #[schema(example = "assistant claude/opus")]
    pub of: String,
    /// The tool, where it is a tool's input or result; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "bash")]
    pub tool: Option<String>,
    /// What and how much, in the words of the handover.
    #[schema(example = "4000 bytes of the result left out")]
    pub what: String,
}

/// What an agent was given of the conversation in front of a prompt, word for word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GivenHandover {
    /// The prompt that it was given with.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// Who was given it.
    pub model: MessageModel,
    /// When, in milliseconds since the Unix epoch.
    pub time: u64,
    /// The text.
    pub text: String,
    /// Pictures that were given with it.
    pub images: u64,
    /// What was left out or shortened, as the text says.
    #[serde(rename = "leftOut")]
    pub left_out: Vec<HandoverOmission>,
}

/// What an agent was given of the conversation after one change of the selection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelHandover {
    /// The revision of the change.
    pub revision: u64,
    /// What was given, oldest first: usually once, with the first prompt after the change, and nothing for an agent that
    /// had the conversation itself.
    pub given: Vec<GivenHandover>,
}

/// The models of a session: now, so far, and how they changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelHistory {
    /// The session's revision.
    pub revision: u64,
    /// What is selected; null before the first choice.
    #[schema(required)]
    pub selected: Option<Selection>,
    /// Whether messages cannot select another model until the next PATCH.
    #[serde(default)]
    pub pinned: bool,
    /// What the running agent has confirmed; null when none was started.
    #[schema(required)]
    pub applied: Option<Selection>,
    /// What each model has answered, the first one used first.
    pub usage: Vec<ModelUsage>,
    /// The changes, oldest first.
    pub switches: Vec<ModelSwitch>,
}
