//! Nothing that Baton starts outlives it, however it ends.
//!
//! ```text
//!   Baton ──starts──► baton supervise ──starts──► the agent, or the user's shell
//!     └─ holds the writing end of a pipe  ▲          both in one process group, led by the supervisor
//!        └──────── the leash ─────────────┘
//! ```
//!
//! A process that is killed with SIGKILL cannot clear up, and an agent need not notice that its stdin has ended. So each of
//! them is started through Baton's own program ([`run`]), which waits for two things: the end of what it has started, which
//! it ends in the same way, so that Baton sees the agent's own status; and the end of the leash, which only Baton holds. It
//! touches neither stdin nor stdout nor stderr: the agent inherits them, and the supervisor lets go of its own.
//!
//! The supervisor of an agent adopts what the agent leaves behind (a "subreaper"), so that also what has left the group ends
//! with the agent. What a user's own command line has put into a session of its own (`setsid`) is left alone: that is what
//! they wanted.
//!
//! *Absent here:* other systems than Linux, where things are started without a supervisor.

#[cfg(target_os = "linux")]
mod process;

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use parking_lot::{Mutex, MutexGuard};
use tokio::process::Command;

use crate::process::leader;

#[cfg(target_os = "linux")]
pub use process::{ORPHAN_GRACE, run};

/// Here nothing is supervised.
#[cfg(not(target_os = "linux"))]
pub fn run(_arguments: impl Iterator<Item = OsString>) -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "supervise";
/// Before the program that is started.
const END_OF_FLAGS: &str = "--";
/// Written into the leash: end everything now.
const KILL_NOW: u8 = b'K';

/// The program that supervises; where there is none, things are started without.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
/// One start at a time, so that no other program inherits the reading end that is meant for a supervisor.
static STARTING: Mutex<()> = Mutex::new(());

/// What ends with a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// Its process group.
    Group,
    /// Its process group, and what has left that.
    Everything,
}

impl Ends {
    fn word(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Everything => "everything",
        }
    }

    #[cfg(target_os = "linux")]
    fn read(word: &OsStr) -> Option<Self> {
        [Self::Group, Self::Everything]
            .into_iter()
            .find(|ends| word == ends.word())
    }
}

/// From now on what Baton starts is supervised by this very program. To be called by a `main` that knows [`SUBCOMMAND`].
pub fn enable() {
    #[cfg(target_os = "linux")]
    {
        // Also when its file is replaced by an update: the two have to understand each other.
        let running = PathBuf::from("/proc/self/exe");
        if running.exists() {
            // Only the first call counts.
            let _again = PROGRAM.set(running);
        }
    }
}

/// While it lives, what was started with it goes on.
#[derive(Debug)]
pub struct Leash(Option<PipeWriter>);

impl Leash {
    /// Asks the supervisor to end everything at once; false when there is none.
    pub fn kill(&mut self) -> bool {
        let Some(pipe) = &mut self.0 else {
            return false;
        };
        pipe.write_all(&[KILL_NOW]).is_ok()
    }
}

/// How a program is started, which has to be done while this lives.
#[derive(Debug)]
pub struct Start {
    program: OsString,
    arguments: Vec<OsString>,
    /// Where it is started. The supervisor itself goes to the program's directory: one that hangs would hold up
    /// who starts it, and everybody who wants to start something else.
    directory: PathBuf,
    leash: Leash,
    _inherited: Option<(PipeReader, MutexGuard<'static, ()>)>,
}

impl Start {
    /// The command, with this environment and no other, without its pipes.
    pub fn command(&self, environment: Vec<(OsString, OsString)>) -> Command {
        let mut command = leader(&self.program, environment);
        command.args(&self.arguments).current_dir(&self.directory);
        command
    }

    /// To be kept as long as what was started may go on.
    pub fn leash(self) -> Leash {
        self.leash
    }
}

/// How to start a program in `directory` with this environment.
///
/// # Errors
/// When there is no such program, or no pipe can be made.
pub fn start(
    program: &OsStr,
    arguments: impl IntoIterator<Item = OsString>,
    ends: Ends,
    environment: &[(OsString, OsString)],
    directory: &Path,
) -> io::Result<Start> {
    let Some(supervisor) = PROGRAM.get() else {
        return Ok(Start {
            program: program.to_owned(),
            arguments: arguments.into_iter().collect(),
            directory: directory.to_owned(),
            leash: Leash(None),
            _inherited: None,
        });
    };
    find(program, environment, directory)?;
    let starting = STARTING.lock();
    let (reader, writer) = io::pipe()?;
    // Only the reading end is inherited; the writing end is closed in everything that Baton starts.
    rustix::io::fcntl_setfd(&reader, rustix::io::FdFlags::empty())?;
    let own = [
        SUBCOMMAND.into(),
        reader.as_raw_fd().to_string().into(),
        ends.word().into(),
        directory.into(),
        END_OF_FLAGS.into(),
    ];
    let own = own.into_iter();
    Ok(Start {
        program: supervisor.clone().into(),
        arguments: own.chain([program.to_owned()]).chain(arguments).collect(),
        directory: "/".into(),
        leash: Leash(Some(writer)),
        _inherited: Some((reader, starting)),
    })
}

/// The supervisor could tell only later that there is no such program.
fn find(program: &OsStr, environment: &[(OsString, OsString)], directory: &Path) -> io::Result<()> {
    let path = environment.iter().find(|(name, _)| name == "PATH");
    let found = which::which_in(program, path.map(|(_, value)| value), directory);
    match found {
        Ok(_) => Ok(()),
        Err(_) => Err(io::Error::from(nix::errno::Errno::ENOENT)),
    }
}
