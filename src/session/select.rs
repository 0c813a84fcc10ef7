//! The locked operation: the only writer of a selection.
//!
//! [`plan`] is pure: from a state, a request and a snapshot of the registry it makes the next state,
//! or nothing for a no-op, or an error. [`Sessions::commit`] writes it, installs it in state and
//! runtime together, and publishes the events, all under the session's lock.

use super::state::{Locked, Session, SessionState, SwitchEntry, Target, put};
use super::{Caller, Error, Sessions, Update};
use crate::opencode::event::{
    AgentSwitched, Effective, EventPayload, ModelChanged, ModelSwitched, SessionEvent,
};
use crate::opencode::{MessageId, Selection};
use crate::registry::Snapshot;
use crate::store::Change;

/// Changes that were validated and are worth a new revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
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
    pub fn next(&self) -> &SessionState {
        &self.next
    }

    /// The state after the change, for what comes along with it and makes no revision by itself.
    pub fn next_mut(&mut self) -> &mut SessionState {
        &mut self.next
    }
}

/// Validates an update against a state. `None` when everything is as wished already.
///
/// # Errors
/// A stale `If-Match`, or a selection that cannot be had.
pub fn plan(
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
            selection: state.selection.clone(),
        });
    }
    let mut next = state.clone();
    let switch = plan_selection(&mut next, update, registry)?;
    if let Some(title) = &update.title
        && *title != next.title
    {
        title.clone_into(&mut next.title);
        next.title_is_default = false;
    }
    if update.metadata.is_some() {
        next.metadata.clone_from(&update.metadata);
    }
    next.permission.extend(update.permission.iter().cloned());
    if update.archived.is_some() {
        next.time.archived = update.archived;
    }
    if next == *state {
        return Ok(None);
    }
    let only_title = SessionState {
        title: state.title.clone(),
        title_is_default: state.title_is_default,
        ..next.clone()
    };
    if only_title != *state {
        // Like OpenCode: a new title alone does not move a session to the top of the list.
        next.time.updated = now_ms.max(next.time.updated);
    }
    next.revision += 1;
    if switch.is_some() {
        next.selection_revision = next.revision;
    }
    Ok(Some(Planned { next, switch }))
}

fn plan_selection(
    next: &mut SessionState,
    update: &Update,
    registry: &Snapshot,
) -> Result<Option<Switch>, Error> {
    if update.wish.is_empty() {
        return Ok(None);
    }
    let resolved = registry.resolve(next.selection.as_ref(), &update.wish)?;
    if next.selection.as_ref() == Some(&resolved.selection) {
        return Ok(None);
    }
    let previous = next.selection.replace(resolved.selection.clone());
    Ok(Some(Switch {
        previous,
        current: resolved.selection,
        variant_reset: resolved.variant_reset,
    }))
}

impl Sessions {
    /// Writes planned changes together with `beside`, then installs them in state and runtime. The
    /// caller holds the lock, and publishes the events that come back before it lets go of it.
    ///
    /// # Errors
    /// When the store fails; nothing has changed then.
    pub(super) async fn commit(
        &self,
        session: &Session,
        locked: &mut Locked,
        planned: Planned,
        caller: &Caller,
        beside: Vec<Change>,
    ) -> Result<Vec<EventPayload>, Error> {
        let Planned { next, switch } = planned;
        let revision = next.revision;
        let time = crate::opencode::now_ms();
        let entry = switch.as_ref().map(|s| {
            SwitchEntry::new(
                revision,
                time,
                s.previous.clone(),
                s.current.clone(),
                caller,
            )
        });
        let mut batch = vec![put(&next, Some(locked.state.revision))];
        batch.extend(entry.iter().map(|entry| entry.put(&session.id)));
        batch.extend(beside);
        self.store.commit(batch).await?;

        let effective = if locked.runtime.is_busy() {
            Effective::NextTurn
        } else {
            Effective::Immediate
        };
        locked.state = next;
        if let Some(switch) = &switch {
            locked.runtime.desired = Some(Target {
                selection: switch.current.clone(),
                revision,
            });
        }
        self.remember_switch(locked, entry);
        let info = EventPayload::SessionUpdated(SessionEvent {
            session_id: session.id.clone(),
            info: locked.info(),
        });
        let Some(switch) = switch else {
            return Ok(vec![info]);
        };
        let changed = EventPayload::ModelChanged(ModelChanged {
            session_id: session.id.clone(),
            revision,
            previous: switch.previous.clone(),
            current: switch.current.clone(),
            source: caller.source,
            client: caller.client.clone(),
            effective,
            variant_reset: switch.variant_reset,
            time,
        });
        let mut events = vec![changed, info];
        events.extend(opencode2_events(session, &switch, time));
        Ok(events)
    }

    /// Keeps the entry until its outcome is known. A switch that was passed over has none.
    fn remember_switch(&self, locked: &mut Locked, entry: Option<SwitchEntry>) {
        /// Switches of one session whose outcome may be open.
        const OPEN_SWITCHES: usize = 64;
        let Some(entry) = entry else { return };
        let open = &mut locked.runtime.open_switches;
        if open.len() == OPEN_SWITCHES {
            open.pop_front();
        }
        open.push_back(entry);
    }
}

/// What clients see that know OpenCode 2 and nothing of Baton.
fn opencode2_events(session: &Session, switch: &Switch, timestamp: u64) -> Vec<EventPayload> {
    let previous = switch.previous.as_ref();
    let mut events = Vec::new();
    if previous.map(Selection::model_ref) != Some(switch.current.model_ref()) {
        events.push(EventPayload::ModelSwitched(ModelSwitched {
            session_id: session.id.clone(),
            message_id: MessageId::new(),
            timestamp,
            model: switch.current.model_ref(),
        }));
    }
    if previous.map(|p| &p.agent) != Some(&switch.current.agent) {
        events.push(EventPayload::AgentSwitched(AgentSwitched {
            session_id: session.id.clone(),
            message_id: MessageId::new(),
            timestamp,
            agent: switch.current.agent.clone(),
        }));
    }
    events
}
