//! How the conversation gets to a model that goes on with it, where its user chooses (Baton's addition).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::event::TransferKind;
use super::history::HandoverOmission;
use super::session::MessageModel;

/// What a model that goes on with a conversation is given of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HandoffMode {
    /// What it has not seen, word for word, as far as its context holds it.
    #[default]
    Transcript,
    /// A summary, which the model that knows the conversation writes before the next prompt. Where that fails, the
    /// transcript.
    Summary,
    /// Nothing, also later: what was said up to its next prompt stays unknown to this backend.
    None,
    /// The transcript where it fits, otherwise a summary.
    Auto,
}

/// A wish for a handover.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HandoffWish {
    /// What is handed over; absent for the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mode: Option<HandoffMode>,
    /// What its user tells the model beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "Only the tests are left to do.")]
    pub note: Option<String>,
}

impl HandoffWish {
    /// A wish, unless nothing is wished.
    pub fn of(mode: Option<HandoffMode>, note: Option<String>) -> Option<Self> {
        let is_wish = mode.is_some() || note.is_some();
        is_wish.then_some(Self { mode, note })
    }

    /// The same, with what was wished before where this says nothing.
    pub fn or(self, before: Option<Self>) -> Self {
        let Self { mode, note } = before.unwrap_or_default();
        Self {
            mode: self.mode.or(mode),
            note: self.note.or(note),
        }
    }
}

/// What a summary takes to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SummaryPreview {
    /// Who writes it: the model that knows most of the conversation.
    pub by: MessageModel,
    /// Messages that it is given to read.
    pub messages: u64,
    /// Bytes of that text.
    pub bytes: u64,
    /// About how many tokens that is, at three bytes each: rather too many.
    pub tokens: u64,
}

/// What a model would be given with the next prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HandoffPreview {
    /// The model.
    pub model: MessageModel,
    /// What would be handed over: `transcript`, `summary` or `none`; `auto` is decided here.
    pub handoff: HandoffMode,
    /// By which way.
    pub kind: TransferKind,
    /// Messages that would be handed over as text.
    pub messages: u64,
    /// Bytes of that text.
    pub bytes: u64,
    /// Pictures that would go with it.
    pub images: u64,
    /// Messages, tool outputs and files that would be left out, or shortened for size.
    pub elided: u64,
    /// The very text, as it would stand in front of the prompt; null for a summary, which is not written yet.
    #[schema(required)]
    pub text: Option<String>,
    /// What would be left out or shortened, as the text says.
    #[serde(rename = "leftOut")]
    pub left_out: Vec<HandoverOmission>,
    /// What writing a summary would take; null where no summary would be written.
    #[schema(required)]
    pub summary: Option<SummaryPreview>,
}
