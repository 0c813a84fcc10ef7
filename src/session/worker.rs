//! One worker per session: runs its turns one at a time, and brings the agent after the selection.
//!
//! The worker owns the live native sessions. It talks to agents without holding the session's lock,
//! and takes the lock only to note what came of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::state::{Binding, Locked, Queued, Session, Target, Turn};
use super::transcript::{self, Handover, Stored};
use super::{Caller, Sessions, Update, error_event, handoff, select};
use crate::agent::client::{self, AUTH_REQUIRED, Opened, Reopen, SwitchError};
use crate::agent::connection::{CallError, Inbound};
use crate::agent::options::{Kind, Options};
use crate::agent::pool::{Agent, Lease, StartError, quoted};
use crate::opencode::event::{
    EventPayload, ModelApplied, ModelFailed, Source, Transfer, TransferKind,
};
use crate::opencode::message::MessageError;
use crate::opencode::{Selection, now_ms};
use crate::registry::{Catalogue, ModelWish, SwitchMethod, VariantWish, Wish};
use crate::store::{Change, MessageRange};

/// A switch that has to start a process waits this long for the user to change his mind again.
const SETTLE: Duration = Duration::from_millis(150);

/// What the worker does next.
enum Job {
    Turn(Queued),
    Switch(Target),
    Idle,
    End,
}

/// How a live native session came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    New,
    Resumed,
    Loaded,
    /// It has answered a prompt of this worker.
    Used,
}

/// A live native session.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) agent: Arc<Agent>,
    _lease: Lease,
    pub(super) native_session: String,
    pub(super) inbox: mpsc::Receiver<Inbound>,
    pub(super) options: Options,
    pub(super) seen_turn: u64,
    /// What the native session has cost so far, as the agent counts it.
    pub(super) cost: f64,
    origin: Origin,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.agent.connection.detach(&self.native_session);
    }
}

impl Live {
    fn new(agent: Arc<Agent>, opened: Opened, seen_turn: u64, origin: Origin) -> Self {
        let Opened {
            native_session,
            options,
            inbox,
        } = opened;
        Self {
            _lease: agent.lease(),
            agent,
            native_session,
            inbox,
            options,
            seen_turn,
            cost: 0.0,
            origin,
        }
    }

    /// Notes that the agent has taken in everything up to this turn.
    pub(super) fn has_seen(&mut self, turn: u64) {
        self.seen_turn = turn;
        self.origin = Origin::Used;
    }
}

/// The worker of a session.
pub(super) struct Worker {
    pub(super) sessions: Arc<Sessions>,
    pub(super) session: Arc<Session>,
    pub(super) lives: HashMap<String, Live>,
    pub(super) stopping: watch::Receiver<bool>,
    epoch: u64,
}

impl Worker {
    pub(super) fn new(sessions: Arc<Sessions>, session: Arc<Session>) -> Self {
        let stopping = sessions.stopping.subscribe();
        Self {
            sessions,
            session,
            lives: HashMap::new(),
            stopping,
            epoch: 0,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.next_job().await {
                Job::Turn(queued) => self.turn(queued).await,
                Job::Switch(target) => self.switch(target).await,
                Job::Idle => self.idle().await,
                Job::End => return,
            }
        }
    }

    async fn next_job(&mut self) -> Job {
        let mut locked = self.session.locked.lock().await;
        let runtime = &mut locked.runtime;
        if runtime.deleted || *self.stopping.borrow() {
            return Job::End;
        }
        if self.epoch != runtime.bindings_epoch {
            self.epoch = runtime.bindings_epoch;
            self.lives.clear();
        }
        if let Some(mut queued) = runtime.queue.pop_front() {
            let answers = std::mem::take(&mut queued.answers);
            runtime.turn = Some(Turn {
                abort: queued.abort.clone(),
                answers,
            });
            return Job::Turn(queued);
        }
        match &runtime.desired {
            Some(target) if target.revision > runtime.settled_revision => {
                let target = target.clone();
                runtime.switching = true;
                Job::Switch(target)
            }
            _ => Job::Idle,
        }
    }

    /// Waits for work, and reads what agents say between turns.
    async fn idle(&mut self) {
        let said = tokio::select! {
            () = self.session.wake.notified() => None,
            _ = self.stopping.changed() => None,
            said = next_said(&mut self.lives) => Some(said),
        };
        match said {
            Some((backend, Some(message))) => self.said_between_turns(&backend, message).await,
            Some((backend, None)) => drop(self.lives.remove(&backend)),
            None => {}
        }
    }

