//! The record of running agents and commands, by which a later Baton ends what this one could not.

use std::sync::Arc;
use std::time::Duration;

use crate::process::{Ledger, boot_id, end_orphan, is_there};
use crate::store::{Change, ProcessRow, Store, StoreError};

/// What was killed at the end has this long to be gone.
const GONE_WITHIN: Duration = Duration::from_millis(300);
/// How often that is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Ends every agent in the record of running ones: at the start those that a killed server
/// left behind, at the end those that nobody else has ended.
pub(super) async fn end_recorded(store: &dyn Store) -> Result<Vec<u32>, StoreError> {
    let mut all_ended = Vec::new();
    // Batches are committed in order: what was recorded before is there to be read after this one.
    store.commit(Vec::new()).await?;
    for row in store.processes().await? {
        let (pid, started_at_s, boot) = (row.pid, row.started_at_s, row.boot_id);
        let ended = tokio::task::spawn_blocking(move || end_orphan(pid, started_at_s, &boot)).await;
        if ended.unwrap_or(false) {
            all_ended.push(row.pid);
            tracing::info!(
                pid = row.pid,
                backend = row.backend,
                "ended an agent that was left behind"
            );
        }
        let forget = Change::DeleteProcess { pid: row.pid };
        store.commit(vec![forget]).await?;
    }
    Ok(all_ended)
}

/// Waits a moment until what was killed is gone: nothing of a server should outlive it.
pub(super) async fn until_gone(groups: &[u32]) {
    let gone = async {
        while groups.iter().any(|pid| is_there(*pid)) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    // Where nobody reaps orphans, they stay as zombies.
    let _or_not = tokio::time::timeout(GONE_WITHIN, gone).await;
}

/// Keeps the record of running agents in the store.
pub(super) struct StoreLedger(Arc<dyn Store>);

impl StoreLedger {
    /// In this store.
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    fn write(&self, change: Change) {
        // The store takes batches in the order of these calls; there is no need to wait for them.
        let commit = self.0.commit(vec![change]);
        tokio::spawn(async move {
            // Once the store is closed every agent is gone, and the next start looks after the record.
            if let Err(error) = commit.await
                && !matches!(error, StoreError::Closed)
            {
                tracing::warn!("the record of running agents was not written: {error}");
            }
        });
    }
}

impl Ledger for StoreLedger {
    fn started(&self, pid: u32, started_at_s: u64, backend: &str) {
        self.write(Change::PutProcess(ProcessRow {
            pid,
            started_at_s,
            boot_id: boot_id().to_owned(),
            backend: backend.to_owned(),
        }));
    }

    fn ended(&self, pid: u32) {
        self.write(Change::DeleteProcess { pid });
    }
}
