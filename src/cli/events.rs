//! `baton events`: what has happened, and what happens.

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::time::timeout;

use super::answer::how_to_answer;
use super::failure::Failure;
use super::server::{Event, Server, ServerArgs};
use super::terminal::{Style, Terminal, beginning, one_line};
use super::words;
use crate::opencode::now_ms;

/// The metric that says how many events are kept.
const KEPT: &str = "baton_ring_events ";
/// Of events that are kept, the next one comes within this time.
const COMES_WITHIN: Duration = Duration::from_secs(2);
/// The width of the column with the type, in characters.
const KIND_CHARS: usize = 27;
/// At most this much of an event is shown, in characters.
const SHOWN_CHARS: usize = 100;

/// What `baton events` takes.
#[derive(Debug, Clone, Args)]
pub struct EventsArgs {
    /// Only those of this session: its id, the beginning of its id, or `last`
    #[arg(value_name = "SESSION")]
    pub session: Option<String>,

    /// Go on with what happens, instead of ending with what has happened and is kept
    #[arg(long, short)]
    pub follow: bool,

    /// Print a JSON object a line, as the server has sent it
    #[arg(long)]
    pub json: bool,

    /// Of which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Writes them.
///
/// # Errors
/// When there is no server, or stdout cannot be written.
pub async fn run(args: &EventsArgs, server: &Server, terminal: Terminal) -> Result<(), Failure> {
    let only = match &args.session {
        Some(session) => Some(server.session(session).await?.id),
        None => None,
    };
    let concerns = |event: &Event| match &only {
        Some(id) => event.session() == Some(id.as_str()),
        None => true,
    };
    if args.follow {
        let mut events = server.events(None).await?;
        terminal.say("listening; Ctrl-C ends it");
        loop {
            let event = events.next().await?;
            if !event.is_of_stream() && concerns(&event) {
                write(&event, args, server, terminal)?;
            }
        }
    }
    let mut left = kept(server).await?;
    // All that are kept come after number 0.
    let mut events = server.events(Some(0)).await?;
    while left > 0 {
        let Ok(event) = timeout(COMES_WITHIN, events.next()).await else {
            return Ok(());
        };
        let event = event?;
        if event.is_of_stream() {
            continue;
        }
        left -= 1;
        if concerns(&event) {
            write(&event, args, server, terminal)?;
        }
    }
    Ok(())
}

/// How many events the server keeps.
async fn kept(server: &Server) -> Result<u64, Failure> {
    let metrics = server.text("//metrics").await?;
    let kept = metrics.lines().find_map(|line| line.strip_prefix(KEPT));
    let kept = kept.and_then(|kept| kept.trim().parse::<f64>().ok());
    // A count, far below what is exact.
    Ok(kept.unwrap_or_default() as u64)
}

fn write(
    event: &Event,
    args: &EventsArgs,
    server: &Server,
    terminal: Terminal,
) -> Result<(), Failure> {
    if args.json {
        return Ok(terminal.line(&event.payload.to_string())?);
    }
    let at = event.properties()["time"].as_u64();
    let at = at.or(args.follow.then(now_ms)).map(words::clock);
    let about = match event.kind() {
        "permission.asked" | "question.asked" => {
            how_to_answer(event.kind(), event.properties(), server).replace('\n', "; ")
        }
        kind => beginning(&about(kind, event.properties()), SHOWN_CHARS),
    };
    let line = format!(
        "{:19}  {}  {}  {about}",
        at.unwrap_or_default(),
        terminal.paint(
            Style::Bold,
            &format!("{:KIND_CHARS$}", one_line(event.kind()))
        ),
        event.session().map(one_line).unwrap_or_default(),
    );
    Ok(terminal.line(line.trim_end())?)
}

/// What an event says, in a few words.
fn about(kind: &str, it: &Value) -> String {
    let text = |place: &str| {
        it.pointer(place)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    match kind {
        "session.model_changed" => {
            let previous = it.get("previous").filter(|previous| !previous.is_null());
            let previous = previous.map_or_else(String::new, |it| format!("{} ", label(it)));
            format!(
                "{previous}→ {} ({}, {})",
                label(&it["current"]),
                text("/source"),
                text("/effective")
            )
        }
        "session.model_applied" => {
            let ms = it["durationMs"]
                .as_u64()
                .map(words::millis)
                .unwrap_or_default();
            format!(
                "{} · {} · {ms}",
                label(&it["current"]),
                text("/transfer/kind")
            )
        }
        "session.model_failed" => {
            format!(
                "{} · {}",
                label(&it["current"]),
                text("/error/data/message")
            )
        }
        "session.error" => text("/error/data/message").to_owned(),
        "session.status" => text("/status/type").to_owned(),
        "session.created" | "session.updated" => text("/info/title").to_owned(),
        "message.updated" => match text("/info/modelID") {
            "" => text("/info/role").to_owned(),
            model => format!(
                "{} {}/{model}",
                text("/info/role"),
                text("/info/providerID")
            ),
        },
        "message.part.updated" => match text("/part/tool") {
            "" => format!("{} {}", text("/part/type"), text("/part/text")),
            tool => format!("{tool} {}", text("/part/state/status")),
        },
        "message.part.delta" => text("/delta").to_owned(),
        "permission.replied" => format!("{} {}", text("/requestID"), text("/reply")),
        "tui.toast.show" => text("/message").to_owned(),
        "file.edited" => text("/file").to_owned(),
        _ => String::new(),
    }
}

/// `provider/model` of a selection.
fn label(selection: &Value) -> String {
    let text = |name: &str| selection[name].as_str().unwrap_or("?").to_owned();
    let variant = selection["variant"].as_str();
    words::model(&text("providerID"), &text("modelID"), variant)
}
