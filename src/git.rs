//! Runs the `git` program: bounded in time and output, without prompts, and without leaving anything behind.
//!
//! What a repository or the user has configured must not make a call start other programs, wait for somebody,
//! or take locks that the user's own git would stumble over.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::sync::Semaphore;

use crate::lanes::Lanes;
use crate::process::{self, Group};

mod layout;

pub use layout::{GitDirs, exclude_file};

/// How long a call may take, unless it says otherwise. It begins when the call is made, so that it holds for
/// the waiting for other calls, too.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// What a call may print, in bytes, unless it says otherwise.
pub const OUTPUT_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Calls that run at the same time in one directory.
const AT_ONCE: usize = 4;
/// The same in all directories.
const ALL_AT_ONCE: usize = 64;
/// The memory that a call may take, in bytes; what it maps of the repository's packs does not count.
const MEMORY_MAX_BYTES: u64 = 1024 * 1024 * 1024;
/// Of what git says on stderr, this much is kept for an error, in bytes.
const STDERR_MAX_BYTES: usize = 4 * 1024;
/// The program.
const PROGRAM: &str = "git";

/// Settings of every call. They are on the command line, where they override every file.
const SETTINGS: [&str; 17] = [
    // A program of the repository's choice, or a daemon that would outlive us.
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "gc.auto=0",
    "maintenance.auto=false",
    // Output is for us and not for a terminal.
    "core.quotePath=false",
    "color.ui=false",
    "core.pager=cat",
    // Programs that some command or other might have for a terminal, a network or a signature.
    "core.sshCommand=false",
    "core.askPass=true",
    "core.editor=true",
    "credential.helper=",
    "gpg.program=false",
    "log.showSignature=false",
    "protocol.allow=never",
    "submodule.recurse=false",
    "diff.submodule=short",
    "diff.ignoreSubmodules=dirty",
];

/// What git gets of Baton's own environment: where it finds programs and the user's configuration, and by whom it was
/// started through sudo, which matters to `safe.directory`. No password and no key is for git.
const ENVIRONMENT: [&str; 10] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "XDG_CONFIG_HOME",
    "TMPDIR",
    "TZ",
    "LD_LIBRARY_PATH",
    "SUDO_UID",
    "SYSTEMROOT",
];

static LANES: LazyLock<Lanes<PathBuf>> =
    LazyLock::new(|| Lanes::new(AT_ONCE, AT_ONCE, ALL_AT_ONCE));
static RUNNING: Semaphore = Semaphore::const_new(ALL_AT_ONCE);

/// Why a call of git has no result.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no `git` on `PATH`.
    #[error("git is not installed")]
    NotInstalled,
    /// It could not be started or spoken with.
    #[error("git cannot be run: {0}")]
    Io(#[from] io::Error),
    /// A file that git would read is none that can be read.
    #[error("git is not run in {repository}: {file} {error}")]
    Unsound {
        /// The repository's root.
        repository: String,
        /// The file, relative to it.
        file: String,
        /// What is wrong with it.
        error: String,
    },
    /// It took too long and was ended.
    #[error("git {command} took longer than {timeout:?}")]
    TimedOut {
        /// The subcommand.
        command: String,
        /// How long it had.
        timeout: Duration,
    },
    /// It printed too much and was ended.
    #[error("git {command} printed more than {max_bytes} bytes")]
    TooLarge {
        /// The subcommand.
        command: String,
        /// How much it may print.
        max_bytes: usize,
    },
    /// It ended with a status other than zero.
    #[error("git {command} failed: {stderr}")]
    Failed {
        /// The subcommand.
        command: String,
        /// The exit status, where there was one.
        code: Option<i32>,
        /// The beginning of what it said.
        stderr: String,
    },
}

/// One call of git that is being put together.
#[derive(Debug, Clone)]
#[must_use = "nothing happens before run()"]
pub struct Git {
    directory: PathBuf,
    command: String,
    globals: Vec<OsString>,
    names_repository: bool,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    input: Vec<u8>,
    timeout: Duration,
    output_max_bytes: usize,
}

impl Git {
    /// `git COMMAND` in a directory.
    pub fn new(directory: impl Into<PathBuf>, command: &str) -> Self {
        Self {
            directory: directory.into(),
            command: command.to_owned(),
            globals: Vec::new(),
            names_repository: false,
            arguments: Vec::new(),
            environment: Vec::new(),
            input: Vec::new(),
            timeout: TIMEOUT,
            output_max_bytes: OUTPUT_MAX_BYTES,
        }
    }

