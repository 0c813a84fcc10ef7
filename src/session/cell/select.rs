//! `select`: the locked operation. The only thing that writes a selection.
//!
//! [`plan`] is pure: it validates an update against a state and makes the next one, or an error, or
//! nothing. [`Draft::select`] puts that into a draft.

use std::collections::HashSet;
use std::sync::Arc;

use super::Draft;
use super::fallback::check_chain;
use super::kept::can_keep;
use super::state::SessionState;
use crate::json;
use crate::metrics;
use crate::opencode::event::{
    AgentSwitched, Effective, EventPayload, ModelChanged, ModelSwitched, Source,
};
use crate::opencode::handoff::HandoffWish;
use crate::opencode::history::{GivenHandover, ModelSwitch, Overrides};
use crate::opencode::session::PermissionRule;
use crate::opencode::{MessageId, Selection, SessionId, ToldSession};
use crate::registry::Snapshot;
use crate::session::ask::fence;
use crate::session::request::{Caller, ChainWish, Update};
use crate::session::{Error, Sizes};
use crate::store::Change;

/// Changes that were validated and are worth a new revision.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    next: SessionState,
    switch: Option<Switch>,
}

/// A changed selection.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Switch {
    previous: Option<Selection>,
    current: Selection,
    variant_reset: bool,
}

impl Planned {
    /// The state after the change.
    pub(crate) fn into_next(self) -> SessionState {
        self.next
    }
}

/// Validates an update against a state. `None` when everything is as wished already.
///
/// # Errors
/// A stale `If-Match`, or a selection that is not available.
pub(crate) fn plan(
    state: &SessionState,
    update: &Update,
    registry: &Snapshot,
    now_ms: u64,
) -> Result<Option<Planned>, Error> {
    if update
        .if_match
        .is_some_and(|revision| revision != state.revision)
    {
        return Err(Error::RevisionConflict {
            revision: state.revision,
            selection: state.selection.clone().map(Box::new),
        });
    }
    let mut next = state.clone();
    let switch = plan_selection(&mut next, update, registry)?;
    if let Some(title) = &update.title
        && *title != next.title
    {
        title.clone_into(&mut next.title);
        next.kept.title_is_default = false;
    }
    if update.metadata.is_some() {
        next.metadata.clone_from(&update.metadata);
    }
    if !update.tools.is_empty() {
        next.permission.clone_from(&update.tools);
    }
    next.permission.extend(update.permission.iter().cloned());
    if update.archived.is_some() {
        next.time.archived = update.archived;
    }
    match &update.fallback {
        ChainWish::Keep => {}
        ChainWish::Default => next.fallback = None,
        ChainWish::Set(chain) => {
            check_chain(chain, registry)?;
            next.fallback = Some(chain.clone());
        }
    }
    if let Some(limit) = update.limit {
        next.limit = limit;
    }
    if switch.is_some() || update.handoff.is_some() {
        next.kept.handoff.clone_from(&update.handoff);
    }
    if let Some(pin) = update.pin {
        if pin && next.selection.is_none() {
            return Err(nothing_to_pin());
        }
        next.pinned = pin;
    }
    if next == *state {
        return Ok(None);
    }
    let is_other = switch.is_some() || next.rules() != state.rules();
    if let Some(selection) = next.selection.as_ref().filter(|_| is_other) {
        let fence = fence(&next.rules());
        can_keep(registry, &selection.provider_id, &fence).map_err(|message| {
            let field = blamed(update).to_owned();
            Error::Invalid { field, message }
        })?;
    }
    let beside_title = switch.is_some()
        || next.metadata != state.metadata
        || next.permission != state.permission
        || next.pinned != state.pinned
        || next.fallback != state.fallback
        || next.limit != state.limit
        || next.time != state.time;
    if beside_title {
        // Like OpenCode: a new title alone does not move a session to the top of the list.
        next.time.updated = now_ms.max(next.time.updated);
    }
    next.revision += 1;
    if switch.is_some() {
        next.kept.selection_revision = next.revision;
    }
    Ok(Some(Planned { next, switch }))
}

fn nothing_to_pin() -> Error {
    Error::Invalid {
        field: "[\"pin\"]".to_owned(),
        message: "The session has selected nothing yet that could be pinned. Send providerID and modelID with it."
            .to_owned(),
    }
}

fn plan_selection(
    next: &mut SessionState,
    update: &Update,
    registry: &Snapshot,
) -> Result<Option<Switch>, Error> {
    if update.wish.is_empty() {
        return Ok(None);
    }
    let previous = next.selection.clone();
    let resolved = registry.resolve(previous.as_ref(), &update.wish)?;
    let (current, variant_reset) = (resolved.selection.clone(), resolved.variant_reset);
    let is_other = next.take(resolved);
    Ok(is_other.then_some(Switch {
        previous,
        current,
        variant_reset,
    }))
}

