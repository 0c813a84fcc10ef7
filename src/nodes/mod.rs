//! Several servers on one store: which of them works on a session.
//!
//! A server takes a session's lease before it changes anything about it ([`Nodes::hold`]), names the lease's epoch with every
//! batch, and gives it back when it lets go of the session. It tells the database that it is alive ([`beat`]); when it has not
//! been able to for as long as a lease lasts, it stops working, since another one may have begun to. Where a store has one server,
//! that holds everything.
//!
//! *Absent here:* HTTP, SQL, and what a session is.

pub mod beat;
pub mod follow;
pub mod growth;
mod settings;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::opencode::SessionId;
use crate::store::StoreError;
use crate::store::shared::{Claim, Node, Owner, SeenNode, SharedStore};

use growth::Growth;
pub use settings::{DEFAULT_DRAIN, DEFAULT_LEASE, NodeSettings, Placement};

/// The others are read again after this time.
const OTHERS_FOR: Duration = Duration::from_millis(250);
/// How often whoever waits for another server looks whether it is alive.
const LOOK_FOR_OTHERS: Duration = Duration::from_millis(500);

/// The lease of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its epoch.
    pub epoch: u64,
    /// Whoever had it before has not given it back: what it was in the middle of is not over.
    pub unclean: bool,
}

/// Who has a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// This server.
    Here,
    /// Another one, which is alive.
    Elsewhere(Owner),
}

/// The servers on one store.
pub struct Nodes(Option<Shared>);

struct Shared {
    store: Arc<dyn SharedStore>,
    id: String,
    url: String,
    settings: NodeSettings,
    held: Mutex<HashMap<SessionId, Lease>>,
    drains: CancellationToken,
    growth: Growth,
    /// When the database was told last that this server is alive, by when that was begun.
    told: Mutex<tokio::time::Instant>,
    /// The others that were alive, and when that was read.
    others: tokio::sync::Mutex<Option<(Instant, Vec<SeenNode>)>>,
}

impl std::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nodes")
            .field("id", &self.0.as_ref().map(|shared| &shared.id))
            .finish_non_exhaustive()
    }
}

impl Nodes {
    /// The only server of a store.
    pub fn alone() -> Arc<Self> {
        Arc::new(Self(None))
    }

    /// One of several: with its name, and where the others reach it.
    pub fn shared(
        store: Arc<dyn SharedStore>,
        id: String,
        url: String,
        settings: NodeSettings,
    ) -> Arc<Self> {
        Arc::new(Self(Some(Shared {
            store,
            id,
            url,
            settings,
            held: Mutex::default(),
            drains: CancellationToken::new(),
            growth: Growth::default(),
            told: Mutex::new(tokio::time::Instant::now()),
            others: tokio::sync::Mutex::default(),
        })))
    }

    /// Whether other servers use the store, too.
    pub fn is_shared(&self) -> bool {
        self.0.is_some()
    }

    /// What is configured about the others, where there are any.
    pub fn settings(&self) -> Option<&NodeSettings> {
        self.0.as_ref().map(|shared| &shared.settings)
    }

    /// Its name.
    pub fn id(&self) -> Option<&str> {
        self.0.as_ref().map(|shared| shared.id.as_str())
    }

    /// The lease of a session that this server holds; the only server has none, and needs none.
    pub fn lease(&self, session: &SessionId) -> Option<Lease> {
        self.0.as_ref()?.held.lock().get(session).copied()
    }

    /// Whether this server may change a session.
    pub fn holds(&self, session: &SessionId) -> bool {
        let shared = self.0.as_ref();
        shared.is_none_or(|shared| shared.held.lock().contains_key(session))
    }