    async fn said_between_turns(&mut self, backend: &str, message: Inbound) {
        let Some(live) = self.lives.get_mut(backend) else {
            return;
        };
        match message {
            Inbound::Update(update) => {
                if read_options(&mut live.options, &update) {
                    let options = live.options.clone();
                    self.agent_has_switched(backend, &options).await;
                }
            }
            // Outside of a turn nobody can be asked; the agent is told so.
            Inbound::Request { id, method, .. } => {
                let nobody = match method.as_str() {
                    "session/request_permission" => {
                        serde_json::json!({ "outcome": { "outcome": "cancelled" } })
                    }
                    _ => serde_json::json!({ "action": "cancel" }),
                };
                let _gone = live.agent.connection.respond(id, nobody).await;
            }
            Inbound::PromptReply(_) => {
                tracing::debug!(backend, "a prompt was answered after its turn had ended")
            }
        }
    }

    /// Whether the job is still wanted: returns when it is not.
    async fn passed_over(&self, target: &Target) {
        let mut stopping = self.stopping.clone();
        loop {
            tokio::select! {
                () = self.session.wake.notified() => {}
                _ = stopping.changed() => return,
            }
            let locked = self.session.locked.lock().await;
            let runtime = &locked.runtime;
            let wanted = runtime.desired.as_ref() == Some(target)
                && runtime.queue.is_empty()
                && !runtime.deleted;
            if !wanted || *self.stopping.borrow() {
                return;
            }
        }
    }

    /// Brings the agent after the selection while no prompt waits, so that it is warm.
    async fn switch(&mut self, target: Target) {
        let started = Instant::now();
        let result = self.warm(&target).await;
        self.session.locked.lock().await.runtime.switching = false;
        match result {
            Some(Ok(transfer)) => self.report_applied(&target, transfer, started).await,
            Some(Err(error)) => self.report_failed(&target, error, started).await,
            // Another selection or a prompt came in between; it is the next job.
            None => {}
        }
    }

    async fn warm(&mut self, target: &Target) -> Option<Result<Transfer, MessageError>> {
        let provider = target.selection.provider_id.clone();
        if !self.lives.contains_key(&provider) {
            tokio::select! {
                () = self.passed_over(target) => return None,
                () = tokio::time::sleep(SETTLE) => {}
            }
        }
        let agent = tokio::select! {
            agent = self.start(&target.selection) => agent,
            () = self.passed_over(target) => return None,
        };
        let agent = match agent {
            Ok(agent) => agent,
            Err(error) => return Some(Err(error)),
        };
        let applied = async {
            let live = self.bind_and_apply(agent, target).await?;
            let (_, transfer) = self.handover(&live, &target.selection, None).await?;
            self.lives.insert(provider, live);
            Ok(transfer)
        };
        Some(applied.await)
    }

    /// The agent process for a selection.
    pub(super) async fn start(&self, selection: &Selection) -> Result<Arc<Agent>, MessageError> {
        let snapshot = self.sessions.registry.snapshot();
        let Some(backend) = snapshot.backend(&selection.provider_id) else {
            let message = format!(
                "Backend \"{}\" is not configured any more. Select another model.",
                selection.provider_id
            );
            return Err(MessageError::UnknownError { message });
        };
        if let Err(message) = backend.spec.find_program() {
            return Err(MessageError::UnknownError { message });
        }
        let launch = backend.spec.launch(&selection.model_id);
        self.sessions
            .pool
            .get(&launch)
            .await
            .map_err(|error| start_error(&selection.provider_id, &error))
    }

    /// Binds the session to the agent and makes it match the target: mode, model, variant.
    pub(super) async fn bind_and_apply(
        &mut self,
        agent: Arc<Agent>,
        target: &Target,
    ) -> Result<Live, MessageError> {
        let working = agent.work();
        let mut live = self.bind(agent, &target.selection.provider_id).await?;
        self.apply(&mut live, &target.selection).await?;
        drop(working);
        Ok(live)
    }

