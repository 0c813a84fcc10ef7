//! The connections that read: a bounded number of them, opened when they are needed.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection::{self, Role};
use crate::store::StoreError;

/// Read connections at most. A read is short and mostly from memory: more would only take more of it.
const READERS: usize = 4;

/// The connections that read.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    /// One permit per connection.
    permits: Arc<Semaphore>,
}

impl Readers {
    /// Opens none yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Runs a query in a thread for blocking work. It sees one state of the database, however many statements it runs.
    ///
    /// # Errors
    /// What the query answers, or when no connection can be opened or the store was closed.
    pub(super) async fn read<T, F>(self: Arc<Self>, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        // Waited for here, so that no thread waits.
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_closed| StoreError::Closed)?;
        let task = tokio::task::spawn_blocking(move || {
            let result = self.run(query);
            drop(permit);
            result
        });
        task.await.unwrap_or_else(|error| {
            Err(if error.is_cancelled() {
                StoreError::Closed
            } else {
                StoreError::Database(format!("a query has panicked: {error}"))
            })
        })
    }

    fn run<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.lock().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connection::open(&self.path, Role::Reader)?,
        };
        let transaction = connection.transaction()?;
        let result = query(&transaction);
        transaction.finish()?;
        // One that has failed is not trusted with the next query.
        if result.is_ok() && !self.permits.is_closed() {
            self.lock().push(connection);
        }
        result
    }

    /// Lets no further query begin and closes the connections that no query uses.
    pub(super) fn close(&self) {
        self.permits.close();
        self.lock().clear();
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock()
    }
}
