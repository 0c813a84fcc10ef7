//! One agent process: started as the leader of its own group, ended with everything it started.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, BufReader};
use tokio::process::ChildStderr;
use tokio::sync::watch;
use tokio::time::Instant;

use super::ending::{Ending, Running};
use super::spec::{AgentSpec, Launch};
use crate::process::{Ledger, start_time_s};
use crate::secret;
use crate::supervise::{self, Ends};

/// The end of an agent's stderr is kept for error messages; this many bytes of it.
pub const STDERR_TAIL_BYTES: usize = 16 * 1024;
/// Of that, this many bytes are quoted in an error.
pub const STDERR_QUOTE_BYTES: usize = 2 * 1024;
/// Read from stderr at once, in bytes.
const STDERR_READ_BYTES: usize = 4 * 1024;

/// The last bytes that a process wrote to stderr.
#[derive(Debug, Clone, Default)]
pub struct StderrTail(Arc<Mutex<VecDeque<u8>>>);

impl StderrTail {
    /// Adds what was written.
    pub fn push(&self, bytes: &[u8]) {
        let mut tail = self.0.lock();
        tail.extend(bytes);
        let surplus = tail.len().saturating_sub(STDERR_TAIL_BYTES);
        tail.drain(..surplus);
    }

    /// The end of it, as text for an error message, with secrets masked; empty when nothing was written.
    pub fn quote(&self) -> String {
        let bytes: Vec<u8> = {
            let tail = self.0.lock();
            tail.iter().copied().collect()
        };
        let text = String::from_utf8_lossy(&bytes);
        // All of the tail: a secret that was cut in two would not be recognised.
        let masked = secret::mask(&text);
        let skip = masked.len().saturating_sub(STDERR_QUOTE_BYTES);
        let mut starts = skip..=masked.len();
        let start = starts.find(|at| masked.is_char_boundary(*at));
        masked[start.unwrap_or(masked.len())..].trim().to_owned()
    }
}

/// A running process. Its pipes are taken by the connection; this handle ends it.
#[derive(Debug)]
pub struct AgentProcess {
    /// Process id of its supervisor, which is also its group's id; `None` for an agent in this process.
    pub pid: Option<u32>,
    /// When it was started, in seconds since the Unix epoch, as the system says.
    pub started_at_s: u64,
    /// What it said on stderr.
    pub stderr: StderrTail,
    /// How long each way of ending it may take, unless it is in a hurry.
    grace: Duration,
    /// Dropped, it means an end at once.
    stop: watch::Sender<Option<Ending>>,
    exit: watch::Receiver<Option<String>>,
}

/// The pipes of a new agent.
pub struct Pipes {
    /// To the agent.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// From the agent.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
}

/// Starts agents. Their users do not know whether there is a process behind the pipes.
pub trait Starter: Send + Sync {
    /// Whether the backend's program is there.
    ///
    /// # Errors
    /// A sentence for the user.
    fn find(&self, spec: &AgentSpec) -> Result<(), String>;

    /// Starts an agent in `cwd`. `end_grace` is how long each way of ending it may take.
    ///
    /// # Errors
    /// When it cannot be started.
    fn start(
        &self,
        launch: &Launch,
        cwd: &Path,
        end_grace: Duration,
    ) -> io::Result<(AgentProcess, Pipes)>;
}

/// Starts each agent as a process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Processes;

impl Starter for Processes {
    fn find(&self, spec: &AgentSpec) -> Result<(), String> {
        spec.find_program().map(drop)
    }

    fn start(
        &self,
        launch: &Launch,
        cwd: &Path,
        end_grace: Duration,
    ) -> io::Result<(AgentProcess, Pipes)> {
        spawn(launch, cwd, end_grace)
    }
}

/// The other end of an [`AgentProcess`] without a process, held by what runs the agent.
#[derive(Debug)]
pub struct InMemory {
    /// What the agent says on stderr goes here.
    pub stderr: StderrTail,
    stop: watch::Receiver<Option<Ending>>,
    exit: watch::Sender<Option<String>>,
}

impl InMemory {
    /// Waits until the agent is to end.
    pub async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // An error means that its handle was dropped.
        let _dropped = stop.wait_for(Option::is_some).await;
    }

    /// The agent has ended in this way. Dropping this says the same without a way.
    pub fn ended(self, status: &str) {
        self.exit.send_replace(Some(status.to_owned()));
    }
}

