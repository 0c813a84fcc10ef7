//! Runs commands of the user: with their own shell, each in a process group of its own, bounded in time and
//! in what is kept of its output. Whatever happens, the whole group is gone afterwards.

mod output;

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio::time::{Instant, timeout_at};

use crate::environment::Environment;
use crate::looks;
use crate::process::{Group, Ledger};
use crate::supervise::{self, Ends, Leash};

pub use output::{Output, PREVIEW_BYTES};

/// A command that runs for longer is ended, unless the configuration says something else.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// What is kept of a command's output unless the configuration says something else, in bytes.
pub const DEFAULT_OUTPUT_BYTES: usize = 256 * 1024;
/// The shell of a user who has none.
const FALLBACK_SHELL: &str = "/bin/sh";
/// Shells that read the user's profile with `-l`.
const LOGIN_SHELLS: [&str; 5] = ["bash", "zsh", "fish", "ksh", "mksh"];
/// Read at once, in bytes.
const READ_BYTES: usize = 16 * 1024;
/// How long is read on after the command has ended: a process that has left its group may hold the pipe.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
/// The name of commands in the record of running processes.
const LEDGER_NAME: &str = "shell";

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShellLimits {
    /// A command that runs for longer is ended.
    pub timeout: Duration,
    /// What is kept of the output of one command, in bytes.
    pub output_bytes: usize,
}

impl Default for ShellLimits {
    fn default() -> Self {
        Self {
            timeout: DEFAULT_TIMEOUT,
            output_bytes: DEFAULT_OUTPUT_BYTES,
        }
    }
}

/// How a command has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It took too long.
    TimedOut,
    /// Somebody has stopped it.
    Stopped,
}

/// Runs commands.
#[derive(Clone)]
pub struct Shell {
    program: PathBuf,
    environment: Environment,
    limits: ShellLimits,
    /// From SIGTERM to SIGKILL.
    grace: Duration,
    ledger: Arc<dyn Ledger>,
}

impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shell")
            .field("program", &self.program)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Shell {
    /// The user's own shell (`$SHELL`). Commands get this environment; a process that does not end with SIGTERM is
    /// killed after `grace`.
    pub fn new(
        limits: ShellLimits,
        grace: Duration,
        environment: Environment,
        ledger: Arc<dyn Ledger>,
    ) -> Self {
        let own = std::env::var_os("SHELL").map(PathBuf::from);
        let own = own.filter(|shell| shell.is_absolute() && which::which(shell).is_ok());
        Self {
            program: own.unwrap_or_else(|| FALLBACK_SHELL.into()),
            environment,
            limits,
            grace,
            ledger,
        }
    }

    /// The bounds.
    pub fn limits(&self) -> ShellLimits {
        self.limits
    }

    /// Runs a command in a directory until it ends, takes too long, or `stop` is ready. What it prints,
    /// on either stream, goes to `output` in its order. Dropping the future kills it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn run(
        &self,
        command: &str,
        directory: &Path,
        output: &Output,
        stop: impl Future<Output = ()>,
    ) -> io::Result<Ended> {
        if !looks::is_directory(directory).await? {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut running = self.start(command, directory)?;
        let deadline = Instant::now() + self.limits.timeout;
        let ended = tokio::select! {
            status = running.wait(output) => Ended::Exited(status?),
            () = stop => Ended::Stopped,
            () = tokio::time::sleep_until(deadline) => Ended::TimedOut,
        };
        if !matches!(ended, Ended::Exited(_)) {
            running.group.signal(Signal::SIGTERM);
            let patience = Instant::now() + self.grace;
            // A group that has not ended by then is killed below.
            let _or_not = timeout_at(patience, running.wait(output)).await;
        }
        running.finish(output).await;
        Ok(ended)
    }

    fn start(&self, command: &str, directory: &Path) -> io::Result<Running> {
        // One pipe for both streams, so that lines come in the order in which they were written.
        let (reader, writer) = io::pipe()?;
        let environment = self.environment.variables();
        let login = self.is_login_shell().then_some("-l");
        let arguments = login.into_iter().chain(["-c", command]).map(OsString::from);
        let program = self.program.as_os_str();
        let start = supervise::start(program, arguments, Ends::Group, &environment, directory)?;
        let mut shell = start.command(environment);
        shell
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .kill_on_drop(true);
        let child = shell.spawn()?;
        // The command holds our ends of the pipe; while they are open, it has no end.
        drop(shell);
        let group = Group::led_by(&child).on_record(&self.ledger, LEDGER_NAME);
        let pipe = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        Ok(Running {
            child,
            group,
            leash: start.leash(),
            pipe: Some(pipe),
        })
    }

    fn is_login_shell(&self) -> bool {
        let name = self.program.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| LOGIN_SHELLS.contains(&name))
    }
}

