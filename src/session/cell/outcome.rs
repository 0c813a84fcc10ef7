//! The outcome of a switch: announced once, written to the audit trail, taken back when it failed.

use std::sync::Arc;
use std::time::Duration;

use super::runtime::Failed;
use super::{Draft, Target, notice};
use crate::metrics;
use crate::opencode::event::{
    EventPayload, ModelApplied, ModelFailed, ModelMismatch, Source, ToastVariant, Transfer,
    TransferKind,
};
use crate::opencode::history::ModelSwitch;
use crate::opencode::message::{AssistantMessage, MessageError};
use crate::opencode::session::MessageModel;
use crate::opencode::{Selection, SessionId};
use crate::registry::Wish;
use crate::session::Error;
use crate::session::request::{Caller, Update};
use crate::session::sizes::beginning;

/// At most this much of the reason of a failed switch is shown, in bytes.
const REASON_BYTES: usize = 300;

/// A selection that the agent has confirmed.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    /// What was confirmed.
    pub target: Target,
    /// How the conversation gets there.
    pub transfer: Transfer,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The entry of the audit trail that is still open.
    pub entry: Option<ModelSwitch>,
}

/// What the log says of a switch, whatever has come of it.
struct Logged {
    session: SessionId,
    revision: u64,
    from: String,
    to: String,
    by: String,
}

impl Logged {
    fn of(draft: &Draft, target: &Target, entry: Option<&ModelSwitch>) -> Self {
        let last_applied = draft.state().kept.last_applied.as_ref();
        let previous = match entry {
            Some(entry) => entry.previous.as_ref(),
            None => last_applied.filter(|last| **last != target.selection),
        };
        let by = entry.map(|entry| match &entry.client {
            Some(client) => format!("{} of {client:?}", entry.source.as_str()),
            None => entry.source.as_str().to_owned(),
        });
        Self {
            session: draft.id.clone(),
            revision: target.revision,
            from: previous.map_or_else(|| "none".to_owned(), in_full),
            to: in_full(&target.selection),
            by: by.unwrap_or_else(|| "unknown".to_owned()),
        }
    }

    fn applied(self, transfer: Transfer, ms: u64) -> impl FnOnce() + Send + 'static {
        move || {
            let Self {
                session,
                revision,
                from,
                to,
                by,
            } = self;
            let (how, messages, bytes) =
                (transfer.kind.as_str(), transfer.messages, transfer.bytes);
            let left_out = transfer.elided;
            tracing::info!(%session, revision, from, to, by, how, messages, bytes, left_out, ms, "the model was switched");
        }
    }

    fn failed(self, error: &MessageError, ms: u64) -> impl FnOnce() + Send + 'static {
        let why = error.message().to_owned();
        move || {
            let Self {
                session,
                revision,
                from,
                to,
                by,
            } = self;
            tracing::warn!(%session, revision, from, to, by, ms, "the model could not be switched: {why}");
        }
    }
}

/// `provider/model:variant agent`.
fn in_full(selection: &Selection) -> String {
    let variant = selection.variant.as_ref();
    let variant = variant.map_or_else(String::new, |variant| format!(":{variant}"));
    format!("{}{variant} {}", selection.label(), selection.agent)
}

impl Draft {
    /// Notes that the agent has confirmed a selection, and announces it once per change.
    ///
    /// # Errors
    /// When the session was deleted.
    pub(crate) fn applied(&mut self, applied: &Applied) -> Result<(), Error> {
        self.unless_deleted()?;
        let Applied {
            target,
            transfer,
            duration_ms,
            entry,
        } = applied;
        self.end_switching();
        self.runtime.applied = Some(target.selection.clone());
        self.runtime.store_fails = false;
        self.runtime.slow = None;
        let before = self.state().kept.last_applied.clone();
        if before.as_ref() != Some(&target.selection) {
            self.state_mut().kept.last_applied = Some(target.selection.clone());
        }
        self.close_entry(target.revision, entry.as_ref(), |entry| {
            entry.transfer = Some(*transfer);
            entry.duration_ms = Some(*duration_ms);
        });
        if self.runtime.settle(target.revision, None) {
            let (kind, took) = (transfer.kind.as_str(), Duration::from_millis(*duration_ms));
            self.then(move || metrics::switch_applied(kind, took));
            self.then(Logged::of(self, target, entry.as_ref()).applied(*transfer, *duration_ms));
            self.event(EventPayload::ModelApplied(ModelApplied {
                session_id: self.id.clone(),
                revision: target.revision,
                current: target.selection.clone(),
                transfer: *transfer,
                duration_ms: *duration_ms,
                time: self.now,
            }));
            self.toast_switched(target, entry.as_ref(), before.as_ref());
            if entry.as_ref().is_some_and(|e| e.source != Source::Revert) {
                notice::remark_failed(self, None);
            }
        }
        self.tell_handover(target, transfer);
        notice::tell(self);
        Ok(())
    }

    /// Announces a handover that is not of the whole conversation; once for what is announced at a switch and then goes
    /// with a prompt.
    fn tell_handover(&mut self, target: &Target, transfer: &Transfer) {
        let name = self.name_of(&target.selection);
        let text = match (transfer.kind, transfer.elided) {
            (TransferKind::Summary, _) if transfer.bytes > 0 => {
                format!("{name} is given a summary of what it has not seen of this conversation.")
            }
            (_, 0) => return,
            (TransferKind::None, _) => {
                format!("{name} is given nothing of what was said before, as was asked for.")
            }
            (_, elided) => format!(
                "{name} is not given all of this conversation: {elided} of its messages, tool outputs and files were \
                 left out or shortened for size."
            ),
        };
        if self.runtime.elided.as_ref() != Some(transfer) {
            self.runtime.elided = Some(*transfer);
            notice::remark_elided(self, &text);
        }
    }

