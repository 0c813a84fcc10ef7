//! The chain of a session: a turn whose model cannot answer for now goes on with the next one, and the session goes back
//! when its first choice can answer again. Each is the locked operation, and each says why.

use std::sync::Arc;

use super::runtime::{Phase, Queued, Work};
use super::{Committed, Draft, Target, notice};
use crate::opencode::Selection;
use crate::opencode::event::{FallbackCause, FallbackReason, Source, ToastVariant};
use crate::opencode::handoff::HandoffMode;
use crate::opencode::history::ModelSwitch;
use crate::opencode::message::MessageError;
use crate::opencode::session::MessageModel;
use crate::registry::{SelectError, Snapshot, Wish};
use crate::session::Error;
use crate::session::fallback::{CHAIN_MOST, Fallbacks};
use crate::session::request::{Caller, Update};
use crate::session::sizes::beginning;

/// Of the reason so much is told in a line, in bytes.
const REASON_BYTES: usize = 300;

fn is_of(model: &MessageModel, selection: &Selection) -> bool {
    model.provider_id == selection.provider_id && model.model_id == selection.model_id
}

/// The models of a chain that a turn has not tried and that are not left out, in the order in which they are tried: those
/// behind the one that has failed come first.
fn candidates(chain: &[MessageModel], queued: &Queued, fallbacks: &Fallbacks) -> Vec<MessageModel> {
    let failed = &queued.target.selection;
    let behind = chain.iter().position(|model| is_of(model, failed));
    let (before, behind) = chain.split_at(behind.map_or(0, |at| at + 1));
    let all = behind.iter().chain(before);
    let can_try = |model: &&MessageModel| {
        !is_of(model, failed)
            && !queued.tried.iter().any(|tried| is_of(model, tried))
            && fallbacks
                .left_out(&model.provider_id, &model.model_id)
                .is_none()
    };
    all.filter(can_try).cloned().collect()
}

impl Committed {
    /// Whether a prompt whose model cannot answer may go on with another one.
    pub(crate) fn has_another(&self, queued: &Queued, fallbacks: &Fallbacks) -> bool {
        let chain = self.state.fallback.as_ref();
        let chain = chain.unwrap_or(&fallbacks.settings.chain);
        queued.work == Work::Prompt && !candidates(chain, queued, fallbacks).is_empty()
    }
}

impl Draft {
    pub(super) fn chain(&self) -> &[MessageModel] {
        let own = self.state().fallback.as_deref();
        own.unwrap_or(&self.fallbacks.settings.chain)
    }

    /// Hands the prompt of the turn in flight on to the next model of the chain that can be had; false when there is
    /// none, and then nothing has changed. With `continues`, its answer has begun and goes on from there. The turn itself
    /// has to be ended in the same commit.
    pub(crate) fn hand_on(&mut self, reason: &FallbackReason, continues: bool) -> bool {
        let Some(queued) = self.runtime.turn().map(|turn| Arc::clone(&turn.queued)) else {
            return false;
        };
        if queued.work != Work::Prompt
            || queued.abort.is_cancelled()
            || self.unless_ending().is_err()
        {
            return false;
        }
        let Some(target) = self.select_next(&queued, reason) else {
            return false;
        };
        let text = format!(
            "{} could not answer: {}. Going on with {}.",
            self.name_of(&queued.target.selection),
            in_words(reason),
            self.name_of(&target.selection)
        );
        if queued.handoff.mode == HandoffMode::None {
            let turn = self
                .state()
                .withheld_up_to(&queued.target.selection.provider_id);
            self.withhold(&target.selection.provider_id, turn);
        }
        let (session, why) = (self.id.clone(), text.clone());
        self.then(move || tracing::warn!(%session, "a prompt goes on with another model: {why}"));
        self.toast(ToastVariant::Warning, &text);
        notice::remark_handed_on(self, &text);
        let mut rules = queued.rules.clone();
        if target.selection.agent != queued.target.selection.agent {
            rules.agent = self.state().turn_rules().agent;
        }
        let mut tried = queued.tried.clone();
        tried.push(queued.target.selection.clone());
        self.runtime.queue.push_front(Arc::new(Queued {
            overrides: None,
            pinned_over: None,
            target,
            rules,
            tried,
            continues: continues || queued.continues,
            ..queued.anew()
        }));
        true
    }

    /// The same before the turn has begun an answer: the turn is over with it.
    pub(crate) fn pass_on(&mut self, reason: &FallbackReason) -> bool {
        let is_passed_on = self.hand_on(reason, false);
        if is_passed_on {
            self.cancel_asks();
            self.runtime.phase = Phase::Idle;
        }
        is_passed_on
    }

