//! `/provider`: the backends, as OpenCode's clients see them.

mod catalogue;
pub mod list;
mod rendered;
pub mod sign_in;

use std::sync::Arc;
use std::time::Duration;

pub(super) use catalogue::{connected, defaults};
pub use rendered::Rendered;

use super::directory::Asked;
use super::state::Shared;
use crate::registry::Snapshot;

/// How long a list waits for the first probes of a new installation. OpenCode's terminal UI does not
/// start with an empty list, and reads it only once.
const SETTLE_AT_MOST: Duration = Duration::from_secs(10);

/// How long a list waits for the backends to say what they offer in a directory that was not asked about before. Clients
/// are told when there is more.
const LOOK_AT_MOST: Duration = Duration::from_secs(5);

/// The backends with what they offer in a directory, once it is known which of them can run. They are asked about a
/// directory that a request names.
pub(super) async fn settled_at(state: &Shared, asked: &Asked) -> Arc<Snapshot> {
    looked_around(state, asked).await.at(&asked.directory)
}

/// The same with what they offer elsewhere.
async fn looked_around(state: &Shared, asked: &Asked) -> Arc<Snapshot> {
    settled(state).await;
    if asked.is_named && state.settings.ask_in_directories {
        let registry = &state.registry;
        registry.look_around(&asked.directory, LOOK_AT_MOST).await;
    }
    state.registry.snapshot()
}

/// The backends, once it is known which of them can run.
pub(super) async fn settled(state: &Shared) -> Arc<Snapshot> {
    state.registry.settled(SETTLE_AT_MOST).await
}
