//! The store on PostgreSQL: one connection that writes, a few that read. The database may be on another machine, and may go
//! away and come back.

mod changes;
mod connection;
mod doubt;
mod error;
mod grams;
mod list;
mod migrate;
mod readers;
mod reads;
mod search;
mod session;
mod shared;
mod text;
mod tls;
mod url;
pub(super) mod whole;
mod writer;

use std::fmt;
use std::sync::Arc;

use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;

use super::{
    Change, MessageRange, MessageRow, ProcessRow, SessionQuery, SessionRow, Store, StoreError,
};
use crate::opencode::{EventId, MessageId, SessionId};
use changes::Place;
use connection::Link;
pub use connection::Times;
use readers::Readers;
use session::{Others, Session};
use shared::listen;
pub use url::{StoreUrl, is_postgres, without_password};
use writer::{Job, Writer};

/// Connections that read, unless configured.
pub const DEFAULT_READERS: usize = 8;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Where it is.
    pub url: StoreUrl,
    /// Whose processes it notes: those of other machines are none of ours.
    pub node: String,
    /// Connections that read, at most. One more writes.
    pub readers: usize,
    /// Whether no other server may use the database.
    pub alone: bool,
    /// Whether others share it, and where this server's native sessions are then: those of another machine are of no use.
    pub home: Option<String>,
    /// How long to wait for it.
    pub times: Times,
}

impl Opening {
    /// With what holds unless it is configured.
    pub fn new(url: StoreUrl, node: &str) -> Self {
        Self {
            url,
            node: node.to_owned(),
            readers: DEFAULT_READERS,
            alone: false,
            home: None,
            times: Times::default(),
        }
    }
}

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    queue: Mutex<Option<mpsc::UnboundedSender<Job>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: Readers,
    place: Arc<Place>,
    /// Which start of the server it is.
    run: String,
    news: watch::Receiver<u64>,
    /// Hears of events, where others tell some.
    listening: Option<JoinHandle<()>>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects, makes the tables if they are missing, and brings them up to date.
    ///
    /// # Errors
    /// When the database cannot be used, was written by a newer Baton, or is used by another server.
    pub async fn open(opening: Opening) -> Result<Self, StoreError> {
        let link = Link::new(&opening.url, opening.times)?;
        let readers = Readers::new(&link, opening.readers)?;
        let others = match (opening.alone, &opening.home) {
            (_, Some(_)) => Others::Sharing,
            (true, None) => Others::None,
            (false, None) => Others::Any,
        };
        let place = Place {
            node: opening.node,
            home: opening.home.unwrap_or_default(),
        };
        let session = Session::open(link.clone(), others, place.clone()).await?;
        let (news, heard) = watch::channel(0);
        let listening = (others == Others::Sharing).then(|| tokio::spawn(listen(link, news)));
        let writer = Writer { session };
        let (sender, queue) = mpsc::unbounded_channel();
        Ok(Self {
            queue: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(tokio::spawn(writer.run(queue)))),
            readers,
            place: Arc::new(place),
            run: EventId::new().to_string(),
            news: heard,
            listening,
        })
    }

    fn read<T, F>(&self, query: F) -> BoxFuture<'static, Result<T, StoreError>>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a mut ClientWrapper) -> BoxFuture<'a, Result<T, StoreError>>
            + Send
            + Sync
            + 'static,
    {
        let readers = self.readers.clone();
        Box::pin(async move { readers.read(query).await })
    }

    /// The bodies that a statement with these values selects.
    fn bodies<const N: usize>(
        &self,
        sql: &'static str,
        values: [Box<dyn ToSql + Sync + Send>; N],
    ) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        let values = Arc::new(values);
        self.read(move |db| {
            let values = Arc::clone(&values);
            async move {
                let values: Vec<_> = values.iter().map(|v| &**v as &(dyn ToSql + Sync)).collect();
                reads::bodies(db, sql, &values).await
            }
            .boxed()
        })
    }
}