/// What came of an update.
#[derive(Debug, Default)]
pub(crate) struct Selected {
    /// The session at its new revision, if there is one, as the events tell it.
    pub told: Option<ToldSession>,
    /// What a message has taken back of somebody else's.
    pub overrides: Option<Overrides>,
}

impl Draft {
    /// Changes the selection, and what else is in the update, all or nothing. `beside` changes what makes
    /// no revision.
    ///
    /// # Errors
    /// A stale `If-Match`, or a selection that is not available.
    pub(crate) fn select(
        &mut self,
        update: &Update,
        caller: &Caller,
        beside: impl FnOnce(&mut SessionState),
    ) -> Result<Selected, Error> {
        let planned = plan(self.state(), update, &self.registry, self.now)?;
        let Some(Planned { mut next, switch }) = planned else {
            let mut next = self.state().clone();
            beside(&mut next);
            if next != *self.state() {
                self.set_state(next);
            }
            return Ok(Selected::default());
        };
        let is_now = !self.runtime.is_busy() || caller.source == Source::Fallback;
        let effective = match is_now {
            true => Effective::Immediate,
            false => Effective::NextTurn,
        };
        if !update.permission.is_empty() || !update.tools.is_empty() {
            bound_rules(&mut next.permission, &self.sizes)?;
        }
        let (mut overrides, pins) = (None, next.pinned != self.state().pinned);
        if let Some(Switch {
            previous, current, ..
        }) = &switch
        {
            let by = &mut next.kept.set_by;
            overrides = by.taken_back(previous.as_ref(), current, caller);
            by.note(previous.as_ref(), current, caller, self.now);
            let model =
                |selection: &Selection| (selection.provider_id.clone(), selection.model_id.clone());
            // Another agent or effort of what goes on is no other choice.
            if previous.as_ref().map(model) != Some(model(current)) {
                next.kept.first_choice = None;
            }
        }
        beside(&mut next);
        if switch.is_some() && self.would_be_passed_over() {
            self.then(metrics::switch_superseded);
        }
        self.set_state(next);
        let told = if let Some(switch) = switch {
            let handoff = update.handoff.as_ref().or(update.handoff_now.as_ref());
            self.note_switch(&switch, caller, effective, overrides.clone(), handoff)
        } else {
            if pins {
                self.put_pin(caller);
            }
            self.event_of_session()
        };
        Ok(Selected {
            told: Some(told),
            overrides,
        })
    }

    /// Writes into the audit trail that the selection was pinned or unpinned. Nothing about it is open.
    fn put_pin(&mut self, caller: &Caller) {
        let state = self.state();
        if let Some(selection) = state.selection.clone() {
            let before = Some(selection.clone());
            let mut entry = open_switch(state.revision, self.now, before, selection, caller);
            entry.duration_ms = Some(0);
            entry.pinned = state.pinned;
            self.put_switch(entry);
        }
    }

    /// Whether the current selection, once it is replaced, will never be applied: it is not yet, and no prompt carries it.
    fn would_be_passed_over(&self) -> bool {
        let revision = self.state().kept.selection_revision;
        let runtime = &self.runtime;
        let turn = runtime.turn().map(|turn| &turn.queued);
        let mut prompts = runtime.queue.iter().chain(turn);
        super::unsettled(self.state(), runtime) && prompts.all(|p| p.target.revision != revision)
    }

    fn note_switch(
        &mut self,
        switch: &Switch,
        caller: &Caller,
        effective: Effective,
        overrides: Option<Overrides>,
        handoff: Option<&HandoffWish>,
    ) -> ToldSession {
        let revision = self.state().revision;
        let (previous, current) = (switch.previous.clone(), switch.current.clone());
        let mut entry = open_switch(
            revision,
            self.now,
            previous.clone(),
            current.clone(),
            caller,
        );
        entry.overrides.clone_from(&overrides);
        entry.pinned = self.state().pinned;
        entry.handoff = handoff.cloned();
        self.put_switch(entry);
        self.event(EventPayload::ModelChanged(ModelChanged {
            session_id: self.id.clone(),
            revision,
            previous,
            current,
            source: caller.source,
            client: caller.client.clone(),
            effective,
            variant_reset: switch.variant_reset,
            pinned: self.state().pinned,
            overrides,
            reason: caller.reason.clone(),
            handoff: handoff.cloned(),
            time: self.now,
        }));
        let told = self.event_of_session();
        for event in opencode2_events(&self.id, switch, self.now) {
            self.event(event);
        }
        if caller.source == Source::Patch {
            self.toast_next_turn(switch.previous.as_ref(), &switch.current);
        }
        told
    }

