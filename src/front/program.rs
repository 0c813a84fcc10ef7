//! The real OpenCode, for everything but serving: its terminal UI and `run` are attached to Baton, the rest is its own.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use super::arguments::Arguments;
use super::{Failure, Front, NAME, PASSWORD, USERNAME, running};

/// What `baton opencode --help` says.
pub(super) const HELP: &str = "\
OpenCode's terminal UI on Baton, which is started if it does not run and ends with the UI.

Usage: baton opencode [--stay] [--data-dir DIR] [arguments of `opencode attach`: --dir, --session, --continue ...]
       baton opencode run [arguments of `opencode run`]
       baton opencode serve --help

  --stay            the Baton that is started goes on when the UI has ended
  --data-dir DIR    Baton's data directory [default: BATON_DATA_DIR, or ~/.local/share/baton]

It runs the `opencode` on PATH. With this program linked as `opencode`, other commands are passed on to that one.";
/// Flags with which the real program's UI begins; anything else that comes first is a command of its own.
const FLAG: u8 = b'-';

/// Runs the real program with these arguments.
pub(super) async fn run(arguments: Vec<OsString>) -> Result<ExitCode, Failure> {
    let program = find()?;
    let first = arguments.first();
    let begins_ui = first.is_none_or(|first| first.as_encoded_bytes().first() == Some(&FLAG));
    let runs = first.is_some_and(|first| first == "run");
    let attached = arguments
        .iter()
        .any(|a| a.as_encoded_bytes().starts_with(b"--attach"));
    match begins_ui || (runs && !attached) {
        true => on_baton(program, arguments, runs).await,
        // It takes this process's place.
        false => Err(Failure::of(format!(
            "{} cannot be run: {}",
            program.display(),
            Command::new(&program).args(arguments).exec()
        ))),
    }
}

async fn on_baton(
    program: PathBuf,
    arguments: Vec<OsString>,
    runs: bool,
) -> Result<ExitCode, Failure> {
    let Own {
        stay,
        data_dir,
        rest,
    } = Own::read(arguments)?;
    let serve = Arguments {
        ports: vec![0],
        data_dir,
        ..Arguments::read([]).map_err(Failure::usage)?
    };
    let password = running::new_token();
    let front = Front::open(&serve, Some(password.clone()), !stay).await?;
    let mut command = tokio::process::Command::new(&program);
    match runs {
        true => command
            .args(["run", "--attach", &front.url])
            .args(rest.iter().skip(1)),
        false => command.args(["attach", &front.url]).args(&rest),
    };
    // In the child's environment, where `ps` does not show it: only the user who started Baton can read it there.
    command.env(PASSWORD, password).env_remove(USERNAME);
    let mut child = command
        .spawn()
        .map_err(|error| Failure::of(format!("{} cannot be run: {error}", program.display())))?;
    // The UI has the terminal and deals with Ctrl-C itself; this program ends after it.
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
        .map_err(Failure::of)?;
    let mut serving = std::pin::pin!(front.serve());
    loop {
        tokio::select! {
            ended = child.wait() => {
                let status = ended.map_err(Failure::of)?;
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                return Ok(ExitCode::from(code.unwrap_or(1)));
            }
            () = &mut serving => return Err(Failure::of("the front has ended")),
            _ = interrupt.recv() => {}
        }
    }
}

/// The arguments that are Baton's own.
struct Own {
    stay: bool,
    data_dir: Option<PathBuf>,
    rest: Vec<OsString>,
}

impl Own {
    fn read(arguments: Vec<OsString>) -> Result<Self, Failure> {
        let (mut stay, mut data_dir, mut rest) = (false, None, Vec::new());
        let mut left = arguments.into_iter();
        while let Some(argument) = left.next() {
            match argument.to_str() {
                Some("--stay") => stay = true,
                Some("--data-dir") => {
                    let given = left.next();
                    let given = given.ok_or_else(|| Failure::usage("--data-dir needs a value"))?;
                    data_dir = Some(given.into());
                }
                Some(text) if text.starts_with("--data-dir=") => {
                    data_dir = text.split_once('=').map(|(_, value)| value.into());
                }
                _ => rest.push(argument),
            }
        }
        Ok(Self {
            stay,
            data_dir,
            rest,
        })
    }
}

/// The `opencode` on PATH that is not this program.
fn find() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()
        .and_then(|own| own.canonicalize())
        .ok();
    let all = which::which_all(NAME).into_iter().flatten();
    let mut others = all.filter(|path| path.canonicalize().ok() != own);
    others.next().ok_or_else(|| {
        Failure::of(
            "OpenCode is not on PATH, whose terminal UI this runs. Install it with `npm install -g opencode-ai`, or give \
             another client the address of `baton serve`",
        )
    })
}