    /// Uses this git directory for this working tree, instead of looking for one.
    pub fn repository(mut self, git_dir: &Path, work_tree: &Path) -> Self {
        self.names_repository = true;
        self.globals.extend([
            "--git-dir".into(),
            git_dir.into(),
            "--work-tree".into(),
            work_tree.into(),
        ]);
        self
    }

    /// A setting for this call: `key=value`.
    pub fn setting(mut self, setting: &str) -> Self {
        self.globals.extend(["-c".into(), setting.into()]);
        self
    }

    /// Reads neither the user's nor the system's configuration. Otherwise they count, because they may
    /// decide what is ignored, and which directories git may work in at all.
    pub fn isolated(mut self) -> Self {
        for (name, value) in [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
        ] {
            self.environment.push((name.into(), value.into()));
        }
        self
    }

    /// An environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().into()));
        self
    }

    /// An argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().into());
        self
    }

    /// Arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        let arguments = arguments.into_iter().map(|a| a.as_ref().to_owned());
        self.arguments.extend(arguments);
        self
    }

    /// What it reads from stdin.
    pub fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    /// How long it may take, the waiting for other calls included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How much it may print, in bytes.
    pub fn output_max_bytes(mut self, bytes: usize) -> Self {
        self.output_max_bytes = bytes;
        self
    }

    /// Runs it and returns what it printed. Dropped before its end, it ends the program and everything that
    /// the program has started.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn run(self) -> Result<Vec<u8>, GitError> {
        let (timeout, command) = (self.timeout, self.command.clone());
        match tokio::time::timeout(timeout, self.run_unbounded()).await {
            Ok(result) => result,
            Err(_elapsed) => Err(GitError::TimedOut { command, timeout }),
        }
    }

    /// The same, as text; invalid UTF-8 is replaced.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn text(self) -> Result<String, GitError> {
        Ok(String::from_utf8_lossy(&self.run().await?).into_owned())
    }

    async fn run_unbounded(self) -> Result<Vec<u8>, GitError> {
        let _place = LANES.place(&self.directory).await;
        // The semaphore is never closed.
        let _permit = RUNNING.acquire().await.map_err(io::Error::other)?;
        if !self.names_repository {
            layout::check_around(&self.directory).await?;
        }
        let mut child = self.spawn()?;
        bound_memory(&child);
        let mut group = Group::led_by(&child);
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(GitError::Io(io::Error::other("git has no pipes")));
        };
        let (printed, said, ()) = tokio::try_join!(
            read_up_to(stdout, self.output_max_bytes),
            read_beginning(stderr),
            write_all(stdin, &self.input),
        )?;
        let Some(printed) = printed else {
            return Err(GitError::TooLarge {
                command: self.command,
                max_bytes: self.output_max_bytes,
            });
        };
        let status = child.wait().await?;
        group.release();
        if status.success() {
            return Ok(printed);
        }
        Err(GitError::Failed {
            command: self.command,
            code: status.code(),
            stderr: String::from_utf8_lossy(&said).trim().to_owned(),
        })
    }

    fn spawn(&self) -> Result<Child, GitError> {
        let own = ENVIRONMENT
            .iter()
            .filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
        let mut command = process::leader(PROGRAM, own);
        // git itself goes into the directory: one that hangs would hold up who starts it.
        command
            .arg("-C")
            .arg(&self.directory)
            .arg("--no-pager")
            .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
            .args(&self.globals)
            .arg(&self.command)
            .args(&self.arguments)
            .current_dir("/")
            .env("LC_ALL", "C")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("GIT_NO_LAZY_FETCH", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => GitError::NotInstalled,
            _ => GitError::Io(error),
        })
    }
}

/// A file of a repository may have no end, and git keeps what it reads.
fn bound_memory(child: &Child) {
    let limit = Rlimit {
        current: Some(MEMORY_MAX_BYTES),
        maximum: Some(MEMORY_MAX_BYTES),
    };
    let pid = child
        .id()
        .and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
    // One that has ended already takes none.
    let _ended = pid.map(|pid| prlimit(Some(pid), Resource::Data, limit));
}

/// All of a stream; `None` when it is longer.
async fn read_up_to(
    stream: impl AsyncRead + Unpin,
    max_bytes: usize,
) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(max_bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    stream.take(limit).read_to_end(&mut bytes).await?;
    Ok((bytes.len() <= max_bytes).then_some(bytes))
}

/// The beginning of a stream; the rest is read and dropped, so that the writer does not block.
async fn read_beginning(mut stream: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = STDERR_MAX_BYTES as u64;
    (&mut stream).take(limit).read_to_end(&mut bytes).await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(bytes)
}

async fn write_all(mut stdin: ChildStdin, input: &[u8]) -> io::Result<()> {
    match stdin.write_all(input).await {
        // A program that has ended already says itself why.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests;