struct Running {
    child: Child,
    /// With what the command has left running in the background.
    group: Group,
    /// What ends the command when Baton is killed.
    leash: Leash,
    /// Until its end was read.
    pipe: Option<pipe::Receiver>,
}

impl Running {
    /// Waits for the shell itself, and reads meanwhile.
    async fn wait(&mut self, output: &Output) -> io::Result<ExitStatus> {
        loop {
            tokio::select! {
                status = self.child.wait() => return status,
                open = read_some(&mut self.pipe, output), if self.pipe.is_some() => {
                    if !open {
                        self.pipe = None;
                    }
                }
            }
        }
    }

    /// Ends what is left of the group, and reads what it has printed.
    async fn finish(mut self, output: &Output) {
        // The supervisor kills the shell and waits for it, so that it is gone and not only dead.
        if self.leash.kill() {
            let _or_not = timeout_at(Instant::now() + LAST_OUTPUT, self.child.wait()).await;
        }
        self.group.signal(Signal::SIGKILL);
        let until = Instant::now() + LAST_OUTPUT;
        let rest = async { while read_some(&mut self.pipe, output).await {} };
        let _or_not = timeout_at(until, rest).await;
        // Killed or ended by itself: either way its status has to be read, or it stays a zombie.
        let _status = timeout_at(until + LAST_OUTPUT, self.child.wait()).await;
    }
}

/// Reads once; false at the end.
async fn read_some(pipe: &mut Option<pipe::Receiver>, output: &Output) -> bool {
    let Some(pipe) = pipe else { return false };
    // On the heap: every worker's task would have room for it all its life.
    let mut buffer = Vec::with_capacity(READ_BYTES);
    match pipe.read_buf(&mut buffer).await {
        Ok(0) | Err(_) => false,
        Ok(_) => {
            output.push(&buffer);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoLedger;

    impl Ledger for NoLedger {
        fn started(&self, _: u32, _: u64, _: &str) {}
        fn ended(&self, _: u32) {}
    }

    fn shell(timeout: Duration) -> Shell {
        let limits = ShellLimits {
            timeout,
            output_bytes: 10_000,
        };
        Shell {
            program: FALLBACK_SHELL.into(),
            ..Shell::new(
                limits,
                Duration::from_millis(200),
                Environment::default(),
                Arc::new(NoLedger),
            )
        }
    }

    async fn run(
        command: &str,
        timeout: Duration,
        stop: impl Future<Output = ()>,
    ) -> (Ended, String) {
        let output = Output::new(10_000);
        let ended = shell(timeout)
            .run(command, Path::new("/"), &output, stop)
            .await
            .expect("it starts");
        (ended, output.text())
    }

    /// Waits until a process is gone: a signal takes its time on a busy machine.
    async fn until_gone(pid: &str) {
        let gone = async {
            while is_alive(pid) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let gone = tokio::time::timeout(Duration::from_secs(60), gone).await;
        gone.unwrap_or_else(|_| panic!("{pid} is still there"));
    }

    fn is_alive(pid: &str) -> bool {
        // A zombie is dead already; only its parent does not know it.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
    }

    #[tokio::test]
    async fn both_streams_come_in_their_order_with_the_exit_status() {
        let minute = Duration::from_secs(60);
        let (ended, text) = run(
            "echo a; echo b >&2; pwd; exit 3",
            minute,
            std::future::pending(),
        )
        .await;
        assert_eq!(text, "a\nb\n/\n");
        let Ended::Exited(status) = ended else {
            panic!("{ended:?}")
        };
        assert_eq!(status.code(), Some(3));
    }

    #[tokio::test]
    async fn what_ignores_sigterm_is_killed_with_its_children() {
        let script = "trap '' TERM; sleep 600 & echo $!; sleep 600";
        let (ended, text) = run(script, Duration::from_millis(300), std::future::pending()).await;
        assert_eq!(ended, Ended::TimedOut);
        until_gone(text.trim()).await;
    }

    #[tokio::test]
    async fn what_was_left_in_the_background_ends_with_the_command() {
        let minute = Duration::from_secs(60);
        let (ended, text) = run("sleep 600 & echo $!", minute, std::future::pending()).await;
        assert!(matches!(ended, Ended::Exited(_)));
        until_gone(text.trim()).await;
    }

    #[tokio::test]
    async fn a_stop_that_is_ready_ends_it_at_once() {
        let minute = Duration::from_secs(60);
        let (ended, _) = run("sleep 600", minute, std::future::ready(())).await;
        assert_eq!(ended, Ended::Stopped);
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_an_error() {
        let output = Output::new(100);
        let nowhere = Path::new("/does/not/exist");
        let refused = shell(Duration::from_secs(60))
            .run("true", nowhere, &output, std::future::pending())
            .await;
        assert_eq!(
            refused.expect_err("refused").kind(),
            io::ErrorKind::NotFound
        );
    }
}
