//! How a native session is had: the live one, resumed, loaded, or a new one.
//!
//! A live native session stays where it is ([`Worker::lives`]) while it is worked on, so that a switch
//! which is given up in the middle does not lose it.

use std::path::Path;
use std::sync::Arc;

use super::live::{Live, Origin};
use super::outcome::Stop;
use super::{Tools, Worker};
use crate::agent::client::Opening;
use crate::agent::connection::CallError;
use crate::agent::fence::Fence;
use crate::agent::options::Options;
use crate::agent::pool::{Agent, StartError, log_stderr};
use crate::agent::refusal::Refusal;
use crate::agent::sign_in;
use crate::mcp::Takes;
use crate::opencode::Selection;
use crate::opencode::event::ToastVariant;
use crate::opencode::message::MessageError;
use crate::opencode::session::Tokens;
use crate::session::ask::fence;
use crate::session::cell::{Binding, Cell, Target, can_keep};

/// Why there is no process.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// All that are allowed at once are at work.
    NoRoom(MessageError),
    /// It could not be started.
    Failed(MessageError),
}

impl From<NotStarted> for MessageError {
    fn from(error: NotStarted) -> Self {
        match error {
            NotStarted::NoRoom(error) | NotStarted::Failed(error) => error,
        }
    }
}

impl Tools {
    /// The agent process for a selection of a session, which has to keep to something.
    pub(crate) async fn start(
        &self,
        cell: &Cell,
        selection: &Selection,
        fence: &Fence,
    ) -> Result<Arc<Agent>, NotStarted> {
        let snapshot = self.office.registry.snapshot();
        let Some(backend) = snapshot.backend(&selection.provider_id) else {
            return Err(NotStarted::Failed(refused(format!(
                "Backend \"{}\" is not configured any more. Select another model.",
                selection.provider_id
            ))));
        };
        let program = backend.spec.find_program();
        program.map_err(|reason| NotStarted::Failed(refused(reason)))?;
        let kept = can_keep(&snapshot, &selection.provider_id, fence);
        kept.map_err(|reason| NotStarted::Failed(refused(reason)))?;
        let modes = self.modes_of(&cell.directory, &selection.provider_id);
        let session = cell.id.to_string();
        let launch = backend
            .spec
            .launch_within(fence, &modes, &selection.model_id, &session);
        let mut launch = launch.map_err(|reason| {
            let backend = &selection.provider_id;
            let reason = format!(
                "Backend \"{backend}\" cannot keep the session's permission rules: {reason}."
            );
            NotStarted::Failed(refused(reason))
        })?;
        if !self.mcp.knows(&cell.directory) {
            self.read_place(&cell.directory).await;
        }
        launch.mcp = self.mcp.fingerprint(&cell.directory);
        let started = self.pool.get(&launch).await;
        started.map_err(|error| not_started(&selection.provider_id, &error))
    }

    fn modes_of(&self, directory: &str, provider: &str) -> Vec<String> {
        let snapshot = self.office.registry.at(directory);
        let modes = snapshot
            .catalogue(provider)
            .map(|catalogue| &catalogue.modes);
        modes
            .into_iter()
            .flatten()
            .map(|mode| mode.id.clone())
            .collect()
    }
}

impl Worker {
    /// The agent process for a selection.
    pub(super) async fn start(&self, selection: &Selection) -> Result<Arc<Agent>, NotStarted> {
        self.tools.start(&self.cell, selection, &self.fence()).await
    }

    /// What the agent has to keep to in what it does next.
    pub(super) fn fence(&self) -> Fence {
        let committed = self.cell.committed();
        match &self.rules {
            Some(rules) => fence(&rules.now(&committed.state().permission)).and(&fence(&rules.all)),
            None => fence(&committed.state().rules()),
        }
    }

    /// What goes with the opening of a native session of a backend.
    pub(super) fn opening(&self, provider: &str, agent: &Agent) -> Opening {
        let snapshot = self.tools.office.registry.snapshot();
        let backend = snapshot.backend(provider);
        let can = agent.info.capabilities;
        let (http, sse) = (can.mcp_http, can.mcp_sse);
        Opening {
            meta: backend.and_then(|backend| backend.spec.keeps.session_meta(&self.fence())),
            mcp: self
                .tools
                .mcp
                .given(&self.cell.directory, Takes { http, sse }),
        }
    }

