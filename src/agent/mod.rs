//! Coding agents as subprocesses that speak the Agent Client Protocol (ACP, JSON-RPC on stdio).
//!
//! [`spec`] says how an agent is started, [`quirks`] what must be known about each of them beforehand; [`process`]
//! starts one, [`installed`] finds those that Baton has installed, [`ending`] ends one; [`connection`] is the JSON-RPC framing; [`options`] reads what an agent offers
//! (models, modes, efforts), [`commands`] its slash commands; [`client`] has the calls that Baton makes, [`native`] those about native sessions that are there already,
//! [`refusal`] what an error to one means for the native session, [`trouble`] what it means for the model;
//! [`pool`] shares processes between sessions; [`mock`] is an agent of Baton's own, and [`scripted`] runs it
//! in a test's process. Nothing here knows sessions of Baton, only native sessions of agents.

pub mod client;
pub mod commands;
pub mod connection;
pub mod ending;
pub mod fence;
pub mod installed;
pub mod mock;
pub mod native;
pub mod options;
pub mod pool;
pub mod process;
pub mod quirks;
pub mod refusal;
mod replay;
mod running;
pub mod scripted;
pub mod sign_in;
pub mod spec;
mod switch_error;
pub mod trouble;

use std::time::Duration;

/// How long to wait for an agent.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From spawning the process to its `initialize` reply.
    pub start: Duration,
    /// `session/new`, `session/resume` and `session/load`.
    pub session: Duration,
    /// `session/set_config_option`, `session/set_model` and `session/set_mode`.
    pub switch: Duration,
    /// From `session/cancel` to the prompt's reply; the process is ended after that.
    pub cancel: Duration,
    /// From closing its stdin, and again from SIGTERM, to the next harsher way to end a process.
    pub end: Duration,
    /// A turn whose agent has said nothing for this long is reported: in the log, as an event, and in the session.
    pub silent: Duration,
    /// A turn whose agent has said nothing for this long is ended; none is, without.
    pub silent_end: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(60),
            session: Duration::from_secs(60),
            switch: Duration::from_secs(30),
            cancel: Duration::from_secs(10),
            end: Duration::from_millis(1500),
            silent: Duration::from_secs(300),
            silent_end: None,
        }
    }
}
