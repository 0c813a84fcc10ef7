//! Sessions: what clients see, what is running, and how the two are kept together.
//!
//! [`Sessions`] is what callers use. Each session has one lock around its state and its runtime
//! ([`state`]); [`select`] is the only writer of a selection; a worker per session ([`worker`], [`turn`])
//! brings the agent after it and runs the turns. Nothing here knows HTTP or SQL.

mod answer;
mod ask;
mod attach;
mod command;
mod committing;
mod compact;
mod cut;
mod diff;
mod edit;
mod error;
mod fork;
pub mod handoff;
mod notice;
mod outbox;
mod outcome;
mod permission;
mod prompt;
mod question;
mod read;
mod reconcile;
mod recorded;
mod report;
mod request;
mod revert;
mod select;
mod shell;
mod state;
mod tool;
mod traces;
mod transcript;
mod turn;
mod worker;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{MutexGuard, oneshot, watch};
use tokio::task::JoinSet;

use crate::agent::Timeouts;
use crate::agent::pool::Pool;
use crate::command::Sources;
use crate::event::Bus;
use crate::opencode::event::{EventPayload, SessionEvent};
use crate::opencode::message::{AssistantMessage, Message, MessageError, MessageWithParts, Part};
use crate::opencode::session::{SessionSummary, SessionTime, Tokens};
use crate::opencode::{Session as SessionInfo, SessionId, now_ms};
use crate::project::{Place, Projects};
use crate::registry::{Registry, Wish};
use crate::shell::Shell;
use crate::snapshot::Snapshots;
use crate::store::{Change, Store, StoreError};

use ask::Asks;
use committing::Committing;
use state::{Binding, Locked, Session, SessionState, put};

pub use command::CommandCall;
pub use error::Error;
pub use request::{Caller, ListFilter, NewSession, Prompt, Update};
pub use shell::ShellLine;

/// How long a request that names no model waits for the first probes to end.
const FIRST_PROBES: Duration = Duration::from_secs(10);
/// How long the workers have to end their turns at shutdown.
const WORKERS_END: Duration = Duration::from_secs(15);

/// What can be set.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Prompts that may wait for one session.
    pub queue_prompts: usize,
    /// How much of a conversation is handed over at once, where the model's context is not known.
    pub budget: handoff::Budget,
    /// How long to wait for agents.
    pub timeouts: Timeouts,
}

/// What sessions are built on.
pub struct Deps {
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// Where their events go.
    pub bus: Arc<Bus>,
    /// What can be selected.
    pub registry: Arc<Registry>,
    /// The agents.
    pub pool: Arc<Pool>,
    /// What working directories were like.
    pub snapshots: Arc<Snapshots>,
    /// Runs the user's own commands.
    pub shell: Shell,
    /// Where the templates of slash commands come from.
    pub commands: Sources,
    /// What directories belong to.
    pub projects: Arc<Projects>,
    /// What can be set.
    pub settings: Settings,
}

/// How a prompt was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The answer.
    pub message: AssistantMessage,
    /// Its parts.
    pub parts: Vec<Part>,
}

/// A prompt that was stored.
#[derive(Debug)]
pub struct Admitted {
    /// The stored prompt.
    pub message: MessageWithParts,
    /// Its place in the conversation.
    pub turn: u64,
    /// Comes when it is answered; `None` for a prompt that wants no answer.
    pub answer: Option<oneshot::Receiver<Answer>>,
}

/// All sessions.
pub struct Sessions {
    store: Arc<dyn Store>,
    bus: Arc<Bus>,
    registry: Arc<Registry>,
    pool: Arc<Pool>,
    snapshots: Arc<Snapshots>,
    shell: Shell,
    commands: Arc<Sources>,
    projects: Arc<Projects>,
    settings: Settings,
    all: RwLock<HashMap<SessionId, Arc<Session>>>,
    asks: Asks,
    stopping: watch::Sender<bool>,
    workers: Mutex<JoinSet<()>>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Runs a change to its end, also when the caller goes away in the middle of it: a commit whose
/// effects were not installed would leave memory and store with different revisions.
async fn detached<T: Send + 'static>(
    change: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    match tokio::spawn(change).await {
        Ok(result) => result,
        Err(error) => Err(Error::Store(StoreError::Database(format!(
            "the change has panicked: {error}"
        )))),
    }
}

