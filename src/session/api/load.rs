//! How much is going on, for those who watch over the server.

use std::time::Duration;

use crate::session::Sessions;
use crate::session::ask::Ask;
use crate::session::cell::{Committed, Work};

/// What sessions and their agents do at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Turns in flight.
    pub turns: u64,
    /// The longest time for which the agent of one of them has said nothing, although it does not wait for the user.
    pub silence: Duration,
    /// Prompts that wait for their turn.
    pub prompts: u64,
    /// Permission requests that wait for the user.
    pub permissions: u64,
    /// Questions that wait for the user.
    pub questions: u64,
    /// Agent processes that can be used.
    pub live_agents: u64,
    /// Agent processes that are being started.
    pub starting_agents: u64,
}

impl Sessions {
    /// What is going on now.
    pub fn load(&self) -> Load {
        let (live_agents, starting_agents) = self.tools.pool.count();
        let mut load = Load {
            live_agents,
            starting_agents,
            ..Load::default()
        };
        for cell in self.office.at_work() {
            load.add(&cell.committed());
        }
        load
    }
}

impl Load {
    fn add(&mut self, committed: &Committed) {
        let runtime = committed.runtime();
        self.prompts += runtime.queue.len() as u64;
        for ask in &runtime.asks {
            match **ask {
                Ask::Permission(_) => self.permissions += 1,
                Ask::Question(_) => self.questions += 1,
            }
        }
        let Some(turn) = runtime.turn() else { return };
        self.turns += 1;
        // The user's own command is not an agent.
        if runtime.asks.is_empty() && !matches!(turn.queued.work, Work::Shell(_)) {
            self.silence = self.silence.max(turn.queued.signs.silence());
        }
    }
}
