//! The commands that the mock agent understands: the last text block of a prompt.

use std::path::{Component, Path};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::options;
use super::tools;
use super::turn::{End, Later, Turn};
use super::wire::RpcError;

/// The commands, for `--help`.
pub(super) const HELP: &str = "\
Prompts that it understands (the last text block of a prompt; the blocks before it are context):
  echo TEXT           TEXT, in a few pieces
  tool [FILE]         a thought, then appends a line to FILE in the session's directory
  bash CMD            a tool call that pretends to run CMD
  image               a small picture, and a tool call that returns one
  read N              a tool call with N KB of output
  permission [CMD]    asks for permission to run CMD and says what the answer was
  question            asks the client for a colour
  plan                a plan of three entries
  slow N              a chunk every 100 ms for N seconds; can be cancelled
  later N COMMAND     ends its turn, and carries the command out N seconds later, outside of any turn
  job N               a tool call that ends N seconds after the turn
  big N               N KB of text in chunks of 1 KB
  stamp N [MS [K]]    N chunks, K (1) every MS milliseconds, each the time at which it was made, in us since 1970
  error               some text, then a JSON-RPC error
  error silent        ends the turn with nothing
  error text          ends the turn with an error as its text
  crash               exits with status 70
  history             everything that it was given and has answered in this session
  /NAME ARGUMENTS     one of its slash commands (--commands); the prompt has to begin with it
  model, mode, cwd, pid, session, env NAME, child
  switch MODEL        changes its own model and announces it
  anything else       names its model and says what it was told";

/// The most kilobytes that `read` gives.
const MAX_READ_KB: usize = 4_096;

/// The most kilobytes that `big` gives.
const MAX_BIG_KB: usize = 16_384;

/// The longest that `slow` takes, in seconds.
const MAX_SLOW_SECONDS: f64 = 600.0;

/// The time between two chunks of `slow`, in milliseconds.
const TICK_MS: u64 = 100;

/// Ticks of `slow` in a second.
const TICKS_PER_SECOND: f64 = 1_000.0 / TICK_MS as f64;

/// The size of the chunks of `big`, in bytes.
const BIG_CHUNK_BYTES: usize = 1_024;

/// The most chunks that `stamp` gives.
const MAX_STAMPS: usize = 1_000_000;

/// The longest time between two chunks of `stamp`, in milliseconds.
const MAX_STAMP_PAUSE_MS: u64 = 10_000;

/// The updates of `flood`.
const FLOOD_UPDATES: usize = 100_000;

/// The most that `history` answers, in bytes. It is in the next history itself, so without a limit
/// each `history` would double it.
const MAX_HISTORY_BYTES: usize = 8 * 1024 * 1024;

/// The characters of an unknown command that are repeated to the client.
const MAX_SAID_CHARS: usize = 200;

/// What a prompt asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    Echo(String),
    /// Edit this file; `None` when it is not a plain name.
    Tool(Option<String>),
    Bash(String),
    /// Kilobytes.
    Read(usize),
    Image,
    Permission(String),
    Question,
    Plan,
    Error,
    ErrorSilent,
    ErrorText,
    /// Ticks, and what is done after them.
    Later(u64, Box<Command>),
    /// Ticks.
    Job(u64),
    /// The call that went on after its turn.
    EndJob(String),
    /// Ticks.
    Slow(u64),
    Crash,
    /// Kilobytes.
    Big(usize),
    /// Chunks, the milliseconds between some and the next, and how many come at once.
    Stamp(usize, u64, usize),
    Flood,
    History,
    Model,
    Mode,
    Cwd,
    Env(String),
    Pid,
    Session,
    Child,
    Switch(String),
    /// A slash command: name, arguments.
    Slash(String, String),
    Other(String),
}

impl Command {
    /// Reads a slash command: like real agents, only at the very beginning of a prompt.
    pub(super) fn slash(prompt: &str, known: &[String]) -> Option<Self> {
        let line = prompt.strip_prefix('/')?;
        let (name, arguments) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let known = known.iter().any(|command| command == name);
        known.then(|| Self::Slash(name.to_owned(), arguments.to_owned()))
    }

