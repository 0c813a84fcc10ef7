//! The supervisor's own process. It has one thread and no runtime, and takes about 2 MB of its own.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill, killpg, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, getpgrp, getpid};

use super::{END_OF_FLAGS, Ends, KILL_NOW};

/// When Baton is gone: from SIGTERM to SIGKILL.
pub const ORPHAN_GRACE: Duration = Duration::from_secs(1);
/// What a program has left behind when it ended gets this long from SIGTERM to SIGKILL.
const LEFT_GRACE: Duration = Duration::from_millis(200);
/// What is still there this long after SIGKILL hangs in the kernel, and is not waited for.
const KILLED_WITHIN: Duration = Duration::from_millis(500);
/// How often it is looked for children that were adopted meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Exit statuses of a supervisor that could not start its program, as shells have them.
const NOT_FOUND_STATUS: u8 = 127;
const NOT_STARTED_STATUS: u8 = 126;
/// Added to a signal's number where a process cannot end by that signal itself.
const SIGNALLED_STATUS: i32 = 128;

/// `baton supervise FD ENDS -- PROGRAM ARGUMENTS…`, without the subcommand. To be called before anything else is done.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (command, leash, ends) = match read(arguments) {
        Ok(read) => read,
        Err(error) => return fail(NOT_STARTED_STATUS, &error.to_string()),
    };
    let program = command.get_program().to_owned();
    let mut supervisor = match Supervisor::start(command, leash, ends) {
        Ok(supervisor) => supervisor,
        Err(error) => {
            let status = match error.kind() {
                io::ErrorKind::NotFound => NOT_FOUND_STATUS,
                _ => NOT_STARTED_STATUS,
            };
            return fail(
                status,
                &format!("{} cannot be started: {error}", program.display()),
            );
        }
    };
    supervisor.until_end();
    end_as(supervisor.status)
}

fn fail(status: u8, why: &str) -> ExitCode {
    // Without a stderr there is nobody to tell.
    let _unheard = writeln!(io::stderr(), "baton: {why}");
    ExitCode::from(status)
}

fn read(mut arguments: impl Iterator<Item = OsString>) -> io::Result<(Command, File, Ends)> {
    let wrong = || io::Error::other("supervise is for Baton's own use");
    let mut next = || arguments.next().ok_or_else(wrong);
    let fd = next()?.into_string().map_err(|_| wrong())?;
    let fd = fd.parse::<i32>().map_err(|_| wrong())?;
    let ends = Ends::read(&next()?).ok_or_else(wrong)?;
    let directory = next()?;
    if next()? != END_OF_FLAGS {
        return Err(wrong());
    }
    let mut command = Command::new(next()?);
    command.args(arguments).current_dir(directory);
    // Opened anew it is closed in what is started from here.
    let leash = File::open(format!("/proc/self/fd/{fd}"))?;
    nix::unistd::close(fd)?;
    Ok((command, leash, ends))
}

struct Supervisor {
    leash: File,
    /// Whether Baton is known to be gone.
    is_orphan: bool,
    ends: Ends,
    child: Pid,
    status: Option<WaitStatus>,
    /// SIGCHLD: something has ended.
    ended: SignalFd,
}

