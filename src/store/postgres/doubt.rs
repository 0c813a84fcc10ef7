//! Commits of which it is not known whether they have taken place, since the connection was lost between the commit and its
//! answer. PostgreSQL remembers: it is asked on the next connection, before anything else is written.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::error::SqlState;

use super::changes::DELETE_SESSION;
use super::text::integer;
use crate::opencode::SessionId;
use crate::store::{Change, StoreError};

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was committed.
    Committed,
    /// Nothing of it is there.
    Gone,
    /// The server still works at it.
    Open,
}

/// A session whose revision may have been written: which one it had before, and which one it has if so.
struct Revision {
    id: SessionId,
    before: Option<u64>,
    after: u64,
}

/// Transactions that were answered as failed, and may have been committed.
#[derive(Default)]
pub(super) struct Doubts(Vec<(String, Vec<Revision>)>);

impl Doubts {
    /// Notes a transaction with its batches, which were answered as failed.
    pub(super) fn note<'a>(
        &mut self,
        transaction: String,
        batches: impl Iterator<Item = &'a Vec<Change>>,
    ) {
        let revision = |change: &Change| match change {
            Change::PutSession {
                id,
                expected,
                revision,
                ..
            } => Some(Revision {
                id: id.clone(),
                before: *expected,
                after: *revision,
            }),
            _ => None,
        };
        self.0.push((
            transaction,
            batches.flatten().filter_map(revision).collect(),
        ));
    }

    /// Finds out what became of them. Of what was committed after all, the sessions get back the revision that whoever has
    /// written them believes in: so the next change, which is made from that, writes over it. One that was new is
    /// deleted, as nobody knows of it.
    ///
    /// # Errors
    /// When that cannot be found out yet.
    pub(super) async fn settle(&mut self, client: &mut ClientWrapper) -> Result<(), StoreError> {
        while let Some((transaction, revisions)) = self.0.first() {
            match fate(client, transaction).await? {
                Fate::Open => {
                    return Err(StoreError::Unavailable(
                        "the database has not decided yet what became of the last commit"
                            .to_owned(),
                    ));
                }
                Fate::Gone => {}
                Fate::Committed => take_back(client, revisions).await?,
            }
            self.0.remove(0);
        }
        Ok(())
    }
}

/// What became of a transaction.
///
/// # Errors
/// When the server does not say.
pub(super) async fn fate(client: &ClientWrapper, transaction: &str) -> Result<Fate, StoreError> {
    let sql = "SELECT pg_xact_status($1::text::xid8)";
    let row = match client.query_one(sql, &[&transaction]).await {
        Ok(row) => row,
        // A server that has taken the place of another has never heard of it: that it lies in the future is an invalid value.
        Err(error) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => {
            return Ok(Fate::Gone);
        }
        Err(error) => return Err(error.into()),
    };
    Ok(match row.try_get::<_, Option<&str>>(0)? {
        Some("committed") => Fate::Committed,
        Some("in progress") => Fate::Open,
        _ => Fate::Gone,
    })
}

async fn take_back(client: &mut ClientWrapper, revisions: &[Revision]) -> Result<(), StoreError> {
    let transaction = client.transaction().await?;
    // The last one first: a session may have been written twice.
    for Revision { id, before, after } in revisions.iter().rev() {
        let after = integer(*after);
        match before {
            Some(before) => {
                let sql = "UPDATE baton.session_body b SET revision = $2 FROM baton.session s
                           WHERE s.id = $1 AND b.n = s.n AND b.revision = $3";
                let before = integer(*before);
                transaction
                    .execute(sql, &[&id.as_str(), &before, &after])
                    .await?;
            }
            None => {
                let sql = "SELECT FROM baton.session s JOIN baton.session_body b USING (n)
                           WHERE s.id = $1 AND b.revision = $2";
                let there = transaction.query_opt(sql, &[&id.as_str(), &after]).await?;
                if there.is_some() {
                    transaction.execute(DELETE_SESSION, &[&id.as_str()]).await?;
                }
            }
        }
    }
    Ok(transaction.commit().await?)
}