    /// Writes an entry of the audit trail.
    pub(crate) fn put_switch(&mut self, entry: ModelSwitch) {
        self.write(Change::PutSwitch {
            session: self.id.clone(),
            revision: entry.revision,
            body: json::text(&entry),
        });
        self.runtime.last_entry = Some(Arc::new(entry));
    }

    /// Writes what an agent was given of the conversation in a turn, with the selection of a revision.
    pub(crate) fn put_handover(&mut self, turn: u64, revision: u64, given: &GivenHandover) {
        self.write(Change::PutHandover {
            session: self.id.clone(),
            turn,
            revision,
            body: json::text(given),
        });
    }

    /// Writes the first entry of the audit trail of a session that was made with a selection.
    pub(crate) fn put_first_switch(&mut self, caller: &Caller) {
        if let Some(selection) = self.state().selection.clone() {
            let revision = self.state().kept.selection_revision;
            let now = self.now;
            let set_by = &mut self.state_mut().kept.set_by;
            set_by.note(None, &selection, caller, now);
            self.put_switch(open_switch(revision, self.now, None, selection, caller));
        }
    }
}

/// The part of a request that leads to rules that cannot be kept.
fn blamed(update: &Update) -> &'static str {
    match () {
        () if !update.tools.is_empty() => "[\"tools\"]",
        () if !update.permission.is_empty() => "[\"permission\"]",
        () if update.wish.model.is_none() && update.wish.agent.is_some() => "[\"agent\"]",
        () => "[\"model\"]",
    }
}

/// Refuses more rules than a session may have. First it leaves out those that a later one of the same kind and
/// pattern has made void: a client may send the same rules again and again.
///
/// # Errors
/// [`Error::Invalid`].
pub(crate) fn bound_rules(rules: &mut Vec<PermissionRule>, sizes: &Sizes) -> Result<(), Error> {
    let bytes = |rules: &[PermissionRule]| -> usize {
        let rule = |r: &PermissionRule| r.permission.len() + r.pattern.len();
        rules.iter().map(rule).sum()
    };
    let fits = |rules: &[PermissionRule]| {
        rules.len() <= sizes.permission_rules && bytes(rules) <= sizes.permission_bytes
    };
    if fits(rules) {
        return Ok(());
    }
    let mut seen = HashSet::new();
    let mut kept: Vec<_> = std::mem::take(rules);
    kept.reverse();
    kept.retain(|rule| seen.insert((rule.permission.clone(), rule.pattern.clone())));
    kept.reverse();
    *rules = kept;
    match fits(rules) {
        true => Ok(()),
        false => Err(Error::Invalid {
            field: "[\"permission\"]".to_owned(),
            message: format!(
                "The session would have {} rules of {} bytes; at most {} rules (limits.permission_rules) of {} bytes \
                 together (limits.permission_bytes) are kept. Use wider patterns.",
                rules.len(),
                bytes(rules),
                sizes.permission_rules,
                sizes.permission_bytes
            ),
        }),
    }
}

/// A change of the selection by somebody, at a time; its outcome is open.
fn open_switch(
    revision: u64,
    time: u64,
    previous: Option<Selection>,
    current: Selection,
    caller: &Caller,
) -> ModelSwitch {
    ModelSwitch {
        revision,
        time,
        previous,
        current,
        source: caller.source,
        client: caller.client.clone(),
        program: caller.program.clone(),
        transfer: None,
        duration_ms: None,
        failure: None,
        overrides: None,
        pinned: false,
        reason: caller.reason.clone(),
        handoff: None,
    }
}

/// What clients see that know OpenCode 2 and not Baton.
fn opencode2_events(session: &SessionId, switch: &Switch, timestamp: u64) -> Vec<EventPayload> {
    let previous = switch.previous.as_ref();
    let mut events = Vec::new();
    if previous.map(Selection::model_ref) != Some(switch.current.model_ref()) {
        events.push(EventPayload::ModelSwitched(ModelSwitched {
            session_id: session.clone(),
            message_id: MessageId::new(),
            timestamp,
            model: switch.current.model_ref(),
        }));
    }
    if previous.map(|p| &p.agent) != Some(&switch.current.agent) {
        events.push(EventPayload::AgentSwitched(AgentSwitched {
            session_id: session.clone(),
            message_id: MessageId::new(),
            timestamp,
            agent: switch.current.agent.clone(),
        }));
    }
    events
}

#[cfg(test)]
mod tests;
