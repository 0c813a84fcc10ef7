//! `/provider`: the backends, as OpenCode's clients see them.

pub mod auth;
mod catalogue;
pub mod list;

use std::sync::Arc;
use std::time::Duration;

pub(super) use catalogue::{connected, defaults};

use super::state::Shared;
use crate::registry::Snapshot;

/// How long a list waits for the first probes of a new installation. OpenCode's terminal UI does not
/// start with an empty list, and reads it only once.
const SETTLE_AT_MOST: Duration = Duration::from_secs(10);

/// The backends, once it is known which of them can run.
pub(super) async fn settled(state: &Shared) -> Arc<Snapshot> {
    state.registry.settled(SETTLE_AT_MOST).await
}