    /// The context ladder: the live session, `session/resume`, `session/load`, a new session.
    async fn bind(&mut self, agent: Arc<Agent>, provider: &str) -> Result<Live, MessageError> {
        if let Some(live) = self.lives.remove(provider)
            && Arc::ptr_eq(&live.agent, &agent)
            && !agent.connection.is_closed()
        {
            return Ok(live);
        }
        let timeout = self.sessions.settings.timeouts.session;
        let cwd = std::path::Path::new(&*self.session.directory);
        let bound = self
            .session
            .locked
            .lock()
            .await
            .runtime
            .bindings
            .get(provider)
            .cloned();
        let can = agent.info.capabilities;
        let ladder = [
            (can.resume, Reopen::Resume, Origin::Resumed),
            (can.load, Reopen::Load, Origin::Loaded),
        ];
        for (_, how, origin) in ladder.into_iter().filter(|(can, ..)| *can) {
            let Some(binding) = &bound else { break };
            match client::reopen_session(
                &agent.connection,
                how,
                &binding.native_session,
                cwd,
                timeout,
            )
            .await
            {
                Ok(opened) => return Ok(Live::new(agent, opened, binding.seen_turn, origin)),
                // The next rung does not need what the agent has lost.
                Err(CallError::Rpc(error)) => {
                    tracing::info!(
                        backend = provider,
                        "{how:?} of a native session was refused: {}",
                        error.describe()
                    );
                }
                Err(error) => return Err(call_error(provider, &agent, error).await),
            }
        }
        match client::new_session(&agent.connection, cwd, timeout).await {
            Ok(opened) => {
                let live = Live::new(agent, opened, 0, Origin::New);
                self.note_binding(provider, &live).await?;
                Ok(live)
            }
            Err(error) => Err(call_error(provider, &agent, error).await),
        }
    }

    async fn note_binding(&self, provider: &str, live: &Live) -> Result<(), MessageError> {
        let mut locked = self.session.locked.lock().await;
        if locked.runtime.deleted {
            return Ok(());
        }
        let binding = Binding {
            native_session: live.native_session.clone(),
            seen_turn: live.seen_turn,
        };
        locked.runtime.bindings.insert(provider.to_owned(), binding);
        let change = locked.put_binding(provider);
        let stored = self
            .sessions
            .store
            .commit(change.into_iter().collect())
            .await;
        stored.map_err(|error| MessageError::UnknownError {
            message: error.to_string(),
        })
    }

    /// Sets mode, model and variant, after every new, load and resume; what is set already costs
    /// nothing.
    async fn apply(&self, live: &mut Live, selection: &Selection) -> Result<(), MessageError> {
        let snapshot = self.sessions.registry.snapshot();
        let Some(catalogue) = snapshot.catalogue(&selection.provider_id) else {
            let message = format!("Backend \"{}\" has not been probed.", selection.provider_id);
            return Err(MessageError::UnknownError { message });
        };
        let chosen = self.choose_all(live, selection, catalogue).await;
        let provider = &selection.provider_id;
        match chosen {
            Ok(()) => Ok(()),
            Err(SwitchError::Call {
                error: error @ CallError::Closed,
                ..
            }) => Err(call_error(provider, &live.agent, error).await),
            Err(error) => {
                let message =
                    format!("Backend \"{provider}\" did not take the selection: {error}.");
                Err(MessageError::UnknownError { message })
            }
        }
    }

    async fn choose_all(
        &self,
        live: &mut Live,
        selection: &Selection,
        catalogue: &Catalogue,
    ) -> Result<(), SwitchError> {
        let mode = mode_id(catalogue, &selection.agent);
        if let Some(mode) = &mode {
            self.choose(live, Kind::Mode, mode).await?;
        }
        let by_agent = matches!(
            catalogue.switch,
            SwitchMethod::ConfigOption | SwitchMethod::SetModel
        );
        if by_agent {
            self.choose(live, Kind::Model, &selection.model_id).await?;
        }
        let default = catalogue
            .model(&selection.model_id)
            .and_then(|m| m.default_variant.as_ref());
        match (&selection.variant, default) {
            (Some(variant), _) => self.choose(live, Kind::Variant, variant).await?,
            (None, Some(default)) if live.options.variant.is_some() => {
                self.choose(live, Kind::Variant, default).await?
            }
            _ => {}
        }
        // Some agents change the mode along with the model.
        if let Some(mode) = &mode {
            self.choose(live, Kind::Mode, mode).await?;
        }
        Ok(())
    }

    async fn choose(&self, live: &mut Live, kind: Kind, value: &str) -> Result<(), SwitchError> {
        let timeout = self.sessions.settings.timeouts.switch;
        let connection = Arc::clone(&live.agent.connection);
        let choice = client::choose(
            &connection,
            &live.native_session,
            &mut live.options,
            kind,
            value,
            timeout,
        );
        // What the agent announces meanwhile is older than its reply.
        client::draining(&mut live.inbox, choice, |_| ()).await
    }

