//! Commits of which it is not known whether they have taken place, since the connection was lost between the commit and its
//! answer. PostgreSQL remembers: it is asked on the next connection, before anything else is written.

use deadpool_postgres::ClientWrapper;

use super::changes::{DELETE_SESSION, Place};
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
    pub(super) async fn settle(
        &mut self,
        client: &mut ClientWrapper,
        place: &Place,
    ) -> Result<(), StoreError> {
        while let Some((transaction, revisions)) = self.0.first() {
            match fate(client, transaction, place).await? {
                Fate::Gone => {}
                Fate::Committed => take_back(client, revisions, place).await?,
            }
            self.0.remove(0);
        }
        Ok(())
    }
}

/// What became of a transaction, on a connection that was made after the one it was on has gone.
///
/// # Errors
/// When the server does not say.
pub(super) async fn fate(
    client: &ClientWrapper,
    transaction: &str,
    place: &Place,
) -> Result<Fate, StoreError> {
    // Whoever has the row is still at it, and is waited for no longer than a statement may take.
    let sql = "SELECT name FROM baton.committed WHERE node = $1 FOR SHARE";
    let row = client.query_opt(sql, &[&place.node]).await?;
    let last: Option<String> = row.map(|row| row.try_get(0)).transpose()?;
    Ok(match last.as_deref() == Some(transaction) {
        true => Fate::Committed,
        false => Fate::Gone,
    })
}

async fn take_back(
    client: &mut ClientWrapper,
    revisions: &[Revision],
    place: &Place,
) -> Result<(), StoreError> {
    let transaction = client.transaction().await?;
    // The last one first: a session may have been written twice.
    for Revision { id, before, after } in revisions.iter().rev() {
        if !place.home.is_empty() {
            // What another server has since is true there.
            let sql = "SELECT FROM baton.lease WHERE session = $1 AND node = $2 FOR SHARE";
            let held = transaction
                .query_opt(sql, &[&id.as_str(), &place.node])
                .await?;
            if held.is_none() {
                continue;
            }
        }
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
