//! The sessions that are in memory: those at work, and those used lately. All others are in the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::OnceCell;

use super::commit::Office;
use super::{Binding, Cell, SessionState, Stored};
use crate::nodes::Hold;
use crate::opencode::SessionId;
use crate::session::Error;
use crate::store::{SessionRow, StoreError};

/// Sessions are let go in groups: one part in this many of those that are kept.
const LET_GO_DIVISOR: usize = 8;

/// A session that is in memory, or on its way into it. There is one for an id at any time, so that a
/// session is never in memory twice.
#[derive(Debug, Default)]
struct Slot {
    cell: OnceCell<Arc<Cell>>,
    used: AtomicU64,
}

/// See the module.
pub(crate) struct Loaded {
    office: Arc<Office>,
    slots: Mutex<HashMap<SessionId, Arc<Slot>>>,
    clock: AtomicU64,
    /// Sessions that are kept although they are not at work.
    keeps: usize,
}

impl Loaded {
    /// Nothing is in memory yet.
    pub(crate) fn new(office: Arc<Office>, keeps: usize) -> Self {
        Self {
            office,
            slots: Mutex::default(),
            clock: AtomicU64::new(0),
            keeps: keeps.max(1),
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Slot>>> {
        // The map is valid between any two steps.
        self.slots.lock()
    }

    /// A session, from memory or from the store. One that this server does not hold is only looked at: nothing of it can
    /// be changed, and it is not kept.
    ///
    /// # Errors
    /// No such session, or a failing store.
    pub(crate) async fn find(&self, id: &SessionId) -> Result<Arc<Cell>, Error> {
        if !self.office.nodes.holds(id) {
            return self.load(id, None).await;
        }
        loop {
            match self.enter(id, || self.take_up(id)).await {
                // It was lost once, and is held again.
                Err(Error::Store(StoreError::TakenOver(_))) if self.office.nodes.holds(id) => {}
                found => return found,
            }
        }
    }

    /// The same for one that is going to be changed, and that nobody has asked this server for.
    ///
    /// # Errors
    /// The same, and [`StoreError::TakenOver`] when another server has it.
    pub(crate) async fn find_to_change(&self, id: &SessionId) -> Result<Arc<Cell>, Error> {
        let nodes = &self.office.nodes;
        if nodes.drains() && !nodes.holds(id) {
            return Err(StoreError::TakenOver(id.clone()).into());
        }
        match nodes.hold(id, false).await? {
            Hold::Here => self.find(id).await,
            Hold::Elsewhere(_) => Err(StoreError::TakenOver(id.clone()).into()),
        }
    }

    /// Reads a session that this server holds now.
    async fn take_up(&self, id: &SessionId) -> Result<Arc<Cell>, Error> {
        let lease = self.office.nodes.lease(id);
        let cell = self.load(id, lease.map(|lease| lease.epoch)).await?;
        if lease.is_some_and(|lease| lease.unclean) {
            cell.interrupt_open().await?;
            self.office.nodes.is_clean(id);
        }
        Ok(cell)
    }

    async fn load(&self, id: &SessionId, epoch: Option<u64>) -> Result<Arc<Cell>, Error> {
        let row = self.office.store.session(id).await?;
        let row = row.ok_or_else(|| Error::NotFound(id.clone()))?;
        let (state, stored) = read(row)?;
        let stored = Stored { epoch, ..stored };
        Ok(Cell::new(Arc::clone(&self.office), state, stored))
    }

    /// Puts a new session in, once it is made.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) async fn enter<M>(
        &self,
        id: &SessionId,
        make: impl FnOnce() -> M,
    ) -> Result<Arc<Cell>, Error>
    where
        M: Future<Output = Result<Arc<Cell>, Error>>,
    {
        let slot = self.slot(id);
        let cell = slot.cell.get_or_try_init(make).await.cloned();
        let gone = match &cell {
            Ok(cell) if cell.committed().runtime().is_lost() || !cell.is_current() => {
                Some(StoreError::TakenOver(id.clone()).into())
            }
            Ok(cell) if cell.committed().runtime().is_deleted() => {
                Some(Error::NotFound(id.clone()))
            }
            Ok(_) => None,
            Err(error) => Some(error.clone()),
        };
        if let Some(error) = gone {
            self.leave(id, &slot);
            return Err(error);
        }
        cell
    }

    fn slot(&self, id: &SessionId) -> Arc<Slot> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut slots = self.slots();
        if let Some(slot) = slots.get(id) {
            slot.used.store(now, Ordering::Relaxed);
            return Arc::clone(slot);
        }
        if slots.len() > self.keeps + self.keeps / LET_GO_DIVISOR {
            self.let_go(&mut slots);
        }
        let slot = Arc::new(Slot::default());
        slot.used.store(now, Ordering::Relaxed);
        slots.insert(id.clone(), Arc::clone(&slot));
        slot
    }

