//! Connects: for the one connection that writes, and for the pool of those that read.

use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Connect, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts,
};
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, Connection, Socket};

use super::error;
use super::tls::{MakeTls, Tls};
use super::url::StoreUrl;
use crate::store::StoreError;

/// A silent connection is asked for a sign of life after this long, and this often; then it is gone.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVES: u32 = 3;
/// What was sent and is not received within this time is not going to be: the connection is gone.
const UNSENT: Duration = Duration::from_secs(25);
/// A statement is waited for this much longer than the server lets it run: its own answer says more.
const BEYOND_STATEMENT: Duration = Duration::from_secs(2);

/// How long to wait for the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// For a connection.
    pub connect: Duration,
    /// For a statement.
    pub statement: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            statement: Duration::from_secs(10),
        }
    }
}

impl Times {
    /// How long an answer is waited for, before the connection counts as lost.
    pub(super) fn patience(self) -> Duration {
        self.statement + BEYOND_STATEMENT
    }
}

/// Makes connections to one database.
#[derive(Clone)]
pub(super) struct Link {
    config: Config,
    tls: MakeTls,
    pub(super) times: Times,
    /// The URL, as it may be shown.
    pub(super) shown: String,
}

impl Link {
    /// To the database of a URL. Connects to nothing yet.
    ///
    /// # Errors
    /// When the certificates that the URL names cannot be read.
    pub(super) fn new(url: &StoreUrl, times: Times) -> Result<Self, StoreError> {
        let mut config = url.config.clone();
        config
            .connect_timeout(times.connect)
            .tcp_user_timeout(UNSENT)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVES);
        Ok(Self {
            config,
            tls: MakeTls::new(url)?,
            times,
            shown: url.to_string(),
        })
    }

    /// A connection of its own.
    ///
    /// # Errors
    /// When there is none to be had; the text names the database.
    pub(super) async fn open(&self) -> Result<ClientWrapper, StoreError> {
        // The name of the host is looked up without a limit of its own, and so are the answers to the greeting.
        let within = self.connected_within();
        let Ok(connected) = timeout(within, self.connect(&self.config)).await else {
            let seconds = within.as_secs();
            return Err(StoreError::Unavailable(format!(
                "{} did not answer within {seconds} s",
                self.shown
            )));
        };
        let (client, task) = connected.map_err(|error| self.refused(error))?;
        Ok(ClientWrapper::new(client, task))
    }

    /// A connection that its caller has to poll.
    ///
    /// # Errors
    /// When there is none to be had in time.
    pub(super) async fn connect_bare(
        &self,
    ) -> Result<(Client, Connection<Socket, Tls>), StoreError> {
        let within = self.connected_within();
        match timeout(within, self.config.connect(self.tls.clone())).await {
            Ok(connected) => connected.map_err(|error| self.refused(error)),
            Err(_) => Err(StoreError::Unavailable(format!(
                "{} did not answer",
                self.shown
            ))),
        }
    }

    /// Each host of the URL is tried for its time.
    fn connected_within(&self) -> Duration {
        let hosts = self.config.get_hosts().len().max(1);
        self.times.connect * u32::try_from(hosts).unwrap_or(u32::MAX)
    }

    /// What an error says, with the name of the database in front.
    fn refused(&self, error: tokio_postgres::Error) -> StoreError {
        let text = format!("{}: {}", self.shown, error::text(&error));
        match StoreError::from(error) {
            StoreError::Database(_) => StoreError::Database(text),
            _ => StoreError::Unavailable(text),
        }
    }

    /// A pool of connections, none of which is made yet.
    ///
    /// # Errors
    /// When there is no runtime.
    pub(super) fn pool(&self, connections: usize) -> Result<Pool, StoreError> {
        let manager = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_connect(self.config.clone(), self.clone(), manager);
        Pool::builder(manager)
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(self.times.patience()),
                create: Some(self.connected_within()),
                recycle: Some(self.times.connect),
            })
            .build()
            .map_err(|error| StoreError::Database(error.to_string()))
    }

    /// What holds for a connection. Names are written out in every statement, so that nobody's `search_path` matters. Plans are
    /// made for the values at hand, and sort nothing that an index has in order: without statistics, or with a general plan, a
    /// list would read all of a project to answer with the first fifty. A server that no longer
    /// hears of its client ends what it does for it.
    fn session(&self) -> String {
        let statement = self.times.statement.as_millis();
        let (idle, interval) = (KEEPALIVE.as_secs(), KEEPALIVE_INTERVAL.as_secs());
        format!(
            "SET statement_timeout = {statement}; SET lock_timeout = {statement};
             SET idle_in_transaction_session_timeout = {statement}; SET search_path = pg_catalog;
             SET plan_cache_mode = force_custom_plan; SET enable_sort = off; SET jit = off;
             SET tcp_keepalives_idle = {idle}; SET tcp_keepalives_interval = {interval};
             SET tcp_keepalives_count = {KEEPALIVES}"
        )
    }
}

impl Connect for Link {
    fn connect(
        &self,
        config: &Config,
    ) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let config = config.clone();
        Box::pin(async move {
            let (client, connection) = config.connect(self.tls.clone()).await?;
            let task = tokio::spawn(async move {
                // Whoever waits for an answer is told.
                if let Err(error) = connection.await {
                    tracing::debug!(
                        "a connection to the database has ended: {}",
                        error::text(&error)
                    );
                }
            });
            client.batch_execute(&self.session()).await?;
            Ok((client, task))
        })
    }
}
