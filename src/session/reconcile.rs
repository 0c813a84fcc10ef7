//! Reconciling: makes an agent match a selection, and finds out what it has not seen.
//!
//! The two ladders of the design are here: how a native session is had (live, resumed, loaded, new), and
//! how mode, model and variant are set on it. Nothing here holds the session's lock while it waits for
//! an agent.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use super::state::{Binding, Target};
use super::transcript::{self, Handover, Stored};
use super::worker::Worker;
use super::{cut, handoff};
use crate::agent::client::{self, AUTH_REQUIRED, Opened, Reopen, SwitchError};
use crate::agent::connection::{CallError, Inbound};
use crate::agent::options::{Kind, Options};
use crate::agent::pool::{Agent, Lease, StartError, quoted};
use crate::opencode::Selection;
use crate::opencode::event::{Transfer, TransferKind};
use crate::opencode::message::MessageError;
use crate::registry::{Catalogue, SwitchMethod};
use crate::store::MessageRange;

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
    /// What the agent still says by itself at the beginning of its native session.
    greeting: Option<String>,
    pub(super) options: Options,
    pub(super) seen_turn: u64,
    /// What the native session has cost so far, as the agent counts it.
    pub(super) cost: f64,
    /// What the agent says now is no answer: it only takes in what it has missed.
    pub(super) quiet: bool,
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
            greeting,
            commands: _,
        } = opened;
        Self {
            _lease: agent.lease(),
            agent,
            native_session,
            inbox,
            greeting,
            options,
            seen_turn,
            cost: 0.0,
            quiet: false,
            origin,
        }
    }

    /// Whether an update is the agent's greeting, which comes once.
    pub(super) fn is_greeting(&mut self, update: &Value) -> bool {
        let text = update.pointer("/content/text").and_then(Value::as_str);
        let greets = text.is_some() && text == self.greeting.as_deref();
        if greets {
            self.greeting = None;
        }
        greets
    }

    /// Notes that the agent has taken in everything up to this turn.
    pub(super) fn has_seen(&mut self, turn: u64) {
        self.seen_turn = turn;
        self.origin = Origin::Used;
    }
}