    /// Tells of MCP servers that an agent cannot be given, once.
    pub(super) async fn tell_left_out(&mut self, provider: &str, with: &Opening) {
        let left_out = &with.mcp.left_out;
        if left_out.is_empty() || self.mcp_told.get(provider) == Some(left_out) {
            return;
        }
        self.mcp_told.insert(provider.to_owned(), left_out.clone());
        let each = left_out.iter().map(|(name, why)| format!("{name}: {why}"));
        let each = each.collect::<Vec<_>>().join("; ");
        tracing::warn!(
            backend = provider,
            "MCP servers are not given to an agent: {each}"
        );
        let message = format!("Backend \"{provider}\" goes without MCP servers: {each}.");
        let told = self.cell.change(move |draft| {
            draft.unless_deleted()?;
            draft.toast(ToastVariant::Warning, &message);
            Ok(())
        });
        let _nothing_to_store = told.await;
    }

    /// Starts the backend of a target and makes it match the target: mode, model, variant. A process
    /// may have been ended since it was used last, or be older than what it has to offer, and that may show only
    /// now: then the next one is tried, once. The native session is among the live ones then.
    pub(super) async fn reach(&mut self, target: &Target) -> Result<(), MessageError> {
        let agent = self.start(&target.selection).await?;
        self.reach_with(agent, target).await
    }