    /// Reads a command. A word that is a command only on its own is not one with more after it:
    /// people begin sentences with "plan" and "model".
    pub(super) fn parse(text: &str, floods: bool) -> Self {
        let text = text.trim();
        let (word, rest) = match text.find(char::is_whitespace) {
            Some(at) => {
                let mut rest = text[at..].chars();
                rest.next();
                (&text[..at], rest.as_str())
            }
            None => (text, ""),
        };
        let argument = rest.trim();
        let other = || Self::Other(text.to_owned());
        let kilobytes = |most: usize| argument.parse::<usize>().ok().map(|kb| kb.min(most));
        match (word, argument) {
            ("echo", _) => Self::Echo(rest.to_owned()),
            ("tool", "") => Self::Tool(Some("mock-agent.txt".to_owned())),
            ("tool", name) => Self::Tool(is_plain(name).then(|| name.to_owned())),
            ("bash", cmd) if !cmd.is_empty() => Self::Bash(cmd.to_owned()),
            ("read", _) => kilobytes(MAX_READ_KB).map_or_else(other, Self::Read),
            ("big", _) => kilobytes(MAX_BIG_KB).map_or_else(other, Self::Big),
            ("stamp", _) => stamps(argument).unwrap_or_else(other),
            ("job", _) => ticks(argument).map_or_else(other, Self::Job),
            ("later", _) => match argument.split_once(' ') {
                Some((seconds, command)) => ticks(seconds).map_or_else(other, |ticks| {
                    Self::Later(ticks, Box::new(Self::parse(command, floods)))
                }),
                None => other(),
            },
            ("slow", _) => ticks(argument).map_or_else(other, Self::Slow),
            ("image", "") => Self::Image,
            ("permission", "") => Self::Permission("rm -rf build".to_owned()),
            ("permission", cmd) => Self::Permission(cmd.to_owned()),
            ("question", "") => Self::Question,
            ("plan", "") => Self::Plan,
            ("error", "") => Self::Error,
            ("error", "silent") => Self::ErrorSilent,
            ("error", "text") => Self::ErrorText,
            ("crash", "") => Self::Crash,
            ("flood", "") if floods => Self::Flood,
            ("history", "") => Self::History,
            ("model", "") => Self::Model,
            ("mode", "") => Self::Mode,
            ("cwd", "") => Self::Cwd,
            ("pid", "") => Self::Pid,
            ("session", "") => Self::Session,
            ("child", "") => Self::Child,
            ("env", name) if is_word(name) => Self::Env(name.to_owned()),
            ("switch", model) if is_word(model) => Self::Switch(model.to_owned()),
            _ => other(),
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

/// Whether a name stays in the directory: one component, and not `..`.
fn is_plain(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let one = matches!(components.next(), Some(Component::Normal(part)) if part == name);
    one && components.next().is_none() && !name.contains('\0')
}

fn ticks(seconds: &str) -> Option<u64> {
    let seconds: f64 = seconds.parse().ok()?;
    if !seconds.is_finite() || seconds < 0.0 {
        return None;
    }
    // The cast is exact enough: the number is between 0 and 6,000.
    let ticks = (seconds.min(MAX_SLOW_SECONDS) * TICKS_PER_SECOND).round() as u64;
    Some(ticks)
}

fn stamps(argument: &str) -> Option<Command> {
    let mut numbers = argument.split(' ').map(str::parse::<usize>);
    let chunks = numbers.next()?.ok()?.min(MAX_STAMPS);
    let pause_ms = numbers.next().unwrap_or(Ok(0)).ok()? as u64;
    let at_once = numbers.next().unwrap_or(Ok(1)).ok()?.max(1);
    let pause_ms = pause_ms.min(MAX_STAMP_PAUSE_MS);
    numbers
        .next()
        .is_none()
        .then_some(Command::Stamp(chunks, pause_ms, at_once))
}

fn time_of(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(TICK_MS))
}

/// Carries a command out.
pub(super) async fn run(turn: &mut Turn, command: Command) -> End {
    match command {
        Command::Echo(text) => turn.stream(&text).await,
        Command::Tool(file) => tools::edit(turn, file.as_deref()).await,
        Command::Bash(cmd) => tools::bash(turn, &cmd).await,
        Command::Read(kb) => tools::read(turn, kb).await,
        Command::Image => tools::image(turn).await,
        Command::Permission(cmd) => tools::permission(turn, &cmd).await,
        Command::Question => tools::question(turn).await,
        Command::Plan => plan(turn).await,
        Command::Error => return error(turn).await,
        Command::ErrorSilent => return End::Silent,
        Command::ErrorText => turn.say("API Error: 400 mock failure").await,
        Command::Later(ticks, command) => {
            turn.later(time_of(ticks), Later::Run(command));
            turn.say("later").await;
        }
        Command::Job(ticks) => {
            let id = tools::begin_job(turn).await;
            turn.later(time_of(ticks), Later::Run(Box::new(Command::EndJob(id))));
            turn.say("it runs").await;
        }
        Command::EndJob(id) => tools::end_job(turn, id).await,
        Command::Slow(ticks) => slow(turn, ticks).await,
        Command::Crash => {
            turn.say("crashing now").await;
            turn.agent.crash().await
        }
        Command::Big(kb) => big(turn, kb).await,
        Command::Stamp(chunks, pause_ms, at_once) => stamp(turn, chunks, pause_ms, at_once).await,
        Command::Flood => flood(turn).await,
        Command::History => {
            let text = history(turn);
            turn.stream(&text).await;
        }
        Command::Switch(model) => switch(turn, &model).await,
        Command::Slash(name, arguments) => {
            let text = slash(turn, &name, &arguments);
            turn.stream(&text).await;
        }
        Command::Other(text) => {
            let said: String = text.chars().take(MAX_SAID_CHARS).collect();
            let model = &turn.choice.model;
            let answer = format!("This is {model}. You said: {said}");
            turn.stream(&answer).await;
        }
        fact => {
            let fact = look_up(turn, &fact);
            turn.say(&fact).await;
        }
    }
    End::Done
}

fn slash(turn: &Turn, name: &str, arguments: &str) -> String {
    match name {
        "shout" => arguments.to_uppercase(),
        "count" => {
            let sessions = turn.agent.sessions();
            let entries = sessions
                .get(&turn.session_id)
                .map_or(0, |s| s.history.len());
            // The command itself is the last of them.
            format!("{} before this", entries.saturating_sub(1))
        }
        _ => format!("/{name} was run by {} with: {arguments}", turn.choice.model),
    }
}

/// The commands that ask the agent for one thing that it knows.
fn look_up(turn: &Turn, command: &Command) -> String {
    match command {
        Command::Mode => turn.choice.mode.clone(),
        Command::Cwd => turn.cwd.display().to_string(),
        Command::Env(name) => std::env::var_os(name).map_or_else(
            || "(unset)".to_owned(),
            |value| value.to_string_lossy().into_owned(),
        ),
        Command::Pid => std::process::id().to_string(),
        Command::Session => turn.session_id.clone(),
        Command::Child => (turn.agent.child).map_or("(none)".to_owned(), |pid| pid.to_string()),
        _ => turn.choice.to_string(),
    }
}

async fn plan(turn: &mut Turn) {
    let entry = |content: &str, priority: &str, status: &str| -> Value {
        json!({"content": content, "priority": priority, "status": status})
    };
    let entries = [
        entry("Read the code", "high", "completed"),
        entry("Change it", "medium", "in_progress"),
        entry("Test it", "low", "pending"),
    ];
    turn.update(json!({"sessionUpdate": "plan", "entries": entries}))
        .await;
    turn.say("planned").await;
}

async fn error(turn: &mut Turn) -> End {
    turn.say("about to fail").await;
    End::Error(RpcError {
        data: Some(json!({"details": "requested by the prompt"})),
        ..RpcError::internal("mock failure")
    })
}

async fn slow(turn: &mut Turn, ticks: u64) {
    let mut interval = tokio::time::interval(Duration::from_millis(TICK_MS));
    for tick in 1..=ticks {
        interval.tick().await;
        turn.say(&format!("tick {tick} ")).await;
    }
    turn.say("done").await;
}

async fn big(turn: &mut Turn, kb: usize) {
    let text = filler(kb * 1_024);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        // The filler is ASCII, so every index is a character boundary.
        let (chunk, left) = rest.split_at(BIG_CHUNK_BYTES.min(rest.len()));
        turn.say(chunk).await;
        rest = left;
    }
}

/// What measures how long a chunk is on its way (benches/load).
async fn stamp(turn: &mut Turn, chunks: usize, pause_ms: u64, at_once: usize) {
    // It makes up for a pause that was too long, so that the rate is what was asked for.
    let mut pauses = tokio::time::interval(Duration::from_millis(pause_ms.max(1)));
    for at in 0..chunks {
        if pause_ms > 0 && at % at_once == 0 {
            pauses.tick().await;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_us = now.unwrap_or_default().as_micros();
        turn.say(&format!("{now_us} ")).await;
    }
}

async fn flood(turn: &mut Turn) {
    for _ in 0..FLOOD_UPDATES {
        turn.say(".").await;
    }
}

fn history(turn: &Turn) -> String {
    let mut text = format!("model: {}", turn.choice);
    let sessions = turn.agent.sessions();
    let entries = sessions
        .get(&turn.session_id)
        .map_or(&[][..], |session| &session.history[..]);
    let others = entries
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != turn.command_at);
    for (number, (_, entry)) in (1..).zip(others) {
        let line = format!("\n{number}. {entry}");
        if text.len() + line.len() > MAX_HISTORY_BYTES {
            text.push_str("\n[cut: the history is too long to be listed]");
            break;
        }
        text.push_str(&line);
    }
    text
}

async fn switch(turn: &mut Turn, model: &str) {
    let announcement = {
        let agent = turn.agent.clone();
        let mut sessions = agent.sessions();
        match sessions.get_mut(&turn.session_id) {
            Some(session) => options::switch(&agent, &mut session.choice, model),
            None => Ok(None),
        }
    };
    match announcement {
        Ok(update) => {
            if let Some(update) = update {
                turn.update(update).await;
            }
            turn.say(&format!("switched myself to {model}")).await;
        }
        Err(error) => turn.say(&format!("cannot switch: {}", error.message)).await,
    }
}

/// So many bytes of readable ASCII text, always the same.
pub(super) fn filler(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 64);
    for line in 1.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&format!("line {line:06} of the mock agent's text\n"));
    }
    text.truncate(bytes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Command {
        Command::parse(text, false)
    }

    #[test]
    fn commands_are_read() {
        assert_eq!(parse("  echo a\n b "), Command::Echo("a\n b".into()));
        assert_eq!(parse("echo\n\nx"), Command::Echo("\nx".into()));
        assert_eq!(parse("echo"), Command::Echo(String::new()));
        assert_eq!(parse("tool"), Command::Tool(Some("mock-agent.txt".into())));
        assert_eq!(parse("tool a.rs"), Command::Tool(Some("a.rs".into())));
        assert_eq!(parse("read 9999"), Command::Read(4_096));
        assert_eq!(parse("big 3"), Command::Big(3));
        assert_eq!(parse("stamp 3"), Command::Stamp(3, 0, 1));
        assert_eq!(parse("stamp 3 5"), Command::Stamp(3, 5, 1));
        assert_eq!(parse("stamp 3 5 2"), Command::Stamp(3, 5, 2));
        assert_eq!(parse("slow 0.25"), Command::Slow(3));
        assert_eq!(parse("slow 1e9"), Command::Slow(6_000));
        assert_eq!(parse("error text"), Command::ErrorText);
        assert_eq!(parse("switch a/b"), Command::Switch("a/b".into()));
        assert_eq!(Command::parse("flood", true), Command::Flood);
    }

    #[test]
    fn a_slash_command_stands_at_the_beginning_and_is_known() {
        let known = ["shout".to_owned()];
        let slash =
            |name: &str, arguments: &str| Some(Command::Slash(name.into(), arguments.into()));
        assert_eq!(
            Command::slash("/shout a  b", &known),
            slash("shout", "a  b")
        );
        assert_eq!(Command::slash("/shout", &known), slash("shout", ""));
        for text in [" /shout a", "shout a", "/shouts a", "/"] {
            assert_eq!(Command::slash(text, &known), None, "{text}");
        }
    }

    #[test]
    fn sentences_are_no_commands() {
        for text in [
            "",
            "plan the work",
            "model the data",
            "read the file",
            "slow NaN",
            "slow -1",
            "error handling",
            "bash",
            "flood",
            "history of the world",
            "ECHO x",
        ] {
            assert_eq!(parse(text), Command::Other(text.to_owned()));
        }
    }

    #[test]
    fn a_file_stays_in_the_directory() {
        for name in ["../x", "/etc/x", "a/b", "..", ".", "a/", "./a", "a\0b"] {
            assert_eq!(
                parse(&format!("tool {name}")),
                Command::Tool(None),
                "{name:?}"
            );
        }
    }

    #[test]
    fn filler_has_the_size_that_was_asked_for() {
        assert_eq!(filler(0), "");
        assert_eq!(filler(10), "line 00000");
        assert_eq!(filler(5_000).len(), 5_000);
    }
}