impl Worker {
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
        let launch = backend
            .spec
            .launch(&selection.model_id, &self.session.id.to_string());
        self.sessions
            .pool
            .get(&launch)
            .await
            .map_err(|error| start_error(&selection.provider_id, &error))
    }

    /// Starts the backend of a target and makes it match the target: mode, model, variant. A process
    /// may have been ended since it was used last, and that may show only now: then the next one is
    /// tried, once.
    pub(super) async fn reach(&mut self, target: &Target) -> Result<Live, MessageError> {
        let agent = self.start(&target.selection).await?;
        self.reach_with(agent, target).await
    }

    /// The same with a process that is there already.
    pub(super) async fn reach_with(
        &mut self,
        agent: Arc<Agent>,
        target: &Target,
    ) -> Result<Live, MessageError> {
        match self.bind_and_apply(Arc::clone(&agent), target).await {
            Err(_) if agent.connection.is_closed() => {
                let next = self.start(&target.selection).await?;
                self.bind_and_apply(next, target).await
            }
            reached => reached,
        }
    }

    async fn bind_and_apply(
        &mut self,
        agent: Arc<Agent>,
        target: &Target,
    ) -> Result<Live, MessageError> {
        let _working = agent.work();
        let mut live = self.bind(agent, &target.selection.provider_id).await?;
        self.apply(&mut live, &target.selection).await?;
        Ok(live)
    }

    /// The last rung of the context ladder: it is handed the whole conversation.
    pub(super) async fn open_new(
        &self,
        agent: Arc<Agent>,
        provider: &str,
    ) -> Result<Live, MessageError> {
        let timeout = self.sessions.settings.timeouts.session;
        let cwd = std::path::Path::new(&*self.session.directory);
        match client::new_session(&agent.connection, cwd, timeout).await {
            Ok(opened) => Ok(Live::new(agent, opened, 0, Origin::New)),
            Err(error) => Err(self.give_up(provider, &agent, error).await),
        }
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
                Ok(mut opened) => {
                    self.not_reopened.remove(provider);
                    if let Some(commands) = opened.commands.take() {
                        self.note_commands(provider, commands).await;
                    }
                    return Ok(Live::new(agent, opened, binding.seen_turn, origin));
                }
                // The next rung does not need what the agent has lost.
                Err(CallError::Rpc(error)) => {
                    tracing::info!(
                        backend = provider,
                        "{how:?} of a native session was refused: {}",
                        error.describe()
                    );
                }
                Err(error) => {
                    // A native session that hangs or kills its agent must not do so again and again;
                    // an agent that died of something else may have its session back the next time.
                    let again = !self.not_reopened.insert(provider.to_owned());
                    if again || error != CallError::Closed {
                        let mut locked = self.session.locked.lock().await;
                        locked.runtime.bindings.remove(provider);
                    }
                    if error == CallError::Closed {
                        return Err(call_error(provider, &agent, error).await);
                    }
                    tracing::warn!(backend = provider, "a native session was given up: {error}");
                }
            }
        }
        let live = self.open_new(agent, provider).await?;
        self.note_binding(provider, &live).await?;
        Ok(live)
    }

    /// A process that does not answer is ended, unless another session is at work with it.
    async fn give_up(&self, provider: &str, agent: &Arc<Agent>, error: CallError) -> MessageError {
        let hangs = matches!(error, CallError::Timeout { .. });
        let error = call_error(provider, agent, error).await;
        if hangs && agent.working() <= 1 {
            self.sessions.pool.discard(agent).await;
        }
        error
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
    pub(super) async fn apply(
        &self,
        live: &mut Live,
        selection: &Selection,
    ) -> Result<(), MessageError> {
        let snapshot = self.sessions.registry.snapshot();
        let Some(catalogue) = snapshot.catalogue(&selection.provider_id) else {
            let message = format!("Backend \"{}\" has not been probed.", selection.provider_id);
            return Err(MessageError::UnknownError { message });
        };
        let provider = &selection.provider_id;
        let mut chosen = self.choose_all(live, selection, catalogue).await;
        // A native session that was opened again may list less than a new one, or under other ids.
        if matches!(chosen, Err(SwitchError::NotOffered { .. })) && live.origin != Origin::New {
            let mut new = self.open_new(Arc::clone(&live.agent), provider).await?;
            let chosen_there = self.choose_all(&mut new, selection, catalogue).await;
            if chosen_there.is_ok() {
                tracing::info!(
                    backend = provider,
                    model = selection.model_id,
                    "a new native session takes over"
                );
                self.note_binding(provider, &new).await?;
                *live = new;
                chosen = chosen_there;
            }
        }
        match chosen {
            Ok(()) => Ok(()),
            Err(SwitchError::Call {
                error: error @ (CallError::Closed | CallError::Timeout { .. }),
                ..
            }) => Err(self.give_up(provider, &live.agent, error).await),
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
        // What the agent announces meanwhile is older than its reply; but its commands come only once.
        let mut told = None;
        let note = |message| client::note(&mut told, &message);
        let chosen = client::draining(&mut live.inbox, choice, note).await;
        if let Some(commands) = told {
            self.note_commands(&live.agent.launch.backend, commands)
                .await;
        }
        chosen
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
        missed.retain(|m| {
            before_turn.is_none_or(|turn| m.turn < turn) && transcript::is_for_models(&m.message)
        });
        let missed = {
            let locked = self.session.locked.lock().await;
            let state = &locked.state;
            cut::remaining(missed, state.past.cut.as_ref(), state.revert.as_ref())
        };
        let missed = transcript::since_summary(missed);
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
}

/// The backend's mode for an agent; `None` for a backend without modes.
pub(super) fn mode_id(catalogue: &Catalogue, agent: &str) -> Option<String> {
    match agent {
        "build" => catalogue.default_mode.clone(),
        "plan" => catalogue.plan_mode.clone(),
        mode => Some(mode.to_owned()),
    }
}

fn start_error(provider: &str, error: &StartError) -> MessageError {
    let message = match error {
        StartError::Spawn(_) | StartError::Handshake(_) => {
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
