//! The locked operation: the only writer of a selection.
//!
//! [`plan`] is pure: from a state, a request and a snapshot of the registry it makes the next state,
//! or nothing for a no-op, or an error. [`Sessions::install`] installs it in state and runtime together
//! and queues it for the store, under the session's lock; it is seen and acknowledged once it is committed.

use futures_util::future::BoxFuture;

use super::state::{Locked, Session, SessionState, Target, open_switch, put, put_switch};
use super::{Caller, Error, Sessions, Update};
use crate::opencode::event::{
    AgentSwitched, Effective, EventPayload, ModelChanged, ModelSwitched, SessionEvent,
};
use crate::opencode::history::ModelSwitch;
use crate::opencode::{MessageId, Selection};
use crate::registry::Snapshot;
use crate::store::{Change, StoreError};

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
    let beside_title = switch.is_some()
        || next.metadata != state.metadata
        || next.permission != state.permission
        || next.time != state.time;
    if beside_title {
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
    /// Writes planned changes together with `beside`, and installs them in state and runtime. The caller
    /// holds the lock, and publishes the events that come back before it lets go of it.
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
        let (committed, events) = self.install(session, locked, planned, caller, beside);
        match committed.await {
            Ok(()) => Ok(events),
            Err(error) => {
                self.reload(session, locked).await;
                Err(error.into())
            }
        }
    }

    /// The same without waiting for the commit, so that the lock is free while the store is at work and
    /// many changes share a transaction. The changes are queued for the store in the order of the lock.
    /// Nobody is to see them before they are committed.
    pub(super) fn install(
        &self,
        session: &Session,
        locked: &mut Locked,
        planned: Planned,
        caller: &Caller,
        beside: Vec<Change>,
    ) -> (
        BoxFuture<'static, Result<(), StoreError>>,
        Vec<EventPayload>,
    ) {
        let Planned { next, switch } = planned;
        let revision = next.revision;
        let time = crate::opencode::now_ms();
        let entry = switch.as_ref().map(|s| {
            open_switch(
                revision,
                time,
                s.previous.clone(),
                s.current.clone(),
                caller,
            )
        });
        let mut batch = vec![put(&next, Some(locked.state.revision))];
        batch.extend(entry.iter().map(|entry| put_switch(&session.id, entry)));
        batch.extend(beside);
        let committed = self.store.commit(batch);

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
            return (committed, vec![info]);
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
        (committed, events)
    }

    /// Goes back to what the store has, after a commit that failed. Changes that were installed on top
    /// of the failed one fail, too: the store compares revisions. The caller holds the lock.
    pub(super) async fn reload(&self, session: &Session, locked: &mut Locked) {
        let row = self.store.session(&session.id).await;
        let state =
            row.map(|row| row.and_then(|row| serde_json::from_str::<SessionState>(&row.body).ok()));
        let Ok(Some(state)) = state else {
            tracing::error!(session = %session.id, "the state in the store cannot be read; memory may be ahead of it");
            return;
        };
        let selection = state.selection.clone();
        locked.runtime.desired = selection.map(|selection| Target {
            selection,
            revision: state.selection_revision,
        });
        // The agent may have been brought after what was taken back.
        let reconciled = state.selection_revision.saturating_sub(1);
        locked.runtime.settled_revision = locked.runtime.settled_revision.min(reconciled);
        locked.runtime.reloads += 1;
        locked.state = state;
        session.wake.notify_one();
    }

    /// Keeps the entry until its outcome is known. A switch that was passed over has none.
    fn remember_switch(&self, locked: &mut Locked, entry: Option<ModelSwitch>) {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::request::Update;
    use super::*;
    use crate::opencode::SessionId;
    use crate::opencode::session::{SessionSummary, SessionTime, Tokens};
    use crate::registry::fixture::snapshot;
    use crate::registry::{ModelWish, VariantWish, Wish};

    fn fresh() -> SessionState {
        SessionState {
            id: SessionId::new(),
            slug: "a-b".into(),
            directory: "/project".into(),
            project_id: "global".into(),
            path: "project".into(),
            parent_id: None,
            title: "t".into(),
            title_is_default: true,
            selection: None,
            selection_revision: 0,
            last_applied: None,
            told: None,
            metadata: None,
            permission: Vec::new(),
            time: SessionTime {
                created: 1,
                updated: 1,
                compacting: None,
                archived: None,
            },
            cost: 0.0,
            tokens: Tokens::default(),
            usage: Vec::new(),
            summary: SessionSummary::default(),
            revert: None,
            past: Default::default(),
            todos: Vec::new(),
            always: Vec::new(),
            version: "0".into(),
            revision: 1,
        }
    }

    fn any_wish() -> impl Strategy<Value = Wish> {
        let provider = prop::sample::select(vec!["claude", "codex", "fast", "broken", "nope"]);
        let model = prop::sample::select(vec!["opus", "shared", "gpt/mini", "small", "x", "nope"]);
        let model = (provider, model).prop_map(|(p, m)| ModelWish {
            provider_id: p.into(),
            model_id: m.into(),
        });
        let variant = prop_oneof![
            3 => Just(VariantWish::Keep),
            1 => Just(VariantWish::Default),
            2 => prop::sample::select(vec!["low", "high", "max", "nope"]).prop_map(VariantWish::named),
        ];
        let agent = prop::option::of(prop::sample::select(vec![
            "build",
            "plan",
            "codex",
            "acceptEdits",
            "nope",
        ]));
        (prop::option::of(model), variant, agent).prop_map(|(model, variant, agent)| Wish {
            model,
            variant,
            agent: agent.map(Into::into),
        })
    }

    fn any_update() -> impl Strategy<Value = Update> {
        let title = prop::option::of(prop::sample::select(vec!["t", "u", ""]));
        let if_match = prop::option::weighted(0.2, 0..20u64);
        (any_wish(), title, if_match).prop_map(|(wish, title, if_match)| Update {
            wish,
            title: title.map(Into::into),
            if_match,
            ..Update::default()
        })
    }

    proptest! {
        /// Whatever is asked in whatever order: a refusal and a no-op change nothing, a change makes
        /// exactly one revision, and what is selected can be had.
        #[test]
        fn sequences_of_updates_keep_the_invariants(updates in prop::collection::vec(any_update(), 1..40)) {
            let registry = snapshot();
            let mut state = fresh();
            for (at, update) in updates.into_iter().enumerate() {
                let before = state.clone();
                match plan(&state, &update, &registry, 100 + at as u64) {
                    Err(Error::RevisionConflict { revision, .. }) => {
                        prop_assert_ne!(update.if_match, Some(before.revision));
                        prop_assert_eq!(revision, before.revision);
                    }
                    Err(_) => prop_assert!(registry.resolve(before.selection.as_ref(), &update.wish).is_err()),
                    Ok(None) => {
                        prop_assert!(update.title.is_none_or(|t| t == before.title));
                    }
                    Ok(Some(planned)) => {
                        prop_assert_ne!(planned.next(), &before);
                        prop_assert_eq!(planned.next().revision, before.revision + 1);
                        let switched = planned.next().selection != before.selection;
                        prop_assert_eq!(planned.switch.is_some(), switched);
                        prop_assert_eq!(planned.next().selection_revision == planned.next().revision, switched);
                        state = planned.next;
                        prop_assert!(plan(&state, &Update { if_match: None, ..update }, &registry, 0).is_ok_and(|again| again.is_none()),
                            "the same update again is a no-op");
                    }
                }
                if let Some(selection) = &state.selection {
                    let info = registry.catalogue(&selection.provider_id).and_then(|c| c.model(&selection.model_id));
                    prop_assert!(info.is_some());
                    let variants = info.and_then(|i| i.variants.clone()).unwrap_or_default();
                    prop_assert!(selection.variant.as_ref().is_none_or(|v| variants.contains(v)));
                }
            }
        }
    }

    #[test]
    fn a_new_title_alone_does_not_touch_the_time() {
        let state = fresh();
        let update = Update {
            title: Some("new".into()),
            ..Update::default()
        };
        let planned = plan(&state, &update, &snapshot(), 99)
            .expect("valid")
            .expect("a change");
        assert_eq!(
            (planned.next.time.updated, planned.next.title_is_default),
            (1, false)
        );
        let update = Update {
            archived: Some(5),
            ..Update::default()
        };
        let planned = plan(&state, &update, &snapshot(), 99)
            .expect("valid")
            .expect("a change");
        assert_eq!(
            (planned.next.time.updated, planned.next.time.archived),
            (99, Some(5))
        );
    }
}
