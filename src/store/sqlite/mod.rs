//! The store on SQLite: one thread that writes, a few connections that read, one that brings the log back.

mod changes;
mod checkpoint;
mod connection;
mod error;
mod identity;
mod list;
mod migrate;
mod moved;
mod presence;
mod readers;
mod reads;
mod reserve;
mod search;
pub mod upkeep;
pub(super) mod whole;
mod writer;

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use super::data_dir::marker::Identity;
use super::{
    Change, MessageRange, MessageRow, ProcessRow, SessionQuery, SessionRow, Store, StoreError,
};
use crate::opencode::{MessageId, SessionId};
use checkpoint::Checkpoints;
pub use connection::Durability;
use connection::Role;
pub(super) use identity::identity;
pub(super) use migrate::schema;
use presence::Presence;
use readers::Readers;
use reserve::Reserve;
use writer::{AtRest, Job, Work, Writer};

/// Where work for the writer goes; `None` once the store was closed.
type Queue = Arc<Mutex<Option<mpsc::Sender<Work>>>>;

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    queue: Queue,
    writer: Mutex<Option<thread::JoinHandle<()>>>,
    readers: Arc<Readers>,
}

/// How a store is opened.
#[derive(Default)]
pub struct Opening {
    /// What its commits outlive.
    pub durability: Durability,
    /// What it says about itself from now on.
    pub identity: Option<Identity>,
    /// Called when it is about to be closed cleanly and nothing is left in the log. Answers whether that was
    /// noted.
    pub at_rest: Option<AtRest>,
}

impl SqliteStore {
    /// Opens the file, makes it if it is missing, and brings its tables up to date. Blocks.
    ///
    /// # Errors
    /// When the file cannot be opened, or was written by a newer Baton.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Opening::default())
    }

    /// The same with more to say. Blocks.
    ///
    /// # Errors
    /// When the file cannot be opened, or was written by a newer Baton.
    pub fn open_with(path: &Path, opening: Opening) -> Result<Self, StoreError> {
        let mut connection = connection::open(path, Role::Writer)?;
        if migrate::migrate(&mut connection)? {
            // A migration may have written every row anew.
            checkpoint::truncate(&connection)?;
        }
        if let Some(identity) = &opening.identity {
            identity::write(&connection, identity)?;
        }
        opening.durability.apply(&connection)?;
        if let Err(error) = moved::sort_in(&connection) {
            // A full disk is no reason not to start; the first list tries it again.
            tracing::warn!("lists are not in the order of the last use yet: {error}");
        }
        let checkpoints = Checkpoints::start(path)?;
        let writer = Writer {
            connection,
            write: changes::write,
            groups: 0,
            presence: Presence::of(path),
            reserve: Reserve::beside(path),
            at_rest: opening.at_rest,
        };
        let (sender, queue) = mpsc::channel();
        let writer = thread::Builder::new()
            .name("baton-store".to_owned())
            .spawn(move || writer.run(&queue, checkpoints))
            .map_err(|error| StoreError::Database(error.to_string()))?;
        Ok(Self {
            queue: Arc::new(Mutex::new(Some(sender))),
            writer: Mutex::new(Some(writer)),
            readers: Arc::new(Readers::new(path.to_owned())),
        })
    }

    /// Commits what is queued and closes the file. Blocks.
    pub fn close(&self) {
        self.let_go().close();
    }

    /// Takes no more work; what is left to do is done by whoever closes it.
    fn let_go(&self) -> Leaving {
        self.readers.close();
        drop(self.queue.lock().take());
        Leaving(self.writer.lock().take())
    }

    fn read<T, F>(&self, query: F) -> BoxFuture<'static, Result<T, StoreError>>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        Box::pin(Arc::clone(&self.readers).read(query))
    }

    /// Reads what is ordered by use: has sorted in first what was used since, if anything was.
    fn read_by_use<T, F>(&self, query: F) -> BoxFuture<'static, Result<T, StoreError>>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, StoreError> + Send + Sync + 'static,
    {
        let (query, queue) = (Arc::new(query), Arc::clone(&self.queue));
        let first = Arc::clone(&query);
        let read = self.read(move |db| match moved::any(db)? {
            true => Ok(None),
            false => first(db).map(Some),
        });
        let readers = Arc::clone(&self.readers);
        Box::pin(async move {
            if let Some(found) = read.await? {
                return Ok(found);
            }
            let (done, sorted) = oneshot::channel();
            if give(&queue, Work::SortIn(done)) {
                // Where that fails, because the disk is full, the order is the one from before.
                let _closed = sorted.await;
            }
            readers.read(move |db| query(db)).await
        })
    }
}

/// A store that takes no more work.
struct Leaving(Option<thread::JoinHandle<()>>);