impl Store for PostgresStore {
    fn commit(&self, batch: Vec<Change>) -> BoxFuture<'static, Result<(), StoreError>> {
        let (done, answer) = oneshot::channel();
        // Queued here and not in the future, so that the order of calls is the order of commits.
        let queue = self.queue.lock();
        let queued = queue
            .as_ref()
            .is_some_and(|queue| queue.send(Job { batch, done }).is_ok());
        drop(queue);
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
        let (id, place) = (id.clone(), Arc::clone(&self.place));
        self.read(move |db| {
            let (id, place) = (id.clone(), Arc::clone(&place));
            async move { reads::session(db, &id, &place.home).await }.boxed()
        })
    }

    fn sessions(
        &self,
        query: SessionQuery,
    ) -> BoxFuture<'static, Result<Option<Vec<String>>, StoreError>> {
        self.read(move |db| {
            let query = query.clone();
            async move { list::sessions(db, &query).await }.boxed()
        })
    }

    fn count_sessions(&self) -> BoxFuture<'static, Result<u64, StoreError>> {
        self.read(|db| list::count(db).boxed())
    }

    fn family(&self, id: &SessionId) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>> {
        let id = id.clone();
        self.read(move |db| {
            let id = id.clone();
            async move { list::family(db, &id).await }.boxed()
        })
    }

    fn children(&self, id: &SessionId) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        let id = id.clone();
        self.read(move |db| {
            let id = id.clone();
            async move { list::children(db, &id).await }.boxed()
        })
    }

    fn restoring(&self) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>> {
        self.read(|db| list::restoring(db).boxed())
    }

    fn messages(
        &self,
        session: &SessionId,
        range: MessageRange,
    ) -> BoxFuture<'static, Result<Vec<MessageRow>, StoreError>> {
        let session = session.clone();
        self.read(move |db| {
            let (session, range) = (session.clone(), range.clone());
            async move { reads::messages(db, &session, &range).await }.boxed()
        })
    }

    fn message(
        &self,
        session: &SessionId,
        id: &MessageId,
    ) -> BoxFuture<'static, Result<Option<MessageRow>, StoreError>> {
        let (session, id) = (session.clone(), id.clone());
        self.read(move |db| {
            let (session, id) = (session.clone(), id.clone());
            async move { reads::message(db, &session, &id).await }.boxed()
        })
    }

    fn open_messages(&self) -> BoxFuture<'static, Result<Vec<MessageRow>, StoreError>> {
        self.read(|db| reads::open_messages(db).boxed())
    }

    fn switches(&self, session: &SessionId) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        let sql = "SELECT body FROM baton.switch WHERE session = $1 ORDER BY revision";
        self.bodies(sql, [Box::new(session.to_string())])
    }

    fn switch(
        &self,
        session: &SessionId,
        revision: u64,
    ) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        let sql = "SELECT body FROM baton.switch WHERE session = $1 AND revision = $2";
        let revision = Box::new(text::integer(revision));
        let bodies = self.bodies(sql, [Box::new(session.to_string()), revision]);
        Box::pin(async move { Ok(bodies.await?.pop()) })
    }

    fn handovers(
        &self,
        session: &SessionId,
        revision: u64,
    ) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        let sql =
            "SELECT body FROM baton.handover WHERE session = $1 AND revision = $2 ORDER BY turn";
        let revision = Box::new(text::integer(revision));
        self.bodies(sql, [Box::new(session.to_string()), revision])
    }

    fn bound(
        &self,
        backend: &str,
        native_session: &str,
    ) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>> {
        let (backend, native) = (backend.to_owned(), native_session.to_owned());
        self.read(move |db| {
            let (backend, native) = (backend.clone(), native.clone());
            async move { reads::bound(db, &backend, &native).await }.boxed()
        })
    }

    fn backends(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, StoreError>> {
        let place = Arc::clone(&self.place);
        self.read(move |db| {
            let place = Arc::clone(&place);
            async move { reads::backends(db, &place).await }.boxed()
        })
    }

    fn setting(&self, name: &str) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        let sql = "SELECT body FROM baton.setting WHERE name = $1";
        let bodies = self.bodies(sql, [Box::new(text::escaped(name).into_owned())]);
        Box::pin(async move { Ok(bodies.await?.pop()) })
    }

    fn projects(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, StoreError>> {
        let sql = "SELECT id, body FROM baton.project ORDER BY id";
        self.read(move |db| reads::pairs(db, sql, &[]).boxed())
    }

    fn processes(&self) -> BoxFuture<'static, Result<Vec<ProcessRow>, StoreError>> {
        let place = Arc::clone(&self.place);
        self.read(move |db| {
            let place = Arc::clone(&place);
            async move { reads::processes(db, &place.node).await }.boxed()
        })
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.readers.close();
        if let Some(listening) = &self.listening {
            listening.abort();
        }
        drop(self.queue.lock().take());
        let writer = self.writer.lock().take();
        Box::pin(async move {
            if let Some(writer) = writer
                && writer.await.is_err()
            {
                tracing::error!("the task that writes to the database has panicked");
            }
        })
    }
}
