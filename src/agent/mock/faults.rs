//! What the mock agent can be told to lack (`--without`) and to do wrong (`--fault`).
//!
//! Each value imitates something that a real agent was seen doing, or a failure that every
//! subprocess can have. The doc comments are the `--help` text.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread::{park, sleep};
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use tokio::signal::unix::{SignalKind, signal};

use super::wire;

/// A capability that the mock agent can be started without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Without {
    /// No configOptions anywhere: the models are in the older `models` field and are switched with
    /// `session/set_model`.
    SetConfigOption,
    /// No way to switch: the model is what `--model` says at launch (any name is accepted there).
    ModelChoice,
    /// No `session/load`.
    Load,
    /// No `session/resume`.
    Resume,
    /// No `session/close`.
    Close,
    /// No `session/delete`.
    Delete,
    /// No `session/list`.
    List,
    /// No modes, neither as a config option nor as the `modes` field.
    Modes,
    /// No effort option on any model.
    Variants,
    /// Image blocks in a prompt are refused.
    Images,
    /// Neither `usage_update` nor `usage` in the prompt's reply.
    Usage,
    /// Never asks the client a question.
    Elicitation,
}

/// Something that the mock agent can be told to do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// `session/load` answers first and replays the history afterwards.
    LoadReplaysLate,
    /// `session/load` always fails with -32603.
    LoadFails,
    /// `session/list` does not tell when sessions were used.
    ListsNoTimes,
    /// A switch of the model, effort or mode while a turn runs is refused with -32600.
    RefusesBusySwitch,
    /// A switch to a model that does not exist is accepted.
    AcceptsAnyModel,
    /// A model switch is answered without an error, but the reply still shows the old model, which
    /// goes on answering.
    ReportsOtherModel,
    /// A model switch is answered without an error and the reply shows the new model, but the
    /// model of the launch goes on answering.
    IgnoresModel,
    /// A session goes on with the model of its first answer, whatever is selected in it, or when it is opened again.
    KeepsFirstModel,
    /// The tokens in the reply to a prompt are those of all turns of the session.
    CountsAllTokens,
    /// The tokens in the reply to a prompt are those since the process has opened the session or its model was changed.
    CountsTokensOfModel,
    /// The reply to a prompt names the model that has really answered, in `_meta`.
    TellsModel,
    /// `initialize` is answered after `--delay-ms`.
    SlowStart,
    /// `session/set_config_option` and `session/set_model` act and answer after `--delay-ms`.
    SlowSwitch,
    /// Reads requests and never replies to any.
    NeverAnswers,
    /// The prompt `flood` sends 100,000 updates.
    Floods,
    /// There are lines between the messages on stdout that are not JSON.
    Noise,
    /// Every prompt ends with `end_turn` and nothing else.
    SilentEndTurn,
    /// After each prompt's reply it changes to its next model and announces that.
    SwitchesItself,
    /// SIGTERM does nothing.
    IgnoresSigterm,
    /// The end of stdin does nothing.
    IgnoresEof,
    /// Starts a `sleep 600` in its own process group and leaves it behind; the prompt `child`
    /// answers with its process id.
    LeavesChild,
    /// The same with a process group of its own.
    LeavesDetachedChild,
    /// The same with a session of its own (`setsid`).
    LeavesChildInSession,
    /// From a prompt `slow` on nothing more is read from stdin.
    StopsReading,
    /// From a prompt `slow` on a line is read every two seconds.
    ReadsSlowly,
    /// At a prompt `slow` stdin is closed; the process goes on when `ignores-eof` is there, too.
    ClosesStdin,
    /// At a prompt `slow` the process stops itself, as with SIGSTOP.
    StopsItself,
    /// Writes more to stderr at its start than a pipe holds, and a line for each message.
    StderrNoise,
    /// `session/new` needs an `authenticate` first: -32000.
    AuthRequired,
    /// Sessions are opened, and a prompt is refused with -32000 until an `authenticate`, or as long as the environment
    /// names no file BATON_MOCK_SIGNED_IN that exists.
    AuthAtPrompt,
    /// Every prompt is refused as by a model's provider: 429, with 3 seconds to wait.
    RateLimited,
    /// `session/resume` succeeds with an empty history.
    ResumeLosesHistory,
    /// `session/load` and `session/resume` succeed for any session, which is empty then; `session/list` lists none.
    ReopensEmpty,
    /// A session that is opened again goes on with the model that it was made with.
    ReopensOwnModel,
    /// `session/new` answers with the same id for the same working directory.
    IdByDirectory,
    /// A message follows the reply to `session/new`, before any prompt.
    SpeaksFirst,
    /// Every switch of the model fails with -32603.
    SetModelError,
    /// A session that is opened again lists its models under other ids.
    ReopensWithOtherIds,
    /// `session/new` closes every other session, also in the middle of its turn.
    ClosesOtherSessions,
    /// `session/cancel` does nothing.
    IgnoresCancel,
    /// Models are chosen by two options of the category `model`: first the provider (east, west), then its model.
    ProviderThenModel,
    /// With `provider-then-model`: another provider is accepted and not selected.
    OneProvider,
    /// A greeting comes with the first prompt of each new session, as if it were part of the answer.
    Greets,
}