    /// The same with a process that is there already.
    pub(super) async fn reach_with(
        &mut self,
        agent: Arc<Agent>,
        target: &Target,
    ) -> Result<(), MessageError> {
        match self.bind_and_apply(Arc::clone(&agent), target).await {
            Err(_) if agent.connection.is_closed() || agent.is_retired() => {
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
    ) -> Result<(), MessageError> {
        let _working = agent.work();
        // One that only listens gives way to the native session that is opened again here, and must not be the last.
        let _held = agent.lease();
        let provider = &target.selection.provider_id;
        self.bind(agent, &target.selection).await?;
        let applied = self.apply(&target.selection).await;
        if applied.is_err() {
            self.let_go_of(provider).await;
        }
        applied
    }

    /// The last rung of the context ladder: it is handed the whole conversation.
    pub(super) async fn open_new(
        &self,
        agent: Arc<Agent>,
        selection: &Selection,
    ) -> Result<Live, MessageError> {
        let timeout = self.tools.settings.timeouts.session;
        let cwd = Path::new(&*self.cell.directory);
        // It has cost nothing yet.
        let known = Binding {
            cost: Some(0.0),
            tokens: Some(Tokens::default()),
            ..Binding::default()
        };
        let model = &selection.model_id;
        let provider = &selection.provider_id;
        let with = self.tools.office.registry.sign_in_with(provider);
        let opening = self.opening(provider, &agent);
        let opened =
            sign_in::new_session(&agent.connection, cwd, &opening, with.as_deref(), timeout);
        match opened.await {
            Ok(mut opened) => {
                let registry = &self.tools.office.registry;
                self.read_models_as_listed(provider, &mut opened.options);
                registry.note_options(provider, &self.cell.directory, &opened.options);
                let mut live = Live::new(agent, opened, known, model, Origin::New);
                live.opening = opening;
                Ok(live)
            }
            Err(error) => Err(self.give_up(provider, &agent, error).await),
        }
    }

    /// A native session's models are named as the catalogue names them.
    pub(super) fn read_models_as_listed(&self, provider: &str, options: &mut Options) {
        let snapshot = self.tools.office.registry.at(&self.cell.directory);
        if snapshot.catalogue(provider).is_some_and(|c| c.one_provider) {
            options.leave_out_provider();
        }
    }

    /// The context ladder: the live session, `session/resume`, `session/load`, a new session.
    pub(super) async fn bind(
        &mut self,
        agent: Arc<Agent>,
        selection: &Selection,
    ) -> Result<(), MessageError> {
        let provider = selection.provider_id.as_str();
        let keeps_first_model = self.keeps_first_model(provider);
        let opening = self.opening(provider, &agent);
        self.tell_left_out(provider, &opening).await;
        let is_current = |live: &Live| {
            let can_have_model = !keeps_first_model
                || live.origin == Origin::New
                || live.model == selection.model_id;
            Arc::ptr_eq(&live.agent, &agent)
                && !agent.connection.is_closed()
                && can_have_model
                && live.opening == opening
        };
        if let Some(live) = self.lives.get_mut(provider).filter(|live| is_current(live)) {
            if keeps_first_model {
                // The one that it is about to be given, before its first prompt.
                live.model.clone_from(&selection.model_id);
            }
            return Ok(());
        }
        self.let_go_of(provider).await;
        let reopened = match keeps_first_model {
            true => None,
            false => self.reopen(&agent, selection).await?,
        };
        let live = match reopened {
            Some(live) => live,
            None => {
                let live = self.open_new(agent, selection).await?;
                self.take_over(provider, &live).await?;
                live
            }
        };
        self.lives.insert(provider.to_owned(), live);
        Ok(())
    }

    fn keeps_first_model(&self, provider: &str) -> bool {
        let snapshot = self.tools.office.registry.snapshot();
        let backend = snapshot.backend(provider);
        backend.is_some_and(|backend| backend.spec.keeps_first_model)
    }

    /// A process that does not answer is ended, unless another session is at work with it.
    pub(super) async fn give_up(
        &self,
        provider: &str,
        agent: &Arc<Agent>,
        error: CallError,
    ) -> MessageError {
        self.note_signed_out(provider, &error, false).await;
        let hangs = matches!(error, CallError::Timeout { .. });
        let error = call_error(provider, agent, error).await;
        if hangs && agent.working() <= 1 {
            self.tools.pool.discard(agent).await;
        }
        error
    }

    /// Notes with the backend what an error says about its user's sign-in.
    pub(super) async fn note_signed_out(&self, provider: &str, error: &CallError, at_prompt: bool) {
        if let CallError::Rpc(error) = error
            && Refusal::of(error) == Refusal::SignedOut
        {
            let (registry, said) = (&self.tools.office.registry, error.describe());
            registry.note_signed_out(provider, &said, at_prompt).await;
        }
    }

    /// Makes a new native session the one that the session goes on in, unless another session has it.
    pub(super) async fn take_over(&self, provider: &str, live: &Live) -> Result<(), MessageError> {
        let (backend, binding) = (provider.to_owned(), live.binding());
        let noted = self.persist(move |draft| {
            draft.unless_deleted()?;
            draft.bind(&backend, binding.clone());
            Ok(())
        });
        noted.await.map_err(|error| unknown(error.to_string()))?;
        let its_own = self.is_its_own(provider, live).await;
        if its_own.is_err() {
            self.forget_native(provider).await;
        }
        its_own
    }

    /// Two sessions in one native session would be one conversation. In a process of its own that opens nothing again, a
    /// session shares only the name.
    async fn is_its_own(&self, provider: &str, live: &Live) -> Result<(), MessageError> {
        let can = live.agent.info.capabilities;
        let is_alone = live.agent.launch.session.is_some();
        if is_alone && !can.resume && !can.load {
            return Ok(());
        }
        let native = &live.native_session;
        let bound = self.tools.office.store.bound(provider, native).await;
        let bound = bound.map_err(|error| unknown(error.to_string()))?;
        match bound.iter().find(|id| **id != self.cell.id) {
            None => Ok(()),
            Some(other) => Err(refused(format!(
                "Backend \"{provider}\" has given this session the native session \"{native}\", which {other} has already: \
                 the two conversations would become one. Use another backend here, or a session in another directory."
            ))),
        }
    }
}

/// An error whose cause has no name in OpenCode.
pub(super) fn unknown(message: String) -> MessageError {
    MessageError::UnknownError { message }
}

/// It cannot be done until somebody changes something.
pub(super) fn refused(message: String) -> MessageError {
    MessageError::APIError {
        message,
        is_retryable: false,
    }
}

/// The agent has failed, or its provider. The same prompt may work the next time.
pub(super) fn failed(message: String) -> MessageError {
    MessageError::APIError {
        message,
        is_retryable: true,
    }
}

fn not_started(provider: &str, error: &StartError) -> NotStarted {
    match error {
        StartError::Full { .. } => NotStarted::NoRoom(failed(format!(
            "Backend \"{provider}\" has no place: {error}."
        ))),
        StartError::ShutDown => NotStarted::Failed(Stop::ShutDown.error()),
        StartError::Spawn(_) | StartError::Handshake(_) => NotStarted::Failed(failed(format!(
            "Backend \"{provider}\" could not be started: {error}. `baton agents` shows what is wrong with it."
        ))),
    }
}

/// What a failed call means to the user.
pub(super) async fn call_error(provider: &str, agent: &Agent, error: CallError) -> MessageError {
    match error {
        CallError::Rpc(error) if Refusal::of(&error) == Refusal::SignedOut => {
            MessageError::ProviderAuthError {
                provider_id: provider.to_owned(),
                message: format!(
                    "Backend \"{provider}\" is not signed in: {}. {}",
                    error.describe().trim_end_matches('.'),
                    agent.launch.sign_in_advice
                ),
            }
        }
        CallError::Rpc(error) => MessageError::APIError {
            message: format!(
                "Backend \"{provider}\" has reported an error: {}.",
                error.describe().trim_end_matches('.')
            ),
            is_retryable: Refusal::of(&error) == Refusal::Provider,
        },
        CallError::Closed => failed(format!(
            "Backend \"{provider}\" could not finish: {}. The next prompt starts it again.",
            agent.obituary().await
        )),
        CallError::Timeout { .. }
        | CallError::Disconnected { .. }
        | CallError::Malformed { .. } => {
            log_stderr(&agent.process);
            failed(format!(
                "Backend \"{provider}\" could not go on: {error}. The next prompt tries it again."
            ))
        }
    }
}
