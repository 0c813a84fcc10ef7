//! Agents for tests: the [mock](super::mock) in the test's own process, told what to do by the test.
//!
//! There are no processes and no threads, so that a test can pause time
//! (`#[tokio::test(start_paused = true)]`) and no moment depends on the machine. A backend is set up as
//! in the configuration file, with flags of `baton mock-agent` as its command:
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use baton::agent::Timeouts;
//! use baton::agent::pool::{Pool, PoolLimits};
//! use baton::agent::scripted::{ScriptedAgents, Step};
//! use baton::process::NoLedger;
//!
//! let agents = ScriptedAgents::new();
//! let one = ScriptedAgents::spec("one", &["--models", "x,y", "--without", "resume"]);
//! let pool = Pool::with_starter(
//!     PoolLimits::default(), Timeouts::default(), "/".into(), Arc::new(NoLedger), agents.clone(),
//! );
//! agents.script("one").answer_next([Step::Say("hello".into()), Step::Stop("refusal".into())]);
//! let agent = pool.get(&one.launch("x", "ses_1")).await?;
//! // … talk to the agent; then see what it was asked.
//! assert_eq!(agents.script("one").prompts(), ["hi"]);
//! # Ok(())
//! # }
//! ```
//!
//! A prompt that no script is for is a command of the mock: `echo TEXT`, `permission CMD`, `slow N`,
//! `history`, `crash` and so on, as `baton mock-agent --help` lists them.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::mock::{MockArgs, in_memory};
use super::process::{AgentProcess, InMemory, Pipes, Starter};
use super::quirks::keeps::Keeps;
use super::quirks::mock_arguments;
use super::spec::{AgentSpec, Launch};

pub use super::mock::script::{Asked, Reaction, Script, Step};

/// What a pipe between Baton and such an agent holds, in bytes; that of a process holds as much.
const PIPE_BYTES: usize = 64 * 1024;

/// Starts agents in this process, and knows the script of each backend.
#[derive(Debug, Default)]
pub struct ScriptedAgents {
    scripts: Mutex<HashMap<String, Arc<Script>>>,
}

impl ScriptedAgents {
    /// No agent was started and no script written yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A backend whose agents are started with these flags of `baton mock-agent`. `{model}` in a flag
    /// makes it a backend with one agent per model, as in the configuration file.
    pub fn spec(id: &str, flags: &[&str]) -> AgentSpec {
        let command = ["mock-agent"].iter().chain(flags);
        let command = command.map(|&text| text.to_owned()).collect();
        AgentSpec {
            // The mock keeps its sessions apart.
            one_session_per_process: false,
            keeps: Keeps::Arguments(mock_arguments()),
            ..AgentSpec::from_config(id, command)
        }
    }

    /// The script of a backend.
    pub fn script(&self, backend: &str) -> Arc<Script> {
        let mut scripts = self.scripts.lock();
        Arc::clone(scripts.entry(backend.to_owned()).or_default())
    }
}

impl Starter for ScriptedAgents {
    fn find(&self, _spec: &AgentSpec) -> Result<(), String> {
        Ok(())
    }

    fn start(
        &self,
        launch: &Launch,
        _cwd: &Path,
        _end_grace: Duration,
    ) -> io::Result<(AgentProcess, Pipes)> {
        let flags = launch.command.get(1..).unwrap_or_default();
        let args = MockArgs::from_flags(flags)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
        let (stdin, agent_stdin) = tokio::io::duplex(PIPE_BYTES);
        let (agent_stdout, stdout) = tokio::io::duplex(PIPE_BYTES);
        let (process, home) = AgentProcess::in_memory();
        let script = self.script(&launch.backend);
        let agent = in_memory::serve(args, script, agent_stdin, agent_stdout);
        tokio::spawn(live(home, agent));
        let pipes = Pipes {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
        };
        Ok((process, pipes))
    }
}

/// Runs an agent until it ends or is ended.
async fn live(home: InMemory, agent: impl Future<Output = io::Result<String>>) {
    let status = tokio::select! {
        ended = agent => ended.unwrap_or_else(|error| {
            home.stderr.push(error.to_string().as_bytes());
            "exit status: 1".to_owned()
        }),
        () = home.stopped() => "it was ended".to_owned(),
    };
    home.ended(&status);
}

#[cfg(test)]
mod tests;
