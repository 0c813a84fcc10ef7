//! The connections that read: a bounded number of them, opened when they are needed.

use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object, Pool};
use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::connection::Link;
use crate::store::StoreError;

/// How often a query is run again that has found its connection lost: all of a server that was started anew are.
const TRIES: usize = 3;

/// The connections that read.
#[derive(Clone)]
pub(super) struct Readers {
    pool: Pool,
    patience: Duration,
}

impl Readers {
    /// Opens none yet.
    ///
    /// # Errors
    /// When there is no runtime.
    pub(super) fn new(link: &Link, connections: usize) -> Result<Self, StoreError> {
        Ok(Self {
            pool: link.pool(connections)?,
            patience: link.times.patience(),
        })
    }

    /// Runs a query on a connection of its own.
    ///
    /// # Errors
    /// What the query answers, or when there is no connection, or the store was closed.
    pub(super) async fn read<T>(
        &self,
        query: impl for<'a> Fn(&'a mut ClientWrapper) -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        for attempt in 1.. {
            let mut connection = self.pool.get().await?;
            let Ok(answer) = timeout(self.patience, query(&mut connection)).await else {
                // It still has an answer to come. Where the way to the database has gone, the others are no better.
                drop(Object::take(connection));
                self.pool.retain(|_, _| false);
                break;
            };
            if answer.is_ok() {
                return answer;
            }
            let was_lost = connection.is_closed();
            // One that has failed is not trusted with the next query.
            drop(Object::take(connection));
            if !was_lost || attempt >= TRIES {
                return answer;
            }
        }
        let seconds = self.patience.as_secs();
        Err(StoreError::Unavailable(format!(
            "the database did not answer within {seconds} s"
        )))
    }

    /// Lets no further query begin.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}
