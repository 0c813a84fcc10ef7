//! The server of a data directory: found, or started, and ended with the last front.
//!
//! ```text
//!   front ──holds── baton.fronts.lock (shared) ──waits for── baton serve --for-fronts (exclusive)
//!     └────reads─── baton.run.json: address and token ──written by── any baton serve
//! ```
//!
//! The system releases a lock however its holder ends, so no message is needed when a front goes. A server that
//! gets the lock is alone: it keeps it until it has ended, and a front that comes meanwhile waits for that and starts
//! another one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::detach;
use crate::folder;
use crate::store::data_dir::DataDir;

/// What a running server says of itself. It holds the token, so that only the owner may read it.
const RUN_FILE: &str = "baton.run.json";
/// Shared by all fronts; a server that gets it for itself has none left.
const FRONTS_LOCK: &str = "baton.fronts.lock";
/// Held while a server is being started.
const START_LOCK: &str = "baton.start.lock";
/// What a server that was started by a front has to say.
const LOG_FILE: &str = "baton.log";
/// Random characters of a token.
const TOKEN_CHARS: usize = 43;
/// How long a server may take until it listens: a large database is looked through after a crash.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks whether it does.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The end of the log that is quoted when a server does not start, in bytes.
const QUOTED_BYTES: usize = 2_000;
/// Variables that are one client's own: a server that others share, and its agents, do not get them.
const CLIENTS_OWN: [&str; 4] = [
    super::PASSWORD,
    super::USERNAME,
    super::CONFIG_CONTENT,
    "OPENCODE_CONFIG",
];

/// A running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// What a front shows to be let in.
    pub token: String,
    /// Its process. This and what follows are for people; an older server does not write them.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Its config file, or where one would have been read from.
    #[serde(default)]
    pub config_file: Option<PathBuf>,
    /// When it was started, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub started: Option<u64>,
}

/// Why there is no server, as a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("the data directory {0} cannot be used: {1}")]
    DataDir(String, io::Error),
    /// It cannot be started.
    #[error("baton serve cannot be started: {0}")]
    Start(io::Error),
    /// It has ended at once.
    #[error("baton serve did not start. {0}")]
    Ended(String),
    /// It takes too long.
    #[error(
        "the server of the data directory {0} says nothing of itself. It may be of another version: stop it and try again."
    )]
    Silent(String),
}

/// A token that cannot be guessed.
pub fn new_token() -> String {
    let mut rng = rand::rng();
    let random = (0..TOKEN_CHARS).map(|_| rng.sample(rand::distr::Alphanumeric));
    random.map(char::from).collect()
}

/// The file by which fronts find this server. It is removed with this.
#[derive(Debug)]
pub struct RunFile(PathBuf);

impl RunFile {
    /// Writes it. The directory has to be this server's.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(data_dir: &Path, running: &Running) -> io::Result<Self> {
        let text = serde_json::to_vec(running)?;
        let path = data_dir.join(RUN_FILE);
        // Made anew, so that the mode is right whatever was there.
        let _none = fs::remove_file(&path);
        let mut file = private().create_new(true).open(&path)?;
        file.write_all(&text)?;
        Ok(Self(path))
    }
}

impl Drop for RunFile {
    fn drop(&mut self) {
        // What is left is not believed without the server's lock.
        let _gone = fs::remove_file(&self.0);
    }
}

/// As long as this lives, the server of a data directory does not end for want of fronts.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "it holds the lock")] File);

impl Hold {
    /// Takes it. Blocks while a server that has no fronts left ends.
    ///
    /// # Errors
    /// When the data directory cannot be used.
    pub fn take(data_dir: &Path) -> Result<Self, StartError> {
        let shown = data_dir.display().to_string();
        let unusable = |error| StartError::DataDir(shown.clone(), error);
        folder::make(data_dir).map_err(unusable)?;
        let file = lock_file(data_dir, FRONTS_LOCK).map_err(unusable)?;
        file.lock_shared().map_err(unusable)?;
        Ok(Self(file))
    }
}

/// Calls `alone` when no front is left. The lock is kept for as long as this process lives.
///
/// # Errors
/// When the lock cannot be waited for.
pub fn when_alone(data_dir: &Path, alone: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let file = lock_file(data_dir, FRONTS_LOCK)?;
    let waiting = std::thread::Builder::new().name("fronts".to_owned());
    waiting.spawn(move || {
        if let Err(error) = file.lock() {
            tracing::warn!("whether there are fronts is not known: {error}");
        }
        alone();
        loop {
            std::thread::park();
        }
    })?;
    Ok(())
}

/// The server of a data directory; `None` where none runs, or where it does not listen yet.
pub fn find(data_dir: &Path) -> Option<Running> {
    if !DataDir::is_claimed(data_dir) {
        return None;
    }
    let text = fs::read(data_dir.join(RUN_FILE)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The server of a data directory. If none runs, one is started, which ends with the last front if `for_fronts`. Blocks.
///
/// # Errors
/// See [`StartError`].
pub fn ensure(data_dir: &Path, for_fronts: bool) -> Result<Running, StartError> {
    if let Some(running) = find(data_dir) {
        return Ok(running);
    }
    let shown = data_dir.display().to_string();
    let unusable = |error| StartError::DataDir(shown.clone(), error);
    let starting = lock_file(data_dir, START_LOCK).map_err(unusable)?;
    starting.lock().map_err(unusable)?;
    let began = Instant::now();
    // Another front may have started one meanwhile; or its user, and it is about to listen.
    loop {
        if let Some(running) = find(data_dir) {
            return Ok(running);
        }
        if !DataDir::is_claimed(data_dir) {
            break;
        }
        if began.elapsed() > STARTS_WITHIN {
            return Err(StartError::Silent(shown));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    start(data_dir, for_fronts)?;
    find(data_dir).ok_or(StartError::Silent(shown))
}

fn start(data_dir: &Path, for_fronts: bool) -> Result<(), StartError> {
    let log_path = data_dir.join(LOG_FILE);
    let log = private().create(true).truncate(true).open(&log_path);
    let log = log.map_err(StartError::Start)?;
    let mut command = Command::new(std::env::current_exe().map_err(StartError::Start)?);
    command
        .args([detach::SUBCOMMAND, "serve", "--host", "127.0.0.1"])
        .args(["--port", "0", "--data-dir"])
        .arg(data_dir)
        .args(for_fronts.then_some("--for-fronts"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
    for variable in CLIENTS_OWN {
        command.env_remove(variable);
    }
    let mut child = command.spawn().map_err(StartError::Start)?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        // It ends with the server, which says one line when it listens.
        let _unread = BufReader::new(out).read_line(&mut line);
    }
    let _detached = child.wait();
    match line.is_empty() {
        true => Err(StartError::Ended(end_of(&log_path))),
        false => Ok(()),
    }
}

fn end_of(log: &Path) -> String {
    let mut text = Vec::new();
    let read = File::open(log).and_then(|mut log| log.read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let quoted = text
        .char_indices()
        .rev()
        .take(QUOTED_BYTES)
        .last()
        .map_or("", |(at, _)| &text[at..]);
    match read {
        Ok(_) if !quoted.trim().is_empty() => quoted.trim().to_owned(),
        _ => format!("{} has nothing", log.display()),
    }
}

fn lock_file(data_dir: &Path, name: &str) -> io::Result<File> {
    private()
        .create(true)
        .truncate(false)
        .open(data_dir.join(name))
}

/// For files that only their owner can read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}