impl Leaving {
    /// Waits until what was queued is written. Blocks.
    fn close(self) {
        if let Some(writer) = self.0
            && writer.join().is_err()
        {
            tracing::error!("the store's writer thread has panicked");
        }
    }
}

/// Queues work for the writer. False when the store was closed.
fn give(queue: &Queue, work: Work) -> bool {
    let queue = queue.lock();
    queue.as_ref().is_some_and(|queue| queue.send(work).is_ok())
}

impl Store for SqliteStore {
    fn commit(&self, batch: Vec<Change>) -> BoxFuture<'static, Result<(), StoreError>> {
        let (done, answer) = oneshot::channel();
        // Queued here and not in the future, so that the order of calls is the order of commits.
        let queued = give(&self.queue, Work::Write(Job { batch, done }));
        Box::pin(async move {
            if !queued {
                return Err(StoreError::Closed);
            }
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    fn session(
        &self,
        id: &SessionId,
    ) -> BoxFuture<'static, Result<Option<SessionRow>, StoreError>> {
        let id = id.clone();
        self.read(move |db| reads::session(db, &id))
    }

    fn sessions(
        &self,
        query: SessionQuery,
    ) -> BoxFuture<'static, Result<Option<Vec<String>>, StoreError>> {
        let by_use = list::is_by_use(&query);
        let list = move |db: &Connection| list::sessions(db, &query);
        match by_use {
            true => self.read_by_use(list),
            false => self.read(list),
        }
    }

    fn count_sessions(&self) -> BoxFuture<'static, Result<u64, StoreError>> {
        self.read(list::count)
    }

    fn family(&self, id: &SessionId) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>> {
        let id = id.clone();
        self.read(move |db| list::family(db, &id))
    }

    fn children(&self, id: &SessionId) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        let id = id.clone();
        self.read_by_use(move |db| list::children(db, &id))
    }

    fn bound(
        &self,
        backend: &str,
        native_session: &str,
    ) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>> {
        let (backend, native_session) = (backend.to_owned(), native_session.to_owned());
        self.read(move |db| reads::bound(db, &backend, &native_session))
    }

    fn restoring(&self) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>> {
        self.read(list::restoring)
    }

    fn messages(
        &self,
        session: &SessionId,
        range: MessageRange,
    ) -> BoxFuture<'static, Result<Vec<MessageRow>, StoreError>> {
        let session = session.clone();
        self.read(move |db| reads::messages(db, &session, &range))
    }

    fn message(
        &self,
        session: &SessionId,
        id: &MessageId,
    ) -> BoxFuture<'static, Result<Option<MessageRow>, StoreError>> {
        let (session, id) = (session.clone(), id.clone());
        self.read(move |db| reads::message(db, &session, &id))
    }

    fn open_messages(&self) -> BoxFuture<'static, Result<Vec<MessageRow>, StoreError>> {
        self.read(reads::open_messages)
    }

    fn switches(&self, session: &SessionId) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        let session = session.clone();
        let sql = "SELECT body FROM switch WHERE session = ?1 ORDER BY revision";
        self.read(move |db| reads::texts(db, sql, params![session.as_str()]))
    }

    fn switch(
        &self,
        session: &SessionId,
        revision: u64,
    ) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        let session = session.clone();
        let sql = "SELECT body FROM switch WHERE session = ?1 AND revision = ?2";
        self.read(move |db| Ok(reads::texts(db, sql, params![session.as_str(), revision])?.pop()))
    }

    fn handovers(
        &self,
        session: &SessionId,
        revision: u64,
    ) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        let session = session.clone();
        let sql = "SELECT body FROM handover WHERE session = ?1 AND revision = ?2 ORDER BY turn";
        self.read(move |db| reads::texts(db, sql, params![session.as_str(), revision]))
    }

    fn backends(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, StoreError>> {
        self.read(|db| reads::pairs(db, "SELECT id, body FROM backend", &[]))
    }

    fn setting(&self, name: &str) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        let name = name.to_owned();
        let sql = "SELECT body FROM setting WHERE name = ?1";
        self.read(move |db| Ok(reads::texts(db, sql, params![name])?.pop()))
    }

    fn projects(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, StoreError>> {
        self.read(|db| reads::pairs(db, "SELECT id, body FROM project", &[]))
    }

    fn processes(&self) -> BoxFuture<'static, Result<Vec<ProcessRow>, StoreError>> {
        self.read(reads::processes)
    }

    fn damage(&self) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        self.read(|db| {
            let lines = reads::texts(db, "PRAGMA quick_check(8)", &[])?;
            Ok(lines.into_iter().filter(|line| line != "ok").collect())
        })
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        let leaving = self.let_go();
        Box::pin(async move {
            if let Err(panic) = tokio::task::spawn_blocking(move || leaving.close()).await {
                tracing::error!("the store could not be closed: {panic}");
            }
        })
    }
}

#[cfg(test)]
mod tests;
