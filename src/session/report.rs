//! What comes of a switch: told once, written to the audit trail, taken back when it failed. And the
//! switches that an agent makes by itself.

use std::time::Instant;

use super::reconcile::mode_id;
use super::state::{Locked, Target, put_switch};
use super::worker::Worker;
use super::{Caller, Update, notice, select};
use crate::agent::options::{Kind, Options};
use crate::opencode::event::{
    EventPayload, ModelApplied, ModelFailed, Source, Transfer, TransferKind,
};
use crate::opencode::message::MessageError;
use crate::opencode::{Selection, now_ms};
use crate::registry::{Catalogue, ModelWish, VariantWish, Wish};
use crate::store::Change;

impl Worker {
    /// Notes that the agent has confirmed a selection, and tells it once per change.
    pub(super) async fn report_applied(
        &self,
        target: &Target,
        transfer: Transfer,
        started: Instant,
    ) {
        let mut locked = self.session.locked.lock().await;
        if locked.runtime.deleted {
            return;
        }
        locked.runtime.applied = Some(target.selection.clone());
        let news = locked.state.last_applied.as_ref() != Some(&target.selection);
        locked.state.last_applied = Some(target.selection.clone());
        let mut batch = Vec::new();
        if news {
            batch.push(locked.put_state());
        }
        if locked.runtime.settle(target.revision, None) {
            let duration_ms = elapsed_ms(started);
            batch.extend(self.close_switch(
                &mut locked,
                target.revision,
                Some(transfer),
                duration_ms,
                None,
            ));
            self.sessions.publish(
                &self.session,
                &[EventPayload::ModelApplied(ModelApplied {
                    session_id: self.session.id.clone(),
                    revision: target.revision,
                    current: target.selection.clone(),
                    transfer,
                    duration_ms,
                    time: now_ms(),
                })],
            );
        }
        match self.tell(&mut locked) {
            Some((changes, events)) => {
                batch.extend(changes);
                self.write(batch).await;
                self.sessions.publish(&self.session, &events);
            }
            None => self.write_later(batch),
        }
        self.session.settled.send_modify(|n| *n += 1);
    }

    /// Brings the transcript after the selection; see [`notice`].
    pub(super) fn tell(&self, locked: &mut Locked) -> Option<notice::Telling> {
        let registry = self.sessions.registry.snapshot();
        notice::tell(&self.session, locked, &registry)
    }

    /// Tells that a selection could not be applied, and goes back to the last one that could.
    pub(super) async fn report_failed(
        &self,
        target: &Target,
        error: MessageError,
        started: Instant,
    ) {
        let mut locked = self.session.locked.lock().await;
        if locked.runtime.deleted {
            return;
        }
        tracing::warn!(session = %self.session.id, model = target.selection.label(), "not applied: {}", error.message());
        locked.runtime.failed = Some((target.clone(), error.clone(), Instant::now()));
        if locked.runtime.settle(target.revision, Some(error.clone())) {
            let duration_ms = elapsed_ms(started);
            let closed = self.close_switch(
                &mut locked,
                target.revision,
                None,
                duration_ms,
                Some(error.clone()),
            );
            self.write_later(closed.into_iter().collect());
            let failed = ModelFailed {
                session_id: self.session.id.clone(),
                revision: target.revision,
                current: target.selection.clone(),
                error: error.clone(),
                duration_ms,
                time: now_ms(),
            };
            self.sessions
                .publish(&self.session, &[EventPayload::ModelFailed(failed)]);
        }
        self.revert(&mut locked, target).await;
        self.session.settled.send_modify(|n| *n += 1);
    }

    async fn revert(&self, locked: &mut Locked, failed: &Target) {
        let back = locked
            .state
            .last_applied
            .clone()
            .filter(|last| *last != failed.selection);
        let unchanged = locked.runtime.desired.as_ref() == Some(failed);
        let Some(back) = back.filter(|_| unchanged) else {
            return;
        };
        let wish = Wish {
            model: Some(ModelWish {
                provider_id: back.provider_id,
                model_id: back.model_id,
            }),
            variant: back.variant.map_or(VariantWish::Default, VariantWish::Set),
            agent: Some(back.agent),
        };
        let caller = Caller {
            source: Source::Revert,
            client: None,
        };
        self.select_for(locked, wish, &caller).await;
    }

