//! What a start has to do with the machine, and says in the log.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Where a server keeps what it knows.
#[derive(Debug)]
pub(super) struct About {
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Its config file, or where one would be looked for.
    pub config_file: Option<PathBuf>,
}

impl About {
    /// Says in the log what runs where.
    pub(super) fn tell(&self, address: &str) {
        let config_file = match &self.config_file {
            Some(file) if file.exists() => file.display().to_string(),
            _ => "none".to_owned(),
        };
        tracing::info!(
            address,
            data_dir = %self.data_dir.display(),
            config_file,
            pid = std::process::id(),
            "Baton {} has started",
            env!("CARGO_PKG_VERSION")
        );
    }
}

/// The address under which a server can be reached from this machine.
pub(super) fn reachable(listening: SocketAddr) -> SocketAddr {
    let host = match listening.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    SocketAddr::new(host, listening.port())
}

/// A file that may not grow any further (`ulimit -f`) is an error of the write, which is reported to its caller
/// for it. By default it would end the process.
pub(super) fn survive_file_limits() {
    let too_large = SignalKind::from_raw(Signal::SIGXFSZ as i32);
    if let Err(error) = signal(too_large) {
        tracing::warn!("a file that reaches the system's limit will end Baton: {error}");
    }
}