impl Sessions {
    /// Reads all sessions from the store, and marks answers that were being written when the last
    /// server ended as interrupted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(deps: Deps) -> Result<Arc<Self>, StoreError> {
        let Deps {
            store,
            bus,
            registry,
            pool,
            snapshots,
            shell,
            commands,
            projects,
            settings,
        } = deps;
        read::interrupt_open_messages(store.as_ref()).await?;
        let mut all = HashMap::new();
        for row in store.sessions().await? {
            let damaged = |error: serde_json::Error| {
                StoreError::Database(format!("session {} is damaged: {error}", row.id))
            };
            let mut state: SessionState = serde_json::from_str(&row.body).map_err(damaged)?;
            if state.project_id.is_empty() {
                // A session from before there were projects.
                state.belongs_to(&projects.locate(&state.directory).await);
            }
            // A binding that cannot be read costs a handover of the transcript, no more.
            let bindings: BTreeMap<String, Binding> = row
                .bindings
                .iter()
                .filter_map(|(backend, body)| {
                    Some((backend.clone(), serde_json::from_str(body).ok()?))
                })
                .collect();
            all.insert(row.id.clone(), Session::new(state, bindings, row.last_seq));
        }
        Ok(Arc::new(Self {
            store,
            bus,
            registry,
            pool,
            snapshots,
            shell,
            commands: Arc::new(commands),
            projects,
            settings,
            all: RwLock::new(all),
            asks: Asks::default(),
            stopping: watch::Sender::new(false),
            workers: Mutex::new(JoinSet::new()),
        }))
    }

    fn find(&self, id: &SessionId) -> Result<Arc<Session>, Error> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.get(id)
            .cloned()
            .ok_or_else(|| Error::NotFound(id.clone()))
    }

    fn every(&self) -> Vec<Arc<Session>> {
        self.all
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Publishes events of a session. The caller holds its lock, so that they come in commit order.
    fn publish(&self, session: &Session, events: &[EventPayload]) {
        session.outbox.publish(&self.bus, events);
    }

    /// Makes sure, before the lock is taken, that the registry knows enough to judge a wish.
    async fn prepare(&self, session: Option<&Session>, wish: &Wish) {
        let snapshot = self.registry.snapshot();
        let model = wish.model.as_ref().map(|m| m.model_id.as_str());
        if let Some(provider) = wish.provider(&snapshot) {
            return self.registry.prepare(provider, model).await;
        }
        let current = match session {
            Some(session) => session.locked.lock().await.state.selection.clone(),
            None => None,
        };
        match (current, &snapshot.defaults.model) {
            (Some(current), _) => self.registry.prepare(&current.provider_id, None).await,
            (None, Some(default)) => {
                let model = Some(default.model_id.as_str());
                self.registry.prepare(&default.provider_id, model).await;
            }
            (None, None) => drop(self.registry.settled(FIRST_PROBES).await),
        }
    }

    /// Makes a session.
    ///
    /// # Errors
    /// When the wished selection cannot be had, or the store fails.
    pub async fn create(
        self: &Arc<Self>,
        new: NewSession,
        caller: Caller,
    ) -> Result<SessionInfo, Error> {
        if !new.wish.is_empty() {
            self.prepare(None, &new.wish).await;
        }
        let place = self.projects.locate(&new.directory).await;
        self.projects.current(&place).await?;
        let this = Arc::clone(self);
        detached(async move { this.create_now(new, &place, &caller).await }).await
    }

    async fn create_now(
        &self,
        new: NewSession,
        place: &Place,
        caller: &Caller,
    ) -> Result<SessionInfo, Error> {
        let selection = match new.wish.is_empty() {
            true => None,
            false => Some(self.registry.snapshot().resolve(None, &new.wish)?.selection),
        };
        let now = now_ms();
        let id = SessionId::new();
        let state = SessionState {
            slug: prompt::slug(&id),
            project_id: place.project_id.clone(),
            path: place.path(),
            directory: new.directory,
            parent_id: new.parent_id,
            title_is_default: new.title.is_none(),
            title: new.title.unwrap_or_else(|| prompt::default_title(now)),
            selection_revision: u64::from(selection.is_some()),
            selection,
            last_applied: None,
            told: None,
            metadata: new.metadata,
            permission: new.permission,
            time: SessionTime {
                created: now,
                updated: now,
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
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: 1,
            id: id.clone(),
        };
        let mut batch = vec![put(&state, None)];
        let first = state
            .selection
            .clone()
            .map(|selection| state::open_switch(1, now, None, selection, caller));
        batch.extend(first.iter().map(|entry| state::put_switch(&id, entry)));
        self.store.commit(batch).await?;
        let session = Session::new(state, BTreeMap::new(), 0);
        let locked = session.locked.lock().await;
        self.all
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), Arc::clone(&session));
        let info = locked.info();
        self.publish(
            &session,
            &[EventPayload::SessionCreated(SessionEvent {
                session_id: id,
                info: info.clone(),
            })],
        );
        Ok(info)
    }

    /// Changes a session: all or nothing.
    ///
    /// # Errors
    /// A stale `if_match`, a selection that cannot be had, no such session, or a failing store.
    pub async fn update(
        self: &Arc<Self>,
        id: &SessionId,
        update: Update,
        caller: Caller,
    ) -> Result<SessionInfo, Error> {
        let session = self.find(id)?;
        if !update.wish.is_empty() {
            self.prepare(Some(&session), &update.wish).await;
        }
        self.update_now(&session, &update, &caller).await
    }

    async fn update_now(
        self: &Arc<Self>,
        session: &Arc<Session>,
        update: &Update,
        caller: &Caller,
    ) -> Result<SessionInfo, Error> {
        let (committing, info) = {
            let mut locked = session.locked.lock().await;
            if locked.runtime.deleted {
                return Err(Error::NotFound(session.id.clone()));
            }
            let registry = self.registry.snapshot();
            let Some(planned) = select::plan(&locked.state, update, &registry, now_ms())? else {
                return Ok(self.committed(session, locked).await);
            };
            // From here to the end of the block nothing is awaited: a change is installed whole.
            let (commit, events) = self.install(session, &mut locked, planned, caller, Vec::new());
            let ticket = session.outbox.stage(events);
            self.ensure_worker(session, &mut locked);
            let reloads = locked.runtime.reloads;
            (
                Committing::new(self, session, commit, ticket, reloads),
                locked.info(),
            )
        };
        committing.finish().await?;
        Ok(info)
    }

    /// Ends the agents that are not at work and probes the backends anew, so that they see a changed configuration.
    /// Sessions start them again with their next prompt.
    pub fn refresh_agents(&self) {
        self.pool.end_idle();
        self.registry.refresh();
    }

    /// A session as it is committed.
    async fn view(&self, session: &Session) -> SessionInfo {
        self.committed(session, session.locked.lock().await).await
    }

    /// What the lock shows, once it is committed. If it was taken back instead: what is there then.
    async fn committed(&self, session: &Session, locked: MutexGuard<'_, Locked>) -> SessionInfo {
        let (mut info, mut ticket) = (locked.info(), session.outbox.last());
        let mut reloads = locked.runtime.reloads;
        drop(locked);
        loop {
            session.outbox.caught_up(ticket).await;
            let locked = session.locked.lock().await;
            if locked.runtime.reloads == reloads {
                return info;
            }
            (info, ticket) = (locked.info(), session.outbox.last());
            reloads = locked.runtime.reloads;
        }
    }

    /// Waits until the session's selection is applied or was passed over by a later one that is.
    /// A session without a selection has nothing to wait for.
    ///
    /// # Errors
    /// [`Error::NotApplied`] when it could not be applied.
    pub async fn wait_applied(
        self: &Arc<Self>,
        id: &SessionId,
        revision: u64,
    ) -> Result<SessionInfo, Error> {
        let session = self.find(id)?;
        let mut settled = session.settled.subscribe();
        let wanted = {
            let mut locked = session.locked.lock().await;
            self.apply_after_restart(&session, &mut locked);
            revision.min(locked.state.selection_revision)
        };
        loop {
            settled.mark_unchanged();
            {
                let locked = session.locked.lock().await;
                let outcome = locked.runtime.outcomes.iter().find(|(r, _)| *r == wanted);
                if let Some((_, Some(failure))) = outcome {
                    return Err(Error::NotApplied(failure.clone()));
                }
                if locked.runtime.settled_revision >= wanted || locked.runtime.deleted {
                    return Ok(self.committed(&session, locked).await);
                }
            }
            if settled.changed().await.is_err() {
                return Err(Error::ShutDown);
            }
        }
    }

    /// A selection from before a restart is applied by the next prompt, or when somebody waits for it.
    fn apply_after_restart(self: &Arc<Self>, session: &Arc<Session>, locked: &mut Locked) {
        let runtime = &mut locked.runtime;
        if runtime.applied.is_none() && runtime.outcomes.is_empty() && !runtime.is_busy() {
            runtime.settled_revision = locked.state.selection_revision.saturating_sub(1);
            self.ensure_worker(session, locked);
            session.wake.notify_one();
        }
    }

    /// Deletes a session, what belongs to it, and the sessions below it.
    ///
    /// # Errors
    /// No such session, or a failing store.
    pub async fn delete(self: &Arc<Self>, id: &SessionId) -> Result<(), Error> {
        self.find(id)?;
        let mut doomed = vec![id.clone()];
        let mut at = 0;
        while at < doomed.len() {
            let children = self.children(&doomed[at]).await.unwrap_or_default();
            doomed.extend(
                children
                    .into_iter()
                    .map(|c| c.id)
                    .filter(|c| !doomed.contains(c))
                    .collect::<Vec<_>>(),
            );
            at += 1;
        }
        for id in doomed.into_iter().rev() {
            let this = Arc::clone(self);
            detached(async move { this.delete_now(&id).await }).await?;
        }
        Ok(())
    }

    async fn delete_now(&self, id: &SessionId) -> Result<(), Error> {
        let session = self.find(id)?;
        let mut locked = session.locked.lock().await;
        self.store
            .commit(vec![Change::DeleteSession { id: id.clone() }])
            .await?;
        locked.runtime.deleted = true;
        let waiting: Vec<_> = locked
            .runtime
            .queue
            .drain(..)
            .flat_map(|q| q.answers)
            .collect();
        if let Some(turn) = &mut locked.runtime.turn {
            turn.abort.send_replace(true);
            turn.answers.extend(waiting);
        }
        self.all
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        let info = locked.info();
        self.publish(
            &session,
            &[EventPayload::SessionDeleted(SessionEvent {
                session_id: id.clone(),
                info,
            })],
        );
        session.settled.send_modify(|n| *n += 1);
        session.wake.notify_one();
        Ok(())
    }

    /// Stops the turn in flight; prompts that wait behind it stay unanswered. A session that is idle
    /// stays so.
    ///
    /// # Errors
    /// No such session.
    pub async fn abort(&self, id: &SessionId) -> Result<(), Error> {
        let session = self.find(id)?;
        let mut locked = session.locked.lock().await;
        let runtime = &mut locked.runtime;
        // A prompt whose turn has not begun yet is stopped like one that is in flight.
        let first = if runtime.turn.is_none() {
            runtime.queue.pop_front()
        } else {
            None
        };
        let followers: Vec<_> = runtime.queue.drain(..).flat_map(|q| q.answers).collect();
        if let Some(mut first) = first {
            first.abort.send_replace(true);
            first.answers.extend(followers);
            runtime.queue.push_front(first);
        } else if let Some(turn) = &mut runtime.turn {
            turn.abort.send_replace(true);
            turn.answers.extend(followers);
        }
        session.wake.notify_one();
        Ok(())
    }

    /// Ends all turns as interrupted and lets go of all agents.
    pub async fn shut_down(&self) {
        self.stopping.send_replace(true);
        for session in self.every() {
            session.wake.notify_one();
            session.settled.send_modify(|n| *n += 1);
        }
        let mut workers =
            std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = async { while workers.join_next().await.is_some() {} };
        if tokio::time::timeout(WORKERS_END, ended).await.is_err() {
            tracing::warn!("some turns did not end within {WORKERS_END:?}");
        }
    }

    /// Starts the session's worker, unless it runs already.
    fn ensure_worker(self: &Arc<Self>, session: &Arc<Session>, locked: &mut state::Locked) {
        if std::mem::replace(&mut locked.runtime.worker, true) {
            return;
        }
        let worker = worker::Worker::new(Arc::clone(self), Arc::clone(session));
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        // Workers of deleted sessions have ended; their results are of no use.
        while workers.try_join_next().is_some() {}
        workers.spawn(worker.run());
    }
}

/// An answer that never began, for a prompt that could not be given to its model.
fn error_event(session: &Session, error: MessageError) -> EventPayload {
    EventPayload::SessionError(crate::opencode::event::SessionErrorEvent {
        session_id: session.id.clone(),
        error,
    })
}

/// The event of a whole message.
fn message_event(session: &Session, info: Message) -> EventPayload {
    EventPayload::MessageUpdated(crate::opencode::event::MessageEvent {
        session_id: session.id.clone(),
        info,
    })
}