    /// Tells that a selection could not be applied, and goes back to the last one that could.
    ///
    /// # Errors
    /// When the session was deleted.
    pub(crate) fn failed(
        &mut self,
        target: &Target,
        error: &MessageError,
        duration_ms: u64,
        entry: Option<&ModelSwitch>,
    ) -> Result<(), Error> {
        let is_news = self.note_failed(target, error, duration_ms, entry)?;
        self.go_back(target);
        if is_news {
            let text = self.failure_in_words(target, error);
            self.toast(ToastVariant::Error, &text);
            notice::remark_failed(self, Some(text));
        }
        notice::tell(self);
        Ok(())
    }

    /// Tells that a selection could not be applied; true when that is news.
    ///
    /// # Errors
    /// When the session was deleted.
    pub(super) fn note_failed(
        &mut self,
        target: &Target,
        error: &MessageError,
        duration_ms: u64,
        entry: Option<&ModelSwitch>,
    ) -> Result<bool, Error> {
        self.unless_deleted()?;
        self.end_switching();
        self.runtime.failed = Some(Arc::new(Failed {
            target: target.clone(),
            error: error.clone(),
            last_seq: self.runtime.last_seq,
        }));
        self.close_entry(target.revision, entry, |entry| {
            entry.duration_ms = Some(duration_ms);
            entry.failure = Some(error.clone());
        });
        let is_news = self.runtime.settle(target.revision, Some(error.clone()));
        if is_news {
            let took = Duration::from_millis(duration_ms);
            self.then(move || metrics::switch_failed(took));
            self.then(Logged::of(self, target, entry).failed(error, duration_ms));
            self.event(EventPayload::ModelFailed(ModelFailed {
                session_id: self.id.clone(),
                revision: target.revision,
                current: target.selection.clone(),
                error: error.clone(),
                duration_ms,
                time: self.now,
            }));
        }
        Ok(is_news)
    }

    /// What a user is told of a switch that has failed, once the session has gone back.
    fn failure_in_words(&self, target: &Target, error: &MessageError) -> String {
        let failed = self.name_of(&target.selection);
        let reason = beginning(error.message().trim(), REASON_BYTES).trim_end_matches('.');
        let next = match &self.state().selection {
            Some(selection) if *selection != target.selection => {
                let still = match self.state().kept.last_applied.as_ref() == Some(selection) {
                    true => "Still on",
                    false => "Going on with",
                };
                let name = self.name_of(selection);
                format!("{still} {name}; your prompt was not sent to another model.")
            }
            _ => "It stays selected: the next prompt tries it again. Your prompt was not sent to another model."
                .to_owned(),
        };
        format!("Switch to {failed} failed: {reason}. {next}")
    }

    /// Tells that another model has answered than the one that was selected.
    pub(crate) fn tell_other_model(&mut self, wished: &Selection, answer: &AssistantMessage) {
        tracing::warn!(
            session = %self.id, wished = wished.label(), answered = answer.model_id,
            "another model has answered than the one that was selected"
        );
        self.event(EventPayload::ModelMismatch(ModelMismatch {
            session_id: self.id.clone(),
            message_id: answer.id.clone(),
            wished: wished.clone(),
            answered: MessageModel {
                provider_id: answer.provider_id.clone(),
                model_id: answer.model_id.clone(),
                variant: None,
            },
            time: self.now,
        }));
        let message = format!(
            "{} was selected, but {} has answered, as the agent tells.",
            self.name_of(wished),
            answer.model_id
        );
        self.toast(ToastVariant::Warning, &message);
    }

    /// The selection is not applied now. With `left`, it waits for the next prompt to try again: there was
    /// no room for another agent, and no one has asked for a switch.
    pub(crate) fn stop_switching(&mut self, left: Option<&Target>) {
        self.end_switching();
        if let Some(target) = left {
            let settled = &mut self.runtime.settled_revision;
            *settled = (*settled).max(target.revision);
        }
    }

    fn close_entry(
        &mut self,
        revision: u64,
        entry: Option<&ModelSwitch>,
        close: impl FnOnce(&mut ModelSwitch),
    ) {
        if revision <= self.runtime.closed_revision {
            return;
        }
        self.runtime.closed_revision = revision;
        let is_open = |entry: &&ModelSwitch| entry.duration_ms.is_none();
        if let Some(entry) = entry.filter(is_open) {
            let mut entry = entry.clone();
            close(&mut entry);
            self.put_switch(entry);
        }
    }

    fn go_back(&mut self, failed: &Target) {
        let last = self.state().kept.last_applied.clone();
        let back = last.filter(|last| *last != failed.selection);
        let unchanged = self.state().target().as_ref() == Some(failed);
        let Some(back) = back.filter(|_| unchanged) else {
            return;
        };
        let wish = Wish {
            agent: Some(back.agent.clone()),
            ..Wish::of(&back.message_model())
        };
        self.select_for(wish, Source::Revert);
    }

    /// Runs the locked operation for Baton or the agent itself; true when the selection has changed.
    pub(crate) fn select_for(&mut self, wish: Wish, source: Source) -> bool {
        let update = Update {
            wish,
            // What was pinned was not available.
            pin: (source == Source::Revert).then_some(false),
            ..Update::default()
        };
        let selected = self.select(&update, &Caller::nobody(source), |_| {});
        match selected {
            Ok(selected) => selected.told.is_some(),
            Err(error) => {
                tracing::warn!(session = %self.id, "the selection stays as it is: {error}");
                false
            }
        }
    }
}
