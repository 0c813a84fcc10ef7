//! A registry of what is known already.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore, watch};

use super::left::Left;
use super::native::ASKED_AT_ONCE;
use super::removing::Removing;
use super::{Registry, Snapshot};
use crate::agent::Timeouts;
use crate::agent::process::{Processes, Starter};
use crate::process::NoLedger;
use crate::store::Store;

impl Registry {
    /// A registry that shows this and never probes anything: for tests and benchmarks, which know what
    /// their agents offer.
    pub fn fixed(snapshot: Snapshot, store: Arc<dyn Store>) -> Arc<Self> {
        Self::fixed_with(snapshot, store, PathBuf::new(), Arc::new(Processes))
    }

    /// The same, with where and how agents are started to be asked for their native sessions.
    pub fn fixed_with(
        snapshot: Snapshot,
        store: Arc<dyn Store>,
        scratch: PathBuf,
        starter: Arc<dyn Starter>,
    ) -> Arc<Self> {
        Arc::new(Self {
            snapshot: watch::Sender::new(Arc::new(snapshot)),
            // A backend without an entry is not probed.
            probes: HashMap::new(),
            left: Left::new(Arc::clone(&store), Vec::new()),
            store,
            ledger: Arc::new(NoLedger),
            timeouts: Timeouts::default(),
            scratch,
            configured_model: None,
            setting_defaults: Mutex::new(()),
            looks: Arc::new(Semaphore::new(0)),
            asking: Arc::new(Semaphore::new(ASKED_AT_ONCE)),
            starter,
            removing: Removing::default(),
        })
    }
}
