//! What workers share.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::told::Told;
use crate::agent::pool::Pool;
use crate::files::{self, Work};
use crate::mcp::McpServers;
use crate::profile;
use crate::session::cell::commit::Office;
use crate::session::cell::loaded::Loaded;
use crate::session::settings::Settings;
use crate::shell::Shell;
use crate::snapshot::Snapshots;

/// What workers work with.
pub(crate) struct Tools {
    /// What all sessions share.
    pub office: Arc<Office>,
    /// The sessions that are in memory.
    pub loaded: Arc<Loaded>,
    /// The agents.
    pub pool: Arc<Pool>,
    /// What working directories were like.
    pub snapshots: Arc<Snapshots>,
    /// Runs the user's own commands.
    pub shell: Shell,
    /// The slash commands that native sessions have advertised.
    pub told: Told,
    /// Native sessions of deleted sessions are removed one after the other.
    pub removals: Semaphore,
    /// What agents may ask at once.
    pub asks: Arc<Semaphore>,
    /// The MCP servers that agents are given.
    pub mcp: Arc<McpServers>,
    /// Where agents with a model of their own come from.
    pub profiles: Arc<profile::Sources>,
    /// What can be set.
    pub settings: Settings,
}

impl Tools {
    /// Reads what OpenCode's own configuration adds in a directory, off the runtime's threads.
    pub(crate) async fn read_place(&self, directory: &str) {
        let (sources, place) = (Arc::clone(&self.profiles), directory.to_owned());
        let read = files::block(directory, Work::One, move |_| {
            sources.read(Path::new(&place))
        });
        match read.await {
            Ok((profiles, servers)) => {
                self.office.registry.note_profiles(directory, profiles);
                self.mcp.note(directory, servers);
            }
            Err(error) => {
                tracing::warn!("OpenCode's configuration of a directory is not read: {error}")
            }
        }
    }
}
