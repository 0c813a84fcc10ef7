//! How the conversation gets to the model of a prompt, where its user chooses: the transcript, a summary that the model
//! which knows the conversation writes first, or nothing.

use std::sync::Arc;

use super::runtime::{Runtime, Work};
use super::state::SessionState;
use super::{Committed, Draft};
use crate::opencode::handoff::{HandoffMode, HandoffWish};
use crate::opencode::session::MessageModel;
use crate::opencode::{MessageId, Selection};
use crate::registry::{BUILD, PLAN, SelectError, Snapshot, Wish};
use crate::session::Error;
use crate::session::conversation::prompt::{SummaryFor, summary_wish};
use crate::session::request::Prompt;

/// How the conversation gets to the model of a prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Handoff {
    /// What it is given; `auto` was decided.
    pub mode: HandoffMode,
    /// What its user tells it beside it.
    pub note: Option<String>,
}

impl Committed {
    /// See [`who_knows`].
    pub(crate) fn who_knows(&self, provider: &str) -> Option<MessageModel> {
        who_knows(&self.state, &self.runtime, provider)
    }
}

/// The model that knows most of what a backend has not been told, and can summarise it; `None` where the backend has
/// missed nothing, or nobody's native session is known.
fn who_knows(state: &SessionState, runtime: &Runtime, provider: &str) -> Option<MessageModel> {
    let turn = runtime.turn().map(|turn| &turn.queued);
    let mut at_work = runtime.queue.iter().rev().chain(turn);
    if let Some(before) = at_work.find(|queued| queued.work.is_prompt()) {
        let selection = &before.target.selection;
        return (selection.provider_id != provider).then(|| selection.message_model());
    }
    let bindings = &runtime.bindings;
    let seen = bindings.get(provider).map_or(0, |own| own.seen_turn);
    let told = seen.max(state.withheld_up_to(provider));
    let (by, binding) = bindings.iter().max_by_key(|(_, known)| known.seen_turn)?;
    let model_id = binding.model.clone()?;
    (by != provider && binding.seen_turn > told).then(|| MessageModel {
        provider_id: by.clone(),
        model_id,
        variant: None,
    })
}

impl SessionState {
    /// The last turn of which a backend is to be told nothing; 0 for none.
    pub(crate) fn withheld_up_to(&self, provider: &str) -> u64 {
        self.kept.withheld.get(provider).copied().unwrap_or(0)
    }
}

impl Draft {
    /// Decides how the conversation gets to the model of a prompt that is about to be stored. A summary is put into the
    /// queue ahead of it.
    pub(super) fn hand_off(
        &mut self,
        prompt: &Prompt,
        before: Option<HandoffWish>,
        message: &MessageId,
        selection: &Selection,
    ) -> Handoff {
        let wish = prompt.handoff.clone().unwrap_or_default().or(before);
        let mode = match wish.mode.unwrap_or(prompt.handoff_default) {
            HandoffMode::Auto if prompt.is_too_much => HandoffMode::Summary,
            HandoffMode::Auto => HandoffMode::Transcript,
            mode => mode,
        };
        let provider = &selection.provider_id;
        match mode {
            HandoffMode::None => self.withhold(provider, self.runtime.last_seq),
            _ if wish.mode.is_some() && self.state().withheld_up_to(provider) > 0 => {
                self.state_mut().kept.withheld.remove(provider);
            }
            _ => {}
        }
        if mode == HandoffMode::Summary {
            self.summarise_for(selection, message);
        }
        let note = wish.note;
        Handoff { mode, note }
    }

    /// Notes that a backend is to be told of later turns only.
    pub(super) fn withhold(&mut self, provider: &str, turn: u64) {
        let withheld = &mut self.state_mut().kept.withheld;
        withheld.insert(provider.to_owned(), turn);
    }

    /// Has the model that knows the conversation summarise it, before a prompt. Where there is none, the prompt goes with
    /// the transcript.
    fn summarise_for(&mut self, selection: &Selection, prompt: &MessageId) {
        let Some(by) = who_knows(self.state(), &self.runtime, &selection.provider_id) else {
            return;
        };
        let by = summariser(&self.registry, Some(selection), &Wish::of(&by))
            .map_err(Error::from)
            .and_then(|by| self.check_spending(&by).map(|()| by));
        let by = match by {
            Ok(by) => by,
            Err(error) => {
                tracing::info!(session = %self.id, "no summary is written for a handover: {error}");
                return;
            }
        };
        let (id, purpose) = (MessageId::before(prompt), SummaryFor::Handover);
        let message = Arc::new(summary_wish(id, &self.id, selection, purpose));
        self.put_work(&message, Work::Compact(purpose), by, &Arc::default());
    }
}

/// The selection that writes a summary. Its mode is the session's where the backend has it; otherwise one that changes
/// nothing, if there is one.
///
/// # Errors
/// When the model is not available.
pub(crate) fn summariser(
    registry: &Snapshot,
    current: Option<&Selection>,
    wish: &Wish,
) -> Result<Selection, SelectError> {
    let in_mode = |agent: &str| {
        let wish = Wish {
            agent: Some(agent.to_owned()),
            ..wish.clone()
        };
        Ok(registry.resolve(None, &wish)?.selection)
    };
    match in_mode(current.map_or(BUILD, Selection::mode)) {
        Err(SelectError::UnknownAgent { .. }) => in_mode(PLAN).or_else(|_| in_mode(BUILD)),
        found => found,
    }
}
