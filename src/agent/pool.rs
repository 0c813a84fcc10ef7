//! The processes that are running, shared between sessions.
//!
//! A process is a cache: it may be ended between any two turns, and the next turn starts another.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Timeouts;
use super::client;
use super::connection::{Connection, EarlyLimits};
use super::process::{Processes, Starter};
use super::spec::Launch;
use crate::process::Ledger;

pub use super::running::{Agent, Lease, Why, Working, last_words, log_stderr};

/// Whoever stops a server may kill it when it takes its time; so this is all that its agents get to end by themselves.
const END_ALL_WITHIN: Duration = Duration::from_millis(800);

/// What the pool may hold.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Processes alive at the same time.
    pub live: usize,
    /// A process that was not used for this long is ended.
    pub idle: Duration,
    /// What is kept of updates that come before their native session is known.
    pub early: EarlyLimits,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            live: 16,
            idle: Duration::from_secs(15 * 60),
            early: EarlyLimits::default(),
        }
    }
}

/// Why an agent could not be started.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StartError {
    /// The program cannot be run.
    #[error("{0}")]
    Spawn(String),
    /// It ran and did not shake hands.
    #[error("{0}")]
    Handshake(String),
    /// There are as many processes as allowed, and all of them are at work.
    #[error(
        "all {live} agent processes that are allowed at once are at work; wait for one, or raise limits.live_agents"
    )]
    Full {
        /// The limit.
        live: usize,
    },
    /// Baton is shutting down.
    #[error("Baton is shutting down")]
    ShutDown,
}

type Started = Option<Result<Arc<Agent>, StartError>>;

/// What a process is found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    launch: Launch,
    /// It is retired: it takes no new work. The number identifies it.
    retired: Option<u64>,
}

impl From<&Launch> for Key {
    fn from(launch: &Launch) -> Self {
        Self {
            launch: launch.clone(),
            retired: None,
        }
    }
}

type Slots = HashMap<Key, Slot>;

struct Slot {
    serial: u64,
    state: watch::Receiver<Started>,
}

/// The pool.
pub struct Pool {
    slots: Mutex<Slots>,
    serial: AtomicU64,
    shut_down: std::sync::atomic::AtomicBool,
    limits: PoolLimits,
    timeouts: Timeouts,
    cwd: PathBuf,
    ledger: Arc<dyn Ledger>,
    starter: Arc<dyn Starter>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// An empty pool whose processes start in `cwd`.
    pub fn new(
        limits: PoolLimits,
        timeouts: Timeouts,
        cwd: PathBuf,
        ledger: Arc<dyn Ledger>,
    ) -> Arc<Self> {
        Self::with_starter(limits, timeouts, cwd, ledger, Arc::new(Processes))
    }

    /// The same, with another way of starting agents.
    pub fn with_starter(
        limits: PoolLimits,
        timeouts: Timeouts,
        cwd: PathBuf,
        ledger: Arc<dyn Ledger>,
        starter: Arc<dyn Starter>,
    ) -> Arc<Self> {
        Arc::new(Self {
            slots: Mutex::new(HashMap::new()),
            serial: AtomicU64::new(1),
            shut_down: false.into(),
            limits,
            timeouts,
            cwd,
            ledger,
            starter,
        })
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock()
    }

    /// The running agent for this launch; it is started when there is none. Callers who want the
    /// same one at the same time wait for one start.
    ///
    /// # Errors
    /// When it cannot be started, or when there is no room.
    pub async fn get(self: &Arc<Self>, launch: &Launch) -> Result<Arc<Agent>, StartError> {
        let mut state = self.slot(launch)?;
        match state.wait_for(Option::is_some).await {
            Ok(started) => started.clone().unwrap_or(Err(StartError::ShutDown)),
            Err(_) => Err(StartError::Handshake(
                "starting it has failed in Baton".to_owned(),
            )),
        }
    }

