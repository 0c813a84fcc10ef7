//! Processes that Baton starts, each as the leader of a group of its own: how such a group is ended, and how one that
//! an earlier Baton has left behind is recognised.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

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

/// Sends a signal to every process of a group. A group that is gone is no error.
pub fn signal_group(pid: u32, signal: Signal) {
    let Ok(pid) = i32::try_from(pid) else { return };
    // Zero and one would mean our own group and the whole system.
    if pid > 1 {
        let _gone_is_fine = killpg(Pid::from_raw(pid), signal);
    }
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

/// Ends what an earlier Baton left behind. A process that merely has the same number is left alone.
pub fn end_orphan(pid: u32, started_at_s: u64) -> bool {
    match start_time_s(pid) {
        Some(start) if start != started_at_s => false,
        // The leader is alive and ours, or it is gone and its number still names its group: the
        // system gives no new process a number that is in use as a group's.
        Some(_) | None => {
            signal_group(pid, Signal::SIGKILL);
            true
        }
    }
}