    /// Forgets a slot in which there is no session, unless somebody else makes one in it right now: two slots
    /// for one id would be two sessions.
    fn leave(&self, id: &SessionId, slot: &Arc<Slot>) {
        let mut slots = self.slots();
        let is_this = |current: &Arc<Slot>| Arc::ptr_eq(current, slot);
        // One is the map's and one the caller's; nobody can get another while the map is locked.
        let wanted = slot.cell.get().is_none() && Arc::strong_count(slot) > 2;
        if slots.get(id).is_some_and(is_this) && !wanted {
            slots.remove(id);
        }
    }

    /// Forgets a session that was deleted.
    pub(crate) fn forget(&self, id: &SessionId) {
        self.slots().remove(id);
        self.office.nodes.has_lost(id);
    }

    /// Lets go of a session that nobody uses, whenever it was used last; false when somebody does.
    pub(crate) fn let_go_of(&self, id: &SessionId) -> bool {
        let mut slots = self.slots();
        let is_free = slots.get(id).is_none_or(is_free);
        if is_free {
            slots.remove(id);
            self.office.nodes.give_back([id.clone()]);
        }
        is_free
    }

    /// Lets go of all that nobody uses. Answers how many are left.
    pub(crate) fn let_go_of_all(&self) -> usize {
        let mut slots = self.slots();
        let free = slots.iter().filter(|(_, slot)| is_free(slot));
        let free: Vec<_> = free.map(|(id, _)| id.clone()).collect();
        for id in &free {
            slots.remove(id);
        }
        self.office.nodes.give_back(free);
        slots.len()
    }

    /// Lets go of the least recently used ones. One that somebody holds is never among them: the
    /// map is locked, so it cannot be taken meanwhile.
    fn let_go(&self, slots: &mut HashMap<SessionId, Arc<Slot>>) {
        let mut free: Vec<_> = slots
            .iter()
            .filter(|(_, slot)| is_free(slot))
            .map(|(id, slot)| (slot.used.load(Ordering::Relaxed), id.clone()))
            .collect();
        free.sort_unstable_by_key(|(used, _)| *used);
        let surplus = slots.len().saturating_sub(self.keeps);
        let free: Vec<_> = free.into_iter().take(surplus).map(|(_, id)| id).collect();
        for id in &free {
            slots.remove(id);
        }
        self.office.nodes.give_back(free);
    }

    /// A session that is in memory.
    pub(crate) fn peek(&self, id: &SessionId) -> Option<Arc<Cell>> {
        let slots = self.slots();
        slots.get(id)?.cell.get().cloned()
    }
}

/// Whether nobody holds a session.
fn is_free(slot: &Arc<Slot>) -> bool {
    // There is none where its caller has hung up.
    let cell = slot.cell.get();
    Arc::strong_count(slot) == 1 && cell.is_none_or(|c| Arc::strong_count(c) == 1)
}

/// Reads what the store has of a session.
fn read(row: SessionRow) -> Result<(SessionState, Stored), StoreError> {
    let state = read_state(&row.body)?;
    // A binding that cannot be read costs only a handover of the transcript.
    let bindings: BTreeMap<String, Binding> = row
        .bindings
        .iter()
        .filter_map(|(backend, body)| Some((backend.clone(), serde_json::from_str(body).ok()?)))
        .collect();
    let stored = Stored {
        row: Some(row.revision),
        bindings,
        last_seq: row.last_seq,
        epoch: None,
    };
    Ok((state, stored))
}

/// Reads the body of a session's row.
///
/// # Errors
/// When it is damaged.
pub(crate) fn read_state(body: &str) -> Result<SessionState, StoreError> {
    serde_json::from_str(body).map_err(|error| {
        StoreError::Database(format!("the state of a session is damaged: {error}"))
    })
}
