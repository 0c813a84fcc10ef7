//! How much is read, and for how long: settings that hold for the whole process.

use std::sync::OnceLock;
use std::time::Duration;

const KIB: u64 = 1024;

/// See the module. The end of its name is the unit; all but `search` are in `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimits {
    /// The largest file that is read as a whole.
    pub file_bytes: u64,
    /// What is read of one file of rules like `.gitignore`; of all of them in one walk eight times as much.
    pub ignore_bytes: u64,
    /// Files that a search looks at.
    pub search_files: usize,
    /// How long a call may take once it runs: `timeouts.search_s`. A search that takes longer gives what it has
    /// found until then.
    pub search: Duration,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self {
            file_bytes: 16 * KIB * KIB,
            ignore_bytes: 64 * KIB,
            search_files: 200_000,
            search: Duration::from_secs(10),
        }
    }
}

static LIMITS: OnceLock<FileLimits> = OnceLock::new();

/// From now on these hold. Only the first call counts.
pub fn limit(limits: FileLimits) {
    let _again = LIMITS.set(limits);
}

pub(super) fn limits() -> FileLimits {
    LIMITS.get().copied().unwrap_or_default()
}