/// Starts a process.
///
/// # Errors
/// When the program cannot be started.
pub fn spawn(
    launch: &Launch,
    cwd: &Path,
    end_grace: Duration,
) -> io::Result<(AgentProcess, Pipes)> {
    let (program, arguments) = launch
        .command
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"))?;
    let environment = launch.environment.variables();
    let ends = match launch.leaves_children {
        true => Ends::Group,
        false => Ends::Everything,
    };
    let start = supervise::start(
        program.as_ref(),
        arguments.iter().map(Into::into),
        ends,
        &environment,
        cwd,
    )?;
    let mut child = start
        .command(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let leash = start.leash();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let pid = child.id();
    let (Some(pid), Some(stdin), Some(stdout), Some(stderr)) = (pid, stdin, stdout, stderr) else {
        return Err(io::Error::other("the process has no pid or no pipes"));
    };
    let tail = StderrTail::default();
    tokio::spawn(drain_stderr(stderr, tail.clone()));
    let (stop, stopped) = watch::channel(None);
    let (exit_sender, exit) = watch::channel(None);
    let running = Running::new(child, pid, leash);
    tokio::spawn(async move {
        let status = running.until_end(stopped).await;
        exit_sender.send_replace(Some(status));
    });
    let started_at_s = start_time_s(pid).unwrap_or(0);
    Ok((
        AgentProcess {
            pid: Some(pid),
            started_at_s,
            stderr: tail,
            grace: end_grace,
            stop,
            exit,
        },
        Pipes {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
        },
    ))
}

impl AgentProcess {
    /// The handle of an agent that runs in this process, and the agent's end of it.
    pub fn in_memory() -> (Self, InMemory) {
        let stderr = StderrTail::default();
        let (stop, stopped) = watch::channel(None);
        let (exit_sender, exit) = watch::channel(None);
        let process = Self {
            pid: None,
            started_at_s: 0,
            stderr: stderr.clone(),
            grace: Duration::ZERO,
            stop,
            exit,
        };
        let agent = InMemory {
            stderr,
            stop: stopped,
            exit: exit_sender,
        };
        (process, agent)
    }

    /// Has the ledger remember the process, so that a later Baton can end it.
    pub fn note_start(&self, ledger: &dyn Ledger, backend: &str) {
        if let Some(pid) = self.pid {
            ledger.started(pid, self.started_at_s, backend);
        }
    }

    /// Has the ledger forget the process, which has to be gone.
    pub fn note_end(&self, ledger: &dyn Ledger) {
        if let Some(pid) = self.pid {
            ledger.ended(pid);
        }
    }

    /// Ends the process and everything it started, and waits until they are gone: first it is left to notice
    /// that its stdin was closed, then SIGTERM, then SIGKILL.
    pub async fn end(&self) {
        self.request_end();
        self.exited().await;
    }

    /// Asks for the same without waiting.
    pub fn request_end(&self) {
        self.end_as(Ending::patient(self.grace));
    }

    /// Asks for the end of a process that does not obey: SIGTERM now, then SIGKILL.
    pub fn request_end_now(&self) {
        self.end_as(Ending::stern(self.grace));
    }

    /// Asks for an end that is over at this time.
    pub fn request_end_by(&self, deadline: Instant) {
        self.end_as(Ending::by(deadline).or_sooner(Ending::patient(self.grace)));
    }

    /// Of several endings, what comes first counts.
    fn end_as(&self, ending: Ending) {
        self.stop.send_modify(|asked| {
            *asked = Some(asked.map_or(ending, |asked| asked.or_sooner(ending)));
        });
    }

    /// Waits until the process is gone, and says how it ended.
    pub async fn exited(&self) -> String {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(status) => status.clone().unwrap_or_default(),
            Err(_) => "it was ended".to_owned(),
        }
    }
}

async fn drain_stderr(stderr: ChildStderr, tail: StderrTail) {
    let mut reader = BufReader::new(stderr);
    let mut buffer = vec![0; STDERR_READ_BYTES];
    while let Ok(read) = reader.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        tail.push(&buffer[..read]);
    }
}
