//! `baton opencode`: takes the place of the program `opencode` for clients that start it themselves.
//!
//! ```text
//!   client ──► opencode serve (a front) ──┐
//!   client ──► opencode serve (a front) ──┼──► baton serve --for-fronts   one for a data directory
//!   baton opencode ──► its terminal UI ───┘
//! ```
//!
//! Each client gets a server of its own, with its own address and password, which ends with it. Behind them is one Baton
//! ([`running`]): the first front starts it, the last one ends it, and one that its user has started stays.

mod arguments;
pub mod detach;
mod program;
mod proxy;
pub mod running;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, watch};

use crate::config::Places;
use crate::http::auth::guesses::Guesses;
use crate::http::auth::{PASSWORD_MAX_BYTES, Password};
use crate::http::guard::is_loopback;
use crate::http::serve::{self, ConnectionLimits};
use crate::opencode::VERSION;
use crate::secret;
use arguments::Arguments;
use proxy::Proxy;
use running::Hold;

/// OpenCode's variables, which clients set for the server that they start.
const PASSWORD: &str = "OPENCODE_SERVER_PASSWORD";
const USERNAME: &str = "OPENCODE_SERVER_USERNAME";
const CONFIG_CONTENT: &str = "OPENCODE_CONFIG_CONTENT";
/// The name under which this program is `opencode` itself.
const NAME: &str = "opencode";
/// How often a front looks whether the program that has started it is still there.
const LOOK_FOR_PARENT: Duration = Duration::from_millis(500);
/// The exit status for a wrong command line.
const USAGE_STATUS: u8 = 2;

const HELP: &str = "\
Stands in for `opencode serve`: OpenCode's API on an address of its own, with Baton behind it.

Usage: baton opencode serve [--port N] [--hostname HOST] [--cors ORIGIN]... [--data-dir DIR]

  --port N          listen on this port; 0 takes a free one [default: 4096, or a free one]
  --hostname HOST   listen on this host [default: 127.0.0.1]; any other than a loopback one needs a password
  --cors ORIGIN     a web origin that may use it; may be repeated
  --data-dir DIR    Baton's data directory [default: BATON_DATA_DIR, or ~/.local/share/baton]

--print-logs, --log-level and other flags of OpenCode's are taken and change nothing. OPENCODE_SERVER_PASSWORD is the
password that clients send (HTTP Basic with any user name), OPENCODE_CONFIG_CONTENT's \"model\" what their sessions begin
with. All fronts of a data directory share one Baton, which is started with the first and ends with the last.";

/// The arguments of `baton opencode`, if this is what was called: by that name, or by that of a link `opencode`.
pub fn called(arguments: impl IntoIterator<Item = OsString>) -> Option<Vec<OsString>> {
    let mut arguments = arguments.into_iter();
    let name = arguments.next()?;
    let mut rest: Vec<_> = arguments.collect();
    if Path::new(&name).file_name() == Some(OsStr::new(NAME)) {
        return Some(rest);
    }
    let is_called = rest.first().is_some_and(|first| first == NAME);
    is_called.then(|| rest.split_off(1))
}

/// Runs it.
pub async fn run(arguments: Vec<OsString>) -> ExitCode {
    let first = arguments.first().map(|first| first.to_string_lossy());
    let done = match first.as_deref() {
        Some("serve") => serve(arguments.into_iter().skip(1)).await,
        Some("--version" | "-v") => say(VERSION),
        Some("--help" | "-h") => say(program::HELP),
        _ => program::run(arguments).await,
    };
    match done {
        Ok(status) => status,
        Err(error) => {
            // Without a stderr there is no one to tell.
            let _unheard = writeln!(io::stderr(), "baton: {}", secret::mask(&error.text));
            ExitCode::from(error.status)
        }
    }
}

/// Why it ends at once.
#[derive(Debug)]
struct Failure {
    status: u8,
    text: String,
}

impl Failure {
    fn usage(text: impl ToString) -> Self {
        let text = text.to_string();
        Self {
            status: USAGE_STATUS,
            text,
        }
    }

    fn of(error: impl ToString) -> Self {
        let text = error.to_string();
        Self { status: 1, text }
    }
}

fn say(text: &str) -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    let said = writeln!(out, "{text}").and_then(|()| out.flush());
    said.map(|()| ExitCode::SUCCESS).map_err(Failure::of)
}