    fn slot(self: &Arc<Self>, launch: &Launch) -> Result<watch::Receiver<Started>, StartError> {
        let mut slots = self.slots();
        if self.shut_down.load(Ordering::Acquire) {
            return Err(StartError::ShutDown);
        }
        let usable = |slot: &Slot| match &*slot.state.borrow() {
            // A start whose task is gone will never come to anything.
            None => slot.state.has_changed().is_ok(),
            Some(Ok(agent)) => !agent.connection.is_closed(),
            Some(Err(_)) => false,
        };
        let key = Key::from(launch);
        if let Some(slot) = slots.get(&key).filter(|slot| usable(slot)) {
            return Ok(slot.state.clone());
        }
        slots.remove(&key);
        if slots.len() >= self.limits.live {
            self.make_room(&mut slots)?;
        }
        let (sender, state) = watch::channel(None);
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        slots.insert(
            key,
            Slot {
                serial,
                state: state.clone(),
            },
        );
        tokio::spawn(Arc::clone(self).start(launch.clone(), serial, sender));
        Ok(state)
    }

    fn make_room(&self, slots: &mut Slots) -> Result<(), StartError> {
        let idle = |slot: &Slot| match &*slot.state.borrow() {
            Some(Ok(agent)) => agent.idle_since(),
            _ => None,
        };
        let longest = slots
            .iter()
            .filter_map(|(key, slot)| Some((idle(slot)?, key.clone())))
            .min_by_key(|(since, _)| *since);
        let Some((_, key)) = longest else {
            return Err(StartError::Full {
                live: self.limits.live,
            });
        };
        remove(slots, &key, Why::Room);
        Ok(())
    }

    async fn start(self: Arc<Self>, launch: Launch, serial: u64, sender: watch::Sender<Started>) {
        let started = self.start_now(&launch, serial).await;
        let running = started.as_ref().ok().map(Arc::clone);
        sender.send_replace(Some(started));
        if let Some(agent) = running {
            agent.tell_start();
            // Keeps the slot's place until the process is really gone, also after a crash.
            agent.connection.closed().await;
            agent.end().await;
            agent.process.note_end(self.ledger.as_ref());
            agent.tell_end().await;
        }
        self.slots().retain(|_, slot| slot.serial != serial);
    }

    async fn start_now(&self, launch: &Launch, serial: u64) -> Result<Arc<Agent>, StartError> {
        let asked = Instant::now();
        let (process, pipes) = self
            .starter
            .start(launch, &self.cwd, self.timeouts.end)
            .map_err(|error| StartError::Spawn(format!("{}: {error}", launch.command.join(" "))))?;
        process.note_start(self.ledger.as_ref(), &launch.backend);
        let connection = Connection::open_within(self.limits.early, pipes.stdin, pipes.stdout);
        match client::initialize(&connection, self.timeouts.start).await {
            Ok(info) => Ok(Arc::new(Agent::new(
                launch.clone(),
                connection,
                info,
                process,
                (serial, asked),
            ))),
            Err(error) => {
                drop(connection);
                process.end().await;
                process.note_end(self.ledger.as_ref());
                Err(StartError::Handshake(last_words(&process, &error).await))
            }
        }
    }

    /// Ends an agent that misbehaves, at once; sessions that used it start another.
    pub async fn discard(&self, agent: &Arc<Agent>) {
        self.slots().retain(|_, slot| slot.serial != agent.serial);
        agent.request_end_now(Why::Deaf);
        agent.process.exited().await;
    }

    /// From now on this agent takes no new work: the next caller who wants one like it gets a new process. Who is at work
    /// with it goes on; then it ends.
    pub fn retire(&self, agent: &Arc<Agent>) {
        {
            let mut slots = self.slots();
            let mut key = Key::from(&agent.launch);
            let is_it = slots
                .get(&key)
                .is_some_and(|slot| slot.serial == agent.serial);
            if is_it && let Some(slot) = slots.remove(&key) {
                key.retired = Some(agent.serial);
                slots.insert(key, slot);
            }
        }
        agent.retire();
    }