    /// Runs the locked operation for Baton or the agent itself; true when the selection has changed.
    async fn select_for(&self, locked: &mut Locked, wish: Wish, caller: &Caller) -> bool {
        let update = Update {
            wish,
            ..Update::default()
        };
        let planned = select::plan(
            &locked.state,
            &update,
            &self.sessions.registry.snapshot(),
            now_ms(),
        );
        let committed = match planned {
            Ok(Some(planned)) => {
                self.sessions
                    .commit(&self.session, locked, planned, caller, Vec::new())
                    .await
            }
            Ok(None) => return false,
            Err(error) => Err(error),
        };
        match committed {
            Ok(events) => {
                self.sessions.publish(&self.session, &events);
                true
            }
            Err(error) => {
                tracing::warn!(session = %self.session.id, "the selection stays as it is: {error}");
                false
            }
        }
    }

    /// The agent has changed its model or mode by itself: the selection follows, unless the user has
    /// selected something else meanwhile.
    pub(super) async fn agent_has_switched(&self, backend: &str, options: &Options) {
        let snapshot = self.sessions.registry.snapshot();
        let Some(catalogue) = snapshot.catalogue(backend) else {
            return;
        };
        let mut locked = self.session.locked.lock().await;
        let Some(applied) = locked
            .runtime
            .applied
            .clone()
            .filter(|a| a.provider_id == backend)
        else {
            return;
        };
        let undisturbed = locked
            .runtime
            .desired
            .as_ref()
            .is_some_and(|d| d.selection == applied);
        if !undisturbed || locked.runtime.deleted {
            return;
        }
        let Some(wish) = wish_of(&applied, catalogue, options) else {
            return;
        };
        let caller = Caller {
            source: Source::Agent,
            client: None,
        };
        if !self.select_for(&mut locked, wish, &caller).await {
            return;
        }
        let Some(target) = locked.runtime.desired.clone() else {
            return;
        };
        drop(locked);
        let transfer = Transfer {
            kind: TransferKind::Native,
            messages: 0,
            bytes: 0,
            elided: 0,
        };
        self.report_applied(&target, transfer, Instant::now()).await;
    }

    fn close_switch(
        &self,
        locked: &mut Locked,
        revision: u64,
        transfer: Option<Transfer>,
        duration_ms: u64,
        failure: Option<MessageError>,
    ) -> Option<Change> {
        let open = &mut locked.runtime.open_switches;
        // Earlier ones were passed over and have no outcome.
        while open.front().is_some_and(|entry| entry.revision < revision) {
            open.pop_front();
        }
        let is_it = open.front().is_some_and(|entry| entry.revision == revision);
        let mut entry = if is_it {
            open.pop_front()?
        } else {
            return None;
        };
        entry.transfer = transfer;
        entry.duration_ms = Some(duration_ms);
        entry.failure = failure;
        Some(put_switch(&self.session.id, &entry))
    }
}

/// Reads what an agent announces about its options; true when it did.
pub(super) fn read_options(options: &mut Options, update: &serde_json::Value) -> bool {
    match update
        .get("sessionUpdate")
        .and_then(serde_json::Value::as_str)
    {
        Some("config_option_update") => options.read_config_options(update),
        Some("current_mode_update") => {
            let mode = update
                .get("currentModeId")
                .and_then(serde_json::Value::as_str);
            mode.inspect(|mode| options.note_current(Kind::Mode, mode))
                .is_some()
        }
        _ => false,
    }
}

/// The selection that an agent's options stand for, as a wish.
fn wish_of(applied: &Selection, catalogue: &Catalogue, options: &Options) -> Option<Wish> {
    let current = |kind| options.get(kind).map(|c| c.current.clone());
    let model_id = current(Kind::Model).unwrap_or_else(|| applied.model_id.clone());
    let default = catalogue.model(&model_id)?.default_variant.clone();
    let variant = match current(Kind::Variant) {
        Some(variant)
            if applied.variant.as_ref() == Some(&variant) || Some(&variant) != default.as_ref() =>
        {
            VariantWish::named(&variant)
        }
        _ => VariantWish::Default,
    };
    let agent = match current(Kind::Mode) {
        Some(mode) if mode_id(catalogue, &applied.agent).as_ref() != Some(&mode) => {
            agent_of_mode(catalogue, mode)
        }
        _ => applied.agent.clone(),
    };
    let model = Some(ModelWish {
        provider_id: applied.provider_id.clone(),
        model_id,
    });
    Some(Wish {
        model,
        variant,
        agent: Some(agent),
    })
}

fn agent_of_mode(catalogue: &Catalogue, mode: String) -> String {
    match () {
        () if catalogue.default_mode.as_ref() == Some(&mode) => "build".to_owned(),
        () if catalogue.plan_mode.as_ref() == Some(&mode) => "plan".to_owned(),
        () => mode,
    }
}

pub(super) fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