    /// The same for a selection that could not be applied, which is told, too.
    pub(crate) fn fail_over(
        &mut self,
        target: &Target,
        error: &MessageError,
        duration_ms: u64,
        entry: Option<&ModelSwitch>,
        reason: &FallbackReason,
    ) -> bool {
        let both = self.attempt(|draft| {
            draft.note_failed(target, error, duration_ms, entry)?;
            match draft.pass_on(reason) {
                true => Ok(()),
                false => Err(Error::MovedOn),
            }
        });
        both.is_ok()
    }

    /// Selects the next of the chain. Whoever has selected another model during the turn has chosen already.
    fn select_next(&mut self, queued: &Queued, reason: &FallbackReason) -> Option<Target> {
        let chosen = self.state().target()?;
        let is_newer = chosen.revision != queued.target.revision;
        let model = chosen.selection.message_model();
        // At a spending limit only what costs nothing goes on.
        let can_pay = |model: &MessageModel| {
            reason.cause != FallbackCause::SpendingLimit || self.is_free(model)
        };
        let may_try = can_pay(&model) && !candidates(&[model], queued, &self.fallbacks).is_empty();
        if is_newer && may_try && !self.chain().is_empty() {
            return Some(chosen);
        }
        let first = self.state().kept.first_choice.clone();
        let first = first.unwrap_or(chosen.selection);
        let candidates = candidates(self.chain(), queued, &self.fallbacks);
        let candidates: Vec<_> = candidates.into_iter().filter(can_pay).collect();
        candidates
            .iter()
            .find_map(|model| self.select_by_itself(model, reason, Some(&first)))
    }

    pub(super) fn select_by_itself(
        &mut self,
        model: &MessageModel,
        reason: &FallbackReason,
        first_choice: Option<&Selection>,
    ) -> Option<Target> {
        let update = Update {
            wish: Wish::of(model),
            ..Update::default()
        };
        let mut caller = Caller::nobody(Source::Fallback);
        caller.reason = Some(reason.clone());
        let first_choice = first_choice.cloned();
        let selected = self.select(&update, &caller, |next| {
            next.kept.first_choice = first_choice
        });
        match selected {
            Ok(selected) if selected.told.is_some() => self.state().target(),
            Ok(_) => None,
            Err(error) => {
                tracing::info!(session = %self.id, "a model of the chain cannot be had: {error}");
                None
            }
        }
    }

    /// Goes back to the model that the session was on before its chain was needed, if it is time.
    pub(crate) fn return_to_first_choice(&mut self) {
        let Some(first) = self.state().kept.first_choice.clone() else {
            return;
        };
        let (provider, model) = (&first.provider_id, &first.model_id);
        if !self.fallbacks.may_return(provider, model) || self.check_spending(&first).is_err() {
            return;
        }
        let reason = FallbackReason {
            cause: FallbackCause::Recovered,
            message: format!("{} may answer again", self.name_of(&first)),
            until: None,
        };
        let fallbacks = Arc::clone(&self.fallbacks);
        let returned = self.select_by_itself(&first.message_model(), &reason, None);
        if returned.is_some() {
            self.then(move || fallbacks.take_in(&first.provider_id, &first.model_id));
        }
    }
}

/// Refuses a chain that names what is not known. What cannot run now may later.
///
/// # Errors
/// [`Error::Invalid`] with the place in the chain.
pub(super) fn check_chain(chain: &[MessageModel], registry: &Snapshot) -> Result<(), Error> {
    if chain.len() > CHAIN_MOST {
        return Err(Error::Invalid {
            field: "[\"fallback\"]".to_owned(),
            message: format!(
                "A chain has at most {CHAIN_MOST} models, got {}",
                chain.len()
            ),
        });
    }
    for (at, model) in chain.iter().enumerate() {
        let message = match registry.resolve(None, &Wish::of(model)) {
            Ok(_) | Err(SelectError::NotConnected { .. }) => continue,
            Err(error) => error.to_string(),
        };
        let field = format!("[\"fallback\"][{at}]");
        return Err(Error::Invalid { field, message });
    }
    Ok(())
}

/// Why, in a part of a sentence.
fn in_words(reason: &FallbackReason) -> String {
    let said = beginning(reason.message.trim(), REASON_BYTES).trim_end_matches('.');
    match said {
        "" => reason.cause.in_words().to_owned(),
        _ => format!("{} ({said})", reason.cause.in_words()),
    }
}