    /// Takes a session, unless another server has it that is alive; with `by_force` also then.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn hold(&self, session: &SessionId, by_force: bool) -> Result<Hold, StoreError> {
        let Some(shared) = &self.0 else {
            return Ok(Hold::Here);
        };
        if shared.held.lock().contains_key(session) {
            return Ok(Hold::Here);
        }
        Ok(match shared.store.claim(session, by_force).await? {
            Claim::Held { epoch, taken_over } => {
                metrics::lease_taken(taken_over);
                let unclean = taken_over;
                let lease = Lease { epoch, unclean };
                // Two that have asked at the same time have got two epochs, of which the later one holds.
                let mut held = shared.held.lock();
                let known = held.entry(session.clone()).or_insert(lease);
                if known.epoch < epoch {
                    *known = Lease {
                        unclean: unclean || known.unclean,
                        ..lease
                    };
                }
                Hold::Here
            }
            Claim::Elsewhere(owner) => Hold::Elsewhere(owner),
        })
    }

    /// Whether nobody can have taken a session that this server holds: it was heard of within the time of a lease. One that
    /// was suspended finds out here that it has to ask.
    pub fn is_sure(&self) -> bool {
        let shared = self.0.as_ref();
        shared.is_none_or(|shared| shared.told.lock().elapsed() < shared.settings.lease)
    }

    /// Whether another server has taken a session that this one holds, as far as it knows.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn is_taken(&self, session: &SessionId) -> Result<bool, StoreError> {
        let (Some(shared), Some(lease)) = (&self.0, self.lease(session)) else {
            return Ok(false);
        };
        let held = vec![(session.clone(), lease.epoch)];
        Ok(!shared.store.taken(held).await?.is_empty())
    }

    /// What a session was in the middle of is over now.
    pub fn is_clean(&self, session: &SessionId) {
        self.note(session, false);
    }

    /// A session is in the middle of something that nobody goes on with.
    pub fn is_unclean(&self, session: &SessionId) {
        self.note(session, true);
    }

    fn note(&self, session: &SessionId, unclean: bool) {
        let Some(shared) = &self.0 else { return };
        if let Some(lease) = shared.held.lock().get_mut(session) {
            lease.unclean = unclean;
        }
    }

    /// The server that works on a session, if that is another one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn other_owner(&self, session: &SessionId) -> Result<Option<Owner>, StoreError> {
        let Some(shared) = &self.0 else {
            return Ok(None);
        };
        if shared.held.lock().contains_key(session) {
            return Ok(None);
        }
        let owner = shared.store.owner(session).await?;
        Ok(owner.filter(|owner| owner.id != shared.id))
    }

    /// Lets go of sessions: any server may take them now. It is done in the background.
    pub fn give_back(&self, sessions: impl IntoIterator<Item = SessionId>) {
        let Some(shared) = &self.0 else { return };
        let mut held = shared.held.lock();
        let sessions = sessions.into_iter();
        let released: Vec<_> = sessions
            .filter_map(|session| {
                let lease = held.remove(&session)?;
                Some((session, lease.epoch))
            })
            .collect();
        drop(held);
        if released.is_empty() {
            return;
        }
        let release = shared.store.release(released);
        tokio::spawn(async move {
            // Then they are free when this server is not alive any more, or takes them itself.
            if let Err(error) = release.await {
                tracing::debug!("leases were not given back: {error}");
            }
        });
    }

    /// Another server has taken a session.
    pub fn has_lost(&self, session: &SessionId) {
        if let Some(shared) = &self.0 {
            shared.held.lock().remove(session);
        }
    }

    /// All servers.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn all(&self) -> Result<Vec<SeenNode>, StoreError> {
        match &self.0 {
            Some(shared) => shared.store.nodes().await,
            None => Ok(Vec::new()),
        }
    }

    /// The others that are alive, as they were a moment ago: many requests ask for them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn others(&self) -> Result<Vec<SeenNode>, StoreError> {
        let Some(shared) = &self.0 else {
            return Ok(Vec::new());
        };
        let mut others = shared.others.lock().await;
        if let Some((read, others)) = &*others
            && read.elapsed() < OTHERS_FOR
        {
            return Ok(others.clone());
        }
        let mut alive = shared.store.nodes().await?;
        alive.retain(|seen| seen.alive.is_some() && seen.node.id != shared.id);
        *others = Some((Instant::now(), alive.clone()));
        Ok(alive)
    }

    /// Resolves when another server is not alive any more.
    pub async fn is_gone(&self, id: &str) {
        loop {
            tokio::time::sleep(LOOK_FOR_OTHERS).await;
            // Where the database does not answer, nobody knows.
            if let Ok(others) = self.others().await
                && !others.iter().any(|other| other.node.id == id)
            {
                return;
            }
        }
    }

    /// From now on this server takes no new work.
    pub fn drain(&self) {
        if let Some(shared) = &self.0 {
            shared.drains.cancel();
        }
    }

    /// Whether it takes no new work.
    pub fn drains(&self) -> bool {
        let shared = self.0.as_ref();
        shared.is_some_and(|shared| shared.drains.is_cancelled())
    }

    /// Waits until it takes no new work; for ever where there are no others.
    pub async fn drained(&self) {
        match &self.0 {
            Some(shared) => shared.drains.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Gives everything back, at the end.
    pub async fn leave(&self) {
        let Some(shared) = &self.0 else { return };
        shared.held.lock().clear();
        if let Err(error) = shared.store.leave().await {
            tracing::warn!("the others are not told that this node leaves: {error}");
        }
    }
}

impl Shared {
    /// What this server says of itself.
    fn node(&self, load: String) -> Node {
        Node {
            id: self.id.clone(),
            url: self.url.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            drains: self.drains.is_cancelled(),
            load,
        }
    }

    fn all_held(&self) -> Vec<(SessionId, u64)> {
        let held = self.held.lock();
        let held = held.iter();
        held.map(|(session, lease)| (session.clone(), lease.epoch))
            .collect()
    }
}
