//! A store that several servers use: who they are, which of them works on a session, and what has happened in the others.
//!
//! A server is alive until a moment by the clock of the database, which it puts off again and again. It works on a session
//! while it holds the session's lease; every batch for the session names the lease's epoch ([`Change::Held`]), and is refused
//! when another server has taken the session since. So a server that was paused, or that could not reach the database, writes
//! nothing over what another has done.
//!
//! [`Change::Held`]: super::Change::Held

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::StoreError;
use crate::opencode::SessionId;

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name of its data directory.
    pub id: String,
    /// Where the others reach it.
    pub url: String,
    /// Its version.
    pub version: String,
    /// It takes no new work.
    pub drains: bool,
    /// How much is going on there, as JSON.
    pub load: String,
}

/// A server as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenNode {
    /// What it says.
    pub node: Node,
    /// When it was started, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// How long it counts as alive if nothing more is heard of it; none when that is over.
    pub alive: Option<Duration>,
    /// Sessions whose lease it holds.
    pub leases: u64,
}

/// What became of the wish for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is held now, under this epoch.
    Held {
        /// The epoch.
        epoch: u64,
        /// Another server, or an earlier start of this one, had it and has not given it back.
        taken_over: bool,
    },
    /// Another server that is alive has it.
    Elsewhere(Owner),
}

/// Who works on a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Which server.
    pub id: String,
    /// Where it is reached.
    pub url: String,
    /// It takes no new work.
    pub drains: bool,
}

/// An event as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number: those of all servers, in the order of the commits, without a gap.
    pub seq: u64,
    /// Whose, if it concerns a session.
    pub session: Option<String>,
    /// Its directory; empty for what concerns all.
    pub directory: String,
    /// `{"id", "type", "properties"}`.
    pub json: String,
    /// The events that were stored together with it are over.
    pub last: bool,
}

/// How far the events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventHead {
    /// The last one.
    pub seq: u64,
    /// The last one that is gone.
    pub pruned: u64,
}

/// Events that are kept for those who come back, whichever is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventsKept {
    /// Those of so long.
    pub time: Duration,
    /// So many.
    pub events: u64,
    /// So many bytes of their JSON.
    pub bytes: u64,
}

/// What several servers share besides the sessions themselves. Errors are those of the database.
pub trait SharedStore: Send + Sync + 'static {
    /// Notes that this server is alive for so long from now on. The first time it takes over what an earlier start of it was
    /// called; after that it is refused when a later start has done so.
    fn beat(
        &self,
        node: Node,
        lease: Duration,
        first: bool,
    ) -> BoxFuture<'static, Result<(), StoreError>>;
    /// All servers that are known, by their ids.
    fn nodes(&self) -> BoxFuture<'static, Result<Vec<SeenNode>, StoreError>>;
    /// Takes a session, unless another server that is alive has it; with `by_force` also then.
    fn claim(
        &self,
        session: &SessionId,
        by_force: bool,
    ) -> BoxFuture<'static, Result<Claim, StoreError>>;
    /// The server that works on a session and is alive.
    fn owner(&self, session: &SessionId) -> BoxFuture<'static, Result<Option<Owner>, StoreError>>;
    /// Gives sessions back that are held under these epochs.
    fn release(&self, held: Vec<(SessionId, u64)>) -> BoxFuture<'static, Result<(), StoreError>>;
    /// Those of these sessions that another server has taken.
    fn taken(
        &self,
        held: Vec<(SessionId, u64)>,
    ) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>>;
    /// Sessions in the middle of something that no server which is alive works on, at most so many.
    fn orphans(&self, most: usize) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>>;
    /// This server leaves: it is not alive, and holds nothing.
    fn leave(&self) -> BoxFuture<'static, Result<(), StoreError>>;
    /// How far the events go.
    fn event_head(&self) -> BoxFuture<'static, Result<EventHead, StoreError>>;
    /// Events after one, in order, at most so many.
    fn events(
        &self,
        after: u64,
        most: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredEvent>, StoreError>>;
    /// Forgets the oldest events beyond what is kept.
    fn prune_events(&self, kept: EventsKept) -> BoxFuture<'static, Result<(), StoreError>>;
    /// Changes whenever there may be new events. It may change too often, and where the way to the database was lost, too
    /// late: who follows looks now and then, too.
    fn news(&self) -> watch::Receiver<u64>;
}