impl Supervisor {
    fn start(mut command: Command, leash: File, ends: Ends) -> io::Result<Self> {
        // Baton starts it as a leader already; a user who tries it out does not.
        if getpgrp() != getpid() {
            command.process_group(0);
        }
        if ends == Ends::Everything {
            set_child_subreaper(true)?;
        }
        let child = command.spawn()?;
        let child = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        // Only now, as they would be blocked in the child as well. A signal that came before has ended this process,
        // and Baton then ends the group.
        SigSet::all().thread_block()?;
        let mut chld = SigSet::empty();
        chld.add(Signal::SIGCHLD);
        let ended = SignalFd::with_flags(&chld, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        // Whether they are open is up to the child.
        let null = File::options().read(true).write(true).open("/dev/null")?;
        dup2_stdin(&null)?;
        dup2_stdout(&null)?;
        dup2_stderr(&null)?;
        // Its directory is not kept from being unmounted.
        let _stays = std::env::set_current_dir("/");
        Ok(Self {
            leash,
            is_orphan: false,
            ends,
            child,
            status: None,
            ended,
        })
    }

    fn until_end(&mut self) {
        loop {
            self.reap();
            if self.status.is_some() {
                break;
            }
            if self.wait(PollTimeout::NONE) {
                self.pulled();
                break;
            }
        }
        if self.ends == Ends::Everything {
            self.end_children(Instant::now() + LEFT_GRACE);
        }
        // Baton does it otherwise, after it has seen the status.
        if self.is_orphan || self.wait(PollTimeout::ZERO) {
            signal_own_group(Signal::SIGKILL);
        }
    }

    /// Waits until something has ended, or the leash was pulled, which is true.
    fn wait(&self, timeout: PollTimeout) -> bool {
        let mut files = [
            PollFd::new(self.ended.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.leash.as_fd(), PollFlags::POLLIN),
        ];
        // An interruption is looked after by the caller, who loops.
        let _ready = poll(&mut files, timeout);
        let pulled = files[1].any().unwrap_or(false);
        while let Ok(Some(_)) = self.ended.read_signal() {}
        pulled
    }

    /// Baton is gone, or wants everything to end.
    fn pulled(&mut self) {
        let mut byte = [0];
        let now = matches!(self.leash.read(&mut byte), Ok(1)) && byte == [KILL_NOW];
        if now {
            return self.end_children(Instant::now());
        }
        self.is_orphan = true;
        signal_own_group(Signal::SIGTERM);
        // What has stopped itself does not notice SIGTERM.
        signal_own_group(Signal::SIGCONT);
        self.end_children(Instant::now() + ORPHAN_GRACE);
    }

    /// Asks every child to end, also those that are adopted on the way, and kills from then on.
    fn end_children(&mut self, kill_at: Instant) {
        let mut asked = HashSet::new();
        loop {
            self.reap();
            let children = children();
            let now = Instant::now();
            if children.is_empty() || now >= kill_at + KILLED_WITHIN {
                return;
            }
            for child in children {
                // It cannot have gone to another process: it is our child until it is reaped here.
                if now >= kill_at {
                    let _gone = kill(child, Signal::SIGKILL);
                } else if asked.insert(child) {
                    let _gone = kill(child, Signal::SIGTERM);
                    let _gone = kill(child, Signal::SIGCONT);
                }
            }
            let mut chld = [PollFd::new(self.ended.as_fd(), PollFlags::POLLIN)];
            let _ready = poll(
                &mut chld,
                PollTimeout::try_from(LOOK_EVERY).unwrap_or(PollTimeout::ZERO),
            );
            while let Ok(Some(_)) = self.ended.read_signal() {}
        }
    }

    fn reap(&mut self) {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                return;
            }
            if status.pid() == Some(self.child) {
                self.status = Some(status);
            }
        }
    }
}

/// Signals are blocked here, so that all but SIGKILL reach the others only.
fn signal_own_group(signal: Signal) {
    if getpgrp() == getpid() {
        let _gone = killpg(getpid(), signal);
    }
}

fn children() -> Vec<Pid> {
    let own = getpid();
    let list = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
    let list = list.unwrap_or_default();
    let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.map(Pid::from_raw).collect()
}

/// Ends in the way in which the program has ended.
fn end_as(status: Option<WaitStatus>) -> ExitCode {
    match status {
        Some(WaitStatus::Exited(_, code)) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Some(WaitStatus::Signaled(_, signal, _)) => {
            // The program has left a core file already, if it was to leave one.
            let _or_not = setrlimit(Resource::RLIMIT_CORE, 0, 0);
            let _or_not = SigSet::all().thread_unblock();
            // Rust's own handler takes the first of some signals.
            for _ in 0..2 {
                let _or_not = raise(signal);
            }
            let code = SIGNALLED_STATUS + signal as i32;
            ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
        }
        _ => ExitCode::FAILURE,
    }
}
