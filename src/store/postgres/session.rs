//! The one connection that writes. Where only one server may use the database, it holds the lock for that: so what it commits
//! was written while nobody else could.

use std::time::{Duration, Instant};

use deadpool_postgres::ClientWrapper;
use tokio::time::sleep;

use super::changes::Place;
use super::connection::Link;
use super::doubt::Doubts;
use super::migrate;
use crate::store::StoreError;

/// Held by the server that uses the database: "baton" and a 2.
const SERVER_LOCK: i64 = 0x6261_746f_6e02;
/// A server that was killed, or a connection that was lost, is waited for this long.
const LEAVING: Duration = Duration::from_secs(2);
/// Between two looks whether it is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Which of the server's processes works for a connection, and when it was started: its id may be another's later.
struct Backend {
    pid: i32,
    started: String,
}

/// Which other servers may use the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// Nobody looks.
    Any,
    /// None.
    None,
    /// Those that share it.
    Sharing,
}

/// See the module.
pub(super) struct Session {
    link: Link,
    /// Which other servers may use the database.
    others: Others,
    /// Where the server is.
    pub(super) place: Place,
    client: Option<ClientWrapper>,
    /// That of the connection, or of the one that was lost.
    backend: Option<Backend>,
    /// Commits of which it is not known whether they have taken place.
    pub(super) doubts: Doubts,
}

impl Session {
    /// Connects, and brings the tables up to date.
    ///
    /// # Errors
    /// When the database cannot be used, or another server uses it.
    pub(super) async fn open(link: Link, others: Others, place: Place) -> Result<Self, StoreError> {
        let mut session = Self {
            link,
            others,
            place,
            client: None,
            backend: None,
            doubts: Doubts::default(),
        };
        let mut client = session.link.open().await?;
        migrate::migrate(&mut client, &session.link.shown).await?;
        session.take(client).await?;
        Ok(session)
    }

    /// How long a statement is waited for.
    pub(super) fn patience(&self) -> Duration {
        self.link.times.patience()
    }

    /// The connection; a new one where the last was lost.
    ///
    /// # Errors
    /// When there is none to be had.
    pub(super) async fn client(&mut self) -> Result<&mut ClientWrapper, StoreError> {
        if self.client.as_ref().is_none_or(|client| client.is_closed()) {
            self.client = None;
            let client = self.link.open().await?;
            self.take(client).await?;
        }
        let lost = || StoreError::Unavailable("the connection to the database was lost".to_owned());
        self.client.as_mut().ok_or_else(lost)
    }

    /// Lets the connection go. What it has not committed will not be.
    pub(super) fn lose(&mut self) {
        self.client = None;
    }

    /// Makes a connection the one that writes.
    async fn take(&mut self, mut client: ClientWrapper) -> Result<(), StoreError> {
        if let Some(last) = &self.backend {
            // The server may not have noticed that nobody is there any more; what it does then must not be done later, and
            // holds locks.
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2";
            client.query(sql, &[&last.pid, &last.started]).await?;
        }
        match self.others {
            Others::Any => {}
            Others::None => {
                self.lock(&client, "SELECT pg_try_advisory_lock($1)")
                    .await?
            }
            Others::Sharing => {
                self.lock(&client, "SELECT pg_try_advisory_lock_shared($1)")
                    .await?;
            }
        }
        // It is there before any transaction takes its name, so that whoever is at one has it.
        let sql = "INSERT INTO baton.committed (node, name) VALUES ($1, '') ON CONFLICT (node) DO NOTHING";
        client.execute(sql, &[&self.place.node]).await?;
        self.doubts.settle(&mut client, &self.place).await?;
        let sql =
            "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
        let row = client.query_one(sql, &[]).await?;
        self.backend = Some(Backend {
            pid: row.try_get(0)?,
            started: row.try_get(1)?,
        });
        self.client = Some(client);
        Ok(())
    }

    async fn lock(&self, client: &ClientWrapper, sql: &str) -> Result<(), StoreError> {
        let until = Instant::now() + LEAVING;
        loop {
            let row = client.query_one(sql, &[&SERVER_LOCK]).await?;
            if row.try_get(0)? {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(StoreError::Unavailable(format!(
                    "another baton uses the database {} already, and does not share it; stop it, use another database, or give \
                     both the same [nodes] secret",
                    self.link.shown
                )));
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}
