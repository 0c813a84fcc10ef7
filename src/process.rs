//! Processes that Baton starts, each as the leader of a group of its own: how such a group is started and ended, and
//! how one that an earlier Baton has left behind is recognised.

use std::ffi::{OsStr, OsString};
use std::sync::{Arc, LazyLock};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::process::{Child, Command};

/// Keeps a record of running processes beyond the life of this one.
pub trait Ledger: Send + Sync {
    /// A process was started.
    fn started(&self, pid: u32, started_at_s: u64, backend: &str);
    /// A process has ended.
    fn ended(&self, pid: u32);
}

/// Keeps no record: for processes that need not be found again after a crash, and for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLedger;

impl Ledger for NoLedger {
    fn started(&self, _pid: u32, _started_at_s: u64, _backend: &str) {}

    fn ended(&self, _pid: u32) {}
}

/// A command that will lead a group of its own, with these environment variables and no others.
pub fn leader(
    program: impl AsRef<OsStr>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(environment).process_group(0);
    command
}

/// A process group, which is killed when this is dropped.
pub struct Group {
    /// Its leader; `None` when nothing of the group needs to be killed any more.
    pid: Option<u32>,
    /// Where its leader is on record.
    ledger: Option<Arc<dyn Ledger>>,
}

impl Group {
    /// The group that a child leads.
    pub fn led_by(child: &Child) -> Self {
        Self {
            pid: child.id(),
            ledger: None,
        }
    }

    /// Keeps the leader on record as long as the group is there.
    pub fn on_record(mut self, ledger: &Arc<dyn Ledger>, name: &str) -> Self {
        if let Some(pid) = self.pid {
            ledger.started(pid, start_time_s(pid).unwrap_or(0), name);
        }
        self.ledger = Some(Arc::clone(ledger));
        self
    }

    /// Sends a signal to every process of the group.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            signal_group(pid, signal);
        }
    }

    /// Lets go of the group: whatever is left of it goes on.
    pub fn release(&mut self) {
        self.pid = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        if let (Some(pid), Some(ledger)) = (self.pid, &self.ledger) {
            ledger.ended(pid);
        }
    }
}

/// Sends a signal to every process of a group. A group that is gone is no error.
pub fn signal_group(pid: u32, signal: Signal) {
    let Ok(pid) = i32::try_from(pid) else { return };
    // Zero and one would mean our own group and the whole system.
    if pid > 1 {
        let _gone_is_fine = killpg(Pid::from_raw(pid), signal);
    }
}

/// Whether anything of a group is left, if only to be reaped.
pub fn is_there(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| pid > 1 && killpg(Pid::from_raw(pid), None).is_ok())
}

/// When a process was started, in seconds since the Unix epoch; `None` when there is no such process.
pub fn start_time_s(pid: u32) -> Option<u64> {
    let pid = sysinfo::Pid::from_u32(pid);
    let mut system = System::new().ok()?;
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        true,
        ProcessRefreshKind::nothing(),
    );
    system.process(pid).map(sysinfo::Process::start_time)
}

/// The boot of the system that this process lives in. It tells an earlier process from a stranger that has been given
/// the same number since; empty when the system does not say.
pub fn boot_id() -> &'static str {
    static BOOT_ID: LazyLock<String> = LazyLock::new(read_boot_id);
    &BOOT_ID
}

#[cfg(target_os = "linux")]
fn read_boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// The time of the boot. Where a set clock moves it, an earlier process is left alone.
#[cfg(not(target_os = "linux"))]
fn read_boot_id() -> String {
    let booted_at_s = System::boot_time();
    booted_at_s.map_or_else(|_| String::new(), |at_s| format!("booted-{at_s}"))
}

/// Ends what an earlier Baton left behind, and answers whether there was anything to signal. A process that merely has
/// the same number is left alone. An empty `boot` is of a record from before boots were noted.
pub fn end_orphan(pid: u32, started_at_s: u64, boot: &str) -> bool {
    let ours = match start_time_s(pid) {
        Some(start) => start == started_at_s && (boot.is_empty() || boot == boot_id()),
        // The leader is gone, and its number may still name its group: within one boot the system gives no new
        // process a number that is in use as a group's.
        None => !boot.is_empty() && boot == boot_id(),
    };
    if ours {
        signal_group(pid, Signal::SIGKILL);
    }
    ours
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    use super::*;

    fn child() -> (Child, u32, u64) {
        let mut command = Command::new("sleep");
        let child = command.arg("60").process_group(0).spawn().expect("starts");
        let pid = child.id();
        let started_at_s = start_time_s(pid).expect("alive");
        (child, pid, started_at_s)
    }

    #[test]
    fn a_process_is_ended_if_number_start_and_boot_are_its_own() {
        let (mut process, pid, started_at_s) = child();
        assert!(!boot_id().is_empty());
        assert!(!end_orphan(pid, started_at_s, "another-boot"));
        assert!(!end_orphan(pid, started_at_s + 1, boot_id()));
        assert!(!end_orphan(pid, started_at_s + 1, ""));
        assert!(process.try_wait().expect("waits").is_none(), "left alone");
        assert!(is_there(pid));
        assert!(end_orphan(pid, started_at_s, boot_id()));
        assert!(!process.wait().expect("waits").success());
        assert!(!is_there(pid));
    }

    #[test]
    fn without_a_boot_only_a_live_process_with_the_same_start_is_ended() {
        let (mut process, pid, started_at_s) = child();
        assert!(end_orphan(pid, started_at_s, ""));
        process.wait().expect("waits");
        assert!(!end_orphan(pid, started_at_s, ""), "gone");
    }
}
