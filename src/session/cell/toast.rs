//! Notifications: what OpenCode's UIs show at once, whatever they are at (`tui.toast.show`).
//!
//! They reach the UIs of the session's directory, which may show another session; so they are headed by this one's title.
//! There is one for each switch that is applied, not for each that is asked for: a script that patches in a loop fills no
//! screen. The first switch during each turn is shown at once.

use super::notice::{TakenBack, changes, model_name, setter};
use super::{Draft, Target};
use crate::opencode::Selection;
use crate::opencode::event::{EventPayload, Source, ToastVariant, TuiToastShow};
use crate::opencode::history::ModelSwitch;
use crate::opencode::session::MessageModel;
use crate::session::sizes::beginning;

/// How long one is shown that is only good to know, in milliseconds.
const INFO_MS: u64 = 5_000;
/// How long one is shown that has to be read, in milliseconds.
const WARNING_MS: u64 = 10_000;
/// At most this much of a title is shown, in bytes.
const TITLE_BYTES: usize = 80;
/// At most this much of a message is shown, in bytes.
const MESSAGE_BYTES: usize = 500;

impl Draft {
    /// Shows a notification in the UIs of the session's directory.
    pub(crate) fn toast(&mut self, variant: ToastVariant, message: &str) {
        let duration = match variant {
            ToastVariant::Info | ToastVariant::Success => INFO_MS,
            ToastVariant::Warning | ToastVariant::Error => WARNING_MS,
        };
        let title = beginning(&self.state().title, TITLE_BYTES).to_owned();
        self.event(EventPayload::TuiToastShow(TuiToastShow {
            title: (!title.is_empty()).then_some(title),
            message: beginning(message, MESSAGE_BYTES).to_owned(),
            variant,
            duration: Some(duration),
        }));
    }

    /// A model as people know it.
    pub(crate) fn name_of(&self, selection: &Selection) -> String {
        model_name(selection, &self.registry)
    }

    /// What a selection needs before it can answer takes long. A prompt that passes over the switch goes on with the same
    /// start, which is shown once.
    pub(crate) fn toast_slow(&mut self, target: &Target) {
        if self.runtime.slow == Some(target.revision) {
            return;
        }
        self.runtime.slow = Some(target.revision);
        let name = self.name_of(&target.selection);
        let message = format!(
            "{name} is being started, which takes longer than a second. Prompts wait for it."
        );
        self.toast(ToastVariant::Info, &message);
    }

    /// A PATCH has changed the selection, and the agent has confirmed it. `before` was applied before.
    pub(super) fn toast_switched(
        &mut self,
        target: &Target,
        entry: Option<&ModelSwitch>,
        before: Option<&Selection>,
    ) {
        let Some(entry) = entry.filter(|entry| entry.source == Source::Patch) else {
            return;
        };
        let selection = &target.selection;
        let told = self.runtime.toasted.take();
        if told.as_ref() == Some(selection) || before == Some(selection) {
            return;
        }
        let message = self.change_in_words(before.or(entry.previous.as_ref()), selection);
        self.toast(ToastVariant::Info, &message);
    }

    /// A PATCH has changed the selection while a turn is in flight, which keeps its model.
    pub(super) fn toast_next_turn(&mut self, previous: Option<&Selection>, current: &Selection) {
        let turn = self.runtime.turn().map(|turn| turn.queued.turn);
        if turn.is_none() || self.runtime.toasted_turn == turn {
            return;
        }
        self.runtime.toasted_turn = turn;
        self.runtime.toasted = Some(current.clone());
        let change = self.change_in_words(previous, current);
        self.toast(
            ToastVariant::Info,
            &format!("{change}, from the next prompt on"),
        );
    }

    fn change_in_words(&self, previous: Option<&Selection>, current: &Selection) -> String {
        let change = previous.map(|previous| changes(previous, current, &self.registry));
        let change = change.filter(|change| !change.is_empty());
        change.unwrap_or_else(|| format!("Model: {}", self.name_of(current)))
    }

    /// A prompt takes back what somebody else has selected.
    pub(super) fn toast_taken_back(&mut self, taken: &TakenBack<'_>) {
        let change = changes(taken.before, taken.now, &self.registry);
        let message = format!(
            "{change}, as the message names it. It takes back what {} has selected.",
            setter(taken.overrides)
        );
        self.toast(ToastVariant::Warning, &message);
    }

    /// A prompt names another model than the pinned one.
    pub(super) fn toast_pinned(&mut self, named: &MessageModel, pinned: &Selection) {
        let named = self.name_of(&Selection {
            provider_id: named.provider_id.clone(),
            model_id: named.model_id.clone(),
            variant: None,
            agent: pinned.agent.clone(),
            mode: None,
        });
        let message = format!(
            "This session is pinned to {}, which answers; the message names {named}. PATCH it with pin: false to let messages \
             select.",
            self.name_of(pinned)
        );
        self.toast(ToastVariant::Warning, &message);
    }
}