    /// What the agent has not seen of the conversation, up to a turn or all of it.
    pub(super) async fn handover(
        &self,
        live: &Live,
        selection: &Selection,
        before_turn: Option<u64>,
    ) -> Result<(Handover, Transfer), MessageError> {
        let range = MessageRange {
            after_turn: Some(live.seen_turn),
            ..MessageRange::default()
        };
        let stored = self
            .sessions
            .store
            .messages(&self.session.id, range)
            .await
            .and_then(transcript::read);
        let mut missed: Vec<Stored> = stored.map_err(|error| MessageError::UnknownError {
            message: error.to_string(),
        })?;
        missed.retain(|m| before_turn.is_none_or(|turn| m.turn < turn));
        let snapshot = self.sessions.registry.snapshot();
        let context = snapshot
            .catalogue(&selection.provider_id)
            .and_then(|c| c.model(&selection.model_id)?.context_tokens);
        let budget = context.map_or(
            self.sessions.settings.budget,
            handoff::Budget::from_context_tokens,
        );
        let kind = match (missed.is_empty(), live.seen_turn, live.origin) {
            (true, 0, _) => TransferKind::None,
            (true, _, Origin::New | Origin::Used) => TransferKind::Native,
            (true, _, Origin::Resumed) => TransferKind::Resume,
            (true, _, Origin::Loaded) => TransferKind::Load,
            (false, 0, _) => TransferKind::Transcript,
            (false, ..) => TransferKind::CatchUp,
        };
        let rendered_as = if kind == TransferKind::CatchUp {
            handoff::Kind::CatchUp
        } else {
            handoff::Kind::Transcript
        };
        let images = live.agent.info.capabilities.image;
        // Rendering megabytes takes milliseconds, which other sessions should not wait for.
        let rendered = tokio::task::spawn_blocking(move || {
            transcript::hand_over(missed, rendered_as, &budget, images)
        })
        .await;
        let handover = rendered.map_err(|error| MessageError::UnknownError {
            message: error.to_string(),
        })?;
        let transfer = handover.transfer(kind);
        Ok((handover, transfer))
    }

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
        self.write(batch).await;
        self.session.settled.send_modify(|n| *n += 1);
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
            self.write(closed.into_iter().collect()).await;
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
        let mut entry = open.pop_front_if(|entry| entry.revision == revision)?;
        entry.transfer = transfer;
        entry.duration_ms = Some(duration_ms);
        entry.failure = failure;
        Some(entry.put(&self.session.id))
    }

    /// Writes what was not acknowledged to anybody; the caller holds the lock.
    pub(super) async fn write(&self, batch: Vec<Change>) {
        if batch.is_empty() {
            return;
        }
        if let Err(error) = self.sessions.store.commit(batch).await {
            tracing::error!(session = %self.session.id, "not stored: {error}");
            let message = format!("The conversation could not be stored: {error}");
            self.sessions.publish(
                &self.session,
                &[error_event(
                    &self.session,
                    MessageError::UnknownError { message },
                )],
            );
        }
    }
}

/// The next message of any live native session; `None` from one whose agent is gone.
async fn next_said(lives: &mut HashMap<String, Live>) -> (String, Option<Inbound>) {
    if lives.is_empty() {
        return std::future::pending().await;
    }
    let reads = lives
        .iter_mut()
        .map(|(id, live)| Box::pin(async move { (id.clone(), live.inbox.recv().await) }));
    futures_util::future::select_all(reads).await.0
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

/// The backend's mode for an agent; `None` for a backend without modes.
fn mode_id(catalogue: &Catalogue, agent: &str) -> Option<String> {
    match agent {
        "build" => catalogue.default_mode.clone(),
        "plan" => catalogue.plan_mode.clone(),
        mode => Some(mode.to_owned()),
    }
}

pub(super) fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn start_error(provider: &str, error: &StartError) -> MessageError {
    let message = match error {
        StartError::Spawn(_) | StartError::Handshake { .. } => {
            format!(
                "Backend \"{provider}\" could not be started: {error}. `baton agents` shows what is wrong with it."
            )
        }
        StartError::Full { .. } | StartError::ShutDown => error.to_string(),
    };
    MessageError::UnknownError { message }
}

/// What a failed call means to the user.
pub(super) async fn call_error(provider: &str, agent: &Agent, error: CallError) -> MessageError {
    match error {
        CallError::Rpc(error) if error.code == AUTH_REQUIRED => MessageError::ProviderAuthError {
            provider_id: provider.to_owned(),
            message: format!(
                "Backend \"{provider}\" is not signed in: {}. Start it once in a terminal and sign in.",
                error.describe()
            ),
        },
        CallError::Rpc(error) => MessageError::APIError {
            message: error.describe(),
            is_retryable: false,
        },
        CallError::Closed => MessageError::UnknownError {
            message: format!("Backend \"{provider}\": {}", agent.obituary().await),
        },
        CallError::Timeout { .. } => {
            let said = quoted(&agent.process.stderr.quote());
            MessageError::UnknownError {
                message: format!("Backend \"{provider}\": {error}{said}"),
            }
        }
    }
}