/// How long `reads-slowly` waits before each line.
const SLOW_READ: Duration = Duration::from_secs(2);
/// How long `stops-itself` waits, so that the answer has begun.
const STOPS_AFTER: Duration = Duration::from_millis(300);

/// Lines that `stderr-noise` writes at the start. With about 70 bytes each they are more than the
/// 64 KiB that a pipe holds, so an agent whose stderr nobody reads gets stuck.
const STDERR_NOISE_LINES: usize = 2_000;

/// How long the child of `leaves-child` sleeps, in seconds.
const CHILD_SLEEP_SECONDS: &str = "600";

/// Brings about the faults that begin with the process. Returns the process id of the child that
/// `leaves-child` started.
pub(super) fn at_start(faults: &[Fault]) -> std::io::Result<Option<u32>> {
    if faults.contains(&Fault::IgnoresSigterm) {
        // A listener replaces the signal's default action for the rest of the process, even when
        // nobody listens any more.
        drop(signal(SignalKind::terminate())?);
    }
    if faults.contains(&Fault::StderrNoise) {
        for line in 1..=STDERR_NOISE_LINES {
            wire::log(&format!(
                "warning {line}: this is the noise that agents make on stderr"
            ));
        }
    }
    let is_detached = faults.contains(&Fault::LeavesDetachedChild);
    let in_session = faults.contains(&Fault::LeavesChildInSession);
    if is_detached || in_session || faults.contains(&Fault::LeavesChild) {
        // With no pipe of ours open in the child, only its process group leads to it.
        let mut command = Command::new(if in_session { "setsid" } else { "sleep" });
        if in_session {
            command.arg("sleep");
        }
        if is_detached {
            command.process_group(0);
        }
        let child = command
            .arg(CHILD_SLEEP_SECONDS)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        return Ok(Some(child.id()));
    }
    Ok(None)
}

/// Whether a line is a prompt `slow`, at which some faults begin.
pub(super) fn is_slow_prompt(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    line.contains("\"session/prompt\"") && line.contains("\"slow ")
}

/// Brings about the faults that begin with a prompt `slow`, in the thread that reads stdin, before its next line.
pub(super) fn before_next_line(faults: &[Fault]) {
    for fault in faults {
        match fault {
            Fault::StopsReading => loop {
                park();
            },
            Fault::ReadsSlowly => sleep(SLOW_READ),
            Fault::ClosesStdin => {
                // What is read from now on is the end.
                let _or_not = File::open("/dev/null").map(nix::unistd::dup2_stdin);
            }
            Fault::StopsItself => {
                sleep(STOPS_AFTER);
                let _or_not = raise(Signal::SIGSTOP);
            }
            _ => {}
        }
    }
}