async fn serve(given: impl Iterator<Item = OsString>) -> Result<ExitCode, Failure> {
    let arguments = Arguments::read(given).map_err(Failure::usage)?;
    if arguments.help {
        return say(HELP);
    }
    for warning in &arguments.warnings {
        let _unheard = writeln!(io::stderr(), "baton: {warning}");
    }
    let password = std::env::var(PASSWORD).ok().filter(|p| !p.is_empty());
    if password
        .as_ref()
        .is_some_and(|p| p.len() > PASSWORD_MAX_BYTES)
    {
        let text =
            format!("{PASSWORD} is longer than {PASSWORD_MAX_BYTES} bytes. Set a shorter one");
        return Err(Failure::usage(text));
    }
    if password.is_none() && !is_loopback(&arguments.hostname) {
        return Err(Failure::usage(format!(
            "--hostname {} can be reached from other machines, and no password is set. Set {PASSWORD}, or listen on \
             127.0.0.1",
            arguments.hostname
        )));
    }
    secret::learn(password.clone());
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::of)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::of)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(Failure::of)?;
    // A client may give up before there is a server.
    let serving = async {
        let front = Front::open(&arguments, password, true).await?;
        say(&format!("opencode server listening on {}", front.url))?;
        front.serve().await;
        Ok(())
    };
    tokio::select! {
        served = serving => served?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
        () = without_parent() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// A front that listens.
struct Front {
    url: String,
    listener: TcpListener,
    proxy: Arc<Proxy>,
    stop: watch::Sender<bool>,
    /// Kept as long as it is there for its client.
    _hold: Hold,
}

impl Front {
    async fn open(
        arguments: &Arguments,
        password: Option<String>,
        for_fronts: bool,
    ) -> Result<Self, Failure> {
        let places = Places::of_this_process().map_err(Failure::usage)?;
        let data_dir = data_dir(arguments, &places)?;
        let listener = listen(&arguments.hostname, &arguments.ports).await?;
        let address = listener.local_addr().map_err(Failure::of)?;
        let place = data_dir.clone();
        let found = tokio::task::spawn_blocking(move || {
            let hold = Hold::take(&place)?;
            let running = running::ensure(&place, for_fronts)?;
            Ok::<_, running::StartError>((hold, running))
        });
        let (hold, running) = found.await.map_err(Failure::of)?.map_err(Failure::of)?;
        let directory = percent_encode(
            places.directory.as_os_str().as_encoded_bytes(),
            NON_ALPHANUMERIC,
        );
        let stop = watch::Sender::new(false);
        let proxy = Proxy {
            server: Mutex::new(running),
            data_dir,
            for_fronts,
            hostname: arguments.hostname.clone(),
            password: password.map(Password::new),
            guesses: Guesses::default(),
            says: proxy::says(configured_model().as_deref(), &arguments.origins),
            directory: HeaderValue::from_str(&directory.to_string()).ok(),
            stopping: stop.subscribe(),
        };
        let host = match arguments.hostname.contains(':') {
            true => format!("[{}]", arguments.hostname.trim_matches(['[', ']'])),
            false => arguments.hostname.clone(),
        };
        Ok(Self {
            url: format!("http://{host}:{}", address.port()),
            listener,
            proxy: Arc::new(proxy),
            stop,
            _hold: hold,
        })
    }

    async fn serve(self) {
        let router = proxy::router(self.proxy);
        let limits = ConnectionLimits::default();
        serve::serve(self.listener, router, limits, self.stop.subscribe()).await;
    }
}

fn data_dir(arguments: &Arguments, places: &Places) -> Result<PathBuf, Failure> {
    let variable = std::env::var_os("BATON_DATA_DIR").filter(|v| !v.is_empty());
    let given = arguments.data_dir.clone().or(variable.map(PathBuf::from));
    places.data_dir(given.as_deref()).map_err(Failure::usage)
}

async fn listen(hostname: &str, ports: &[u16]) -> Result<TcpListener, Failure> {
    let bare = hostname.trim_matches(['[', ']']);
    let mut last = None;
    for port in ports {
        match TcpListener::bind((bare, *port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(format!("{hostname}:{port} cannot be listened on: {error}")),
        }
    }
    Err(Failure::of(last.unwrap_or_default()))
}

/// `model` of the configuration that the client has set for its server.
fn configured_model() -> Option<String> {
    let text = std::env::var(CONFIG_CONTENT).ok()?;
    let config: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(config.get("model")?.as_str()?.to_owned())
}

/// Returns when the program that has started this one has ended without a word. Only if it holds the other end of stdin: who
/// starts a server in a shell and leaves it there wants it to stay.
async fn without_parent() {
    let stdin = rustix::fs::fstat(io::stdin())
        .map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode));
    let held = stdin.is_ok_and(|kind| {
        matches!(
            kind,
            rustix::fs::FileType::Fifo | rustix::fs::FileType::Socket
        )
    });
    if !held {
        return std::future::pending().await;
    }
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        tokio::time::sleep(LOOK_FOR_PARENT).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_called_by_its_own_name_or_as_a_word() {
        let of = |line: &str| called(line.split(' ').map(OsString::from));
        let serve = Some(vec![OsString::from("serve")]);
        assert_eq!(of("/usr/bin/opencode serve"), serve);
        assert_eq!(of("/usr/bin/baton opencode serve"), serve);
        assert_eq!(of("opencode"), Some(Vec::new()));
        for other in ["baton serve", "opencode2 serve", "baton serve opencode"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
