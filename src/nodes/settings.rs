//! What is configured about other servers on the same store.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// How long a server counts as alive after it was heard of last, unless configured.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(10);
/// How long running turns have to end when a server drains, unless configured.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(60);

/// Which server takes a new session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// The one that was asked.
    #[default]
    Local,
    /// The one with the least to do that has the directory.
    Spread,
}

/// What is configured about other servers on the same store.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeSettings {
    /// What servers know each other by.
    pub secret: String,
    /// Where the others reach this one; the address that is listened on if left out.
    pub url: Option<String>,
    /// Servers with the same one share the native sessions of agents; the name of the data directory if left out.
    pub home: Option<String>,
    /// How long a server counts as alive after it was heard of last.
    pub lease: Duration,
    /// How long running turns have to end when it drains.
    pub drain: Duration,
    /// Which server takes a new session.
    pub placement: Placement,
}

impl fmt::Debug for NodeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeSettings")
            .field("url", &self.url)
            .field("home", &self.home)
            .field("lease", &self.lease)
            .field("drain", &self.drain)
            .field("placement", &self.placement)
            .finish_non_exhaustive()
    }
}