    /// Ends processes that were not used for the idle time; runs until it is dropped.
    pub async fn evict_idle(self: Arc<Self>) {
        let mut ticks =
            tokio::time::interval((self.limits.idle / 4).max(Duration::from_millis(100)));
        loop {
            ticks.tick().await;
            let mut slots = self.slots();
            let stale = |slot: &Slot| match &*slot.state.borrow() {
                Some(Ok(agent)) => agent
                    .idle_since()
                    .is_some_and(|since| since.elapsed() >= self.limits.idle),
                _ => false,
            };
            let keys: Vec<_> = slots
                .iter()
                .filter(|(_, slot)| stale(slot))
                .map(|(key, _)| key.clone())
                .collect();
            for key in keys {
                remove(&mut slots, &key, Why::Idle);
            }
        }
    }

    /// Ends the processes that are not at work, however recently they were.
    pub fn end_idle(&self) {
        let mut slots = self.slots();
        let idle = |slot: &Slot| match &*slot.state.borrow() {
            Some(Ok(agent)) => agent.idle_since().is_some(),
            _ => false,
        };
        let keys: Vec<_> = slots
            .iter()
            .filter(|(_, slot)| idle(slot))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            remove(&mut slots, &key, Why::Anew);
        }
    }

    /// How many processes can be used now, and how many are being started.
    pub fn count(&self) -> (u64, u64) {
        let (mut live, mut starting) = (0, 0);
        for slot in self.slots().values() {
            match &*slot.state.borrow() {
                Some(Ok(agent)) if !agent.connection.is_closed() => live += 1,
                None => starting += 1,
                Some(_) => {}
            }
        }
        (live, starting)
    }

    /// Process ids that are running now, by backend.
    pub fn running(&self) -> Vec<(String, u32)> {
        let pid = |slot: &Slot| match &*slot.state.borrow() {
            Some(Ok(agent)) => agent.process.pid,
            _ => None,
        };
        self.slots()
            .iter()
            .filter_map(|(key, slot)| Some((key.launch.backend.clone(), pid(slot)?)))
            .collect()
    }

    /// From now on no further process is started, and those that are not at work, or gone, begin to end.
    pub fn close(&self) {
        self.shut_down.store(true, Ordering::Release);
        let deadline = Instant::now() + END_ALL_WITHIN;
        for slot in self.slots().values() {
            if let Some(Ok(agent)) = &*slot.state.borrow()
                && (agent.idle_since().is_some() || agent.connection.is_closed())
            {
                agent.note_why(Why::Stop);
                agent.connection.close();
                agent.process.request_end_by(deadline);
            }
        }
    }

    /// Ends every process, soon, and waits until all are gone. No further one can be started.
    pub async fn shut_down(&self) {
        self.shut_down.store(true, Ordering::Release);
        let deadline = Instant::now() + END_ALL_WITHIN;
        let states: Vec<_> = self
            .slots()
            .values()
            .map(|slot| slot.state.clone())
            .collect();
        let ends = states.into_iter().map(|mut state| async move {
            // One that is still starting at the deadline is found in the record of running processes.
            let started = tokio::time::timeout_at(deadline, state.wait_for(Option::is_some)).await;
            let agent = match started {
                Ok(Ok(started)) => started.clone(),
                _ => None,
            };
            if let Some(Ok(agent)) = agent {
                agent.note_why(Why::Stop);
                agent.connection.close();
                agent.process.request_end_by(deadline);
                agent.process.exited().await;
                agent.process.note_end(self.ledger.as_ref());
            }
        });
        futures_util::future::join_all(ends).await;
    }
}

fn remove(slots: &mut Slots, key: &Key, why: Why) {
    if let Some(slot) = slots.remove(key)
        && let Some(Ok(agent)) = &*slot.state.borrow()
    {
        agent.request_end(why);
    }
}
