//! `baton show`: who has said what, and when the model was switched.

use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::server::{Server, ServerArgs, SessionArgs};
use super::terminal::{Style, Terminal, beginning, one_line};
use super::words;
use crate::opencode::history::{ModelHistory, ModelSwitch, ModelUsage};
use crate::opencode::message::{AssistantMessage, Message, Part, ToolPart, ToolState};
use crate::opencode::{MessageWithParts, Session};

/// At most this much of a tool call is in its line, in characters.
const CALL_CHARS: usize = 90;

/// What `baton show` takes.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// Which session.
    #[command(flatten)]
    pub session: SessionArgs,

    /// Print JSON: the session, its messages, its models
    #[arg(long)]
    pub json: bool,

    /// Only this many messages, the newest
    #[arg(long, value_name = "N")]
    pub last: Option<u64>,

    /// Of which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Shows a session.
///
/// # Errors
/// When there is no server or session, or stdout cannot be written.
pub async fn run(args: &ShowArgs, server: &Server, terminal: Terminal) -> Result<(), Failure> {
    let session = server.session(&args.session.session).await?;
    let limit = args.last.map(|last| format!("?limit={}", last.max(1)));
    let limit = limit.unwrap_or_default();
    let path = format!("/session/{}/message{limit}", session.id);
    if args.json {
        let messages: serde_json::Value = server.get(&path).await?;
        let models: serde_json::Value = server
            .get(&format!("/session/{}/model", session.id))
            .await?;
        let all = json!({ "session": session, "messages": messages, "models": models });
        let json = serde_json::to_string_pretty(&all).map_err(Failure::of)?;
        return Ok(terminal.line(&json)?);
    }
    let messages: Vec<MessageWithParts> = server.get(&path).await?;
    let history: ModelHistory = server
        .get(&format!("/session/{}/model", session.id))
        .await?;
    head(&session, &history, terminal)?;
    let from = match args.last {
        Some(_) => messages
            .first()
            .map_or(u64::MAX, |message| created(&message.info)),
        None => 0,
    };
    let switches = history.switches.iter().filter(|it| it.time >= from);
    let mut switches: Vec<&ModelSwitch> = switches.collect();
    for message in messages.iter().filter(|message| !is_notice(message)) {
        let until = created(&message.info);
        let before = switches.iter().take_while(|it| it.time <= until).count();
        for switch in switches.drain(..before) {
            switch_line(switch, terminal)?;
        }
        match &message.info {
            Message::User(user) => {
                let head = terminal.paint(Style::Bold, "you");
                terminal.line(&format!("\n{head}  {}", words::clock(user.time.created)))?;
            }
            Message::Assistant(answer) => answer_head(answer, terminal)?,
        }
        parts(&message.parts, terminal)?;
        if let Message::Assistant(answer) = &message.info
            && let Some(error) = &answer.error
        {
            let error = format!("error: {}", error.message());
            let error = terminal.paint(Style::Red, &one_line(&error));
            terminal.line(&error)?;
        }
    }
    for switch in switches {
        switch_line(switch, terminal)?;
    }
    usage(&history.usage, terminal)
}

fn head(session: &Session, history: &ModelHistory, terminal: Terminal) -> Result<(), Failure> {
    let title = terminal.paint(Style::Bold, &one_line(&session.title));
    terminal.line(&format!("{}  {title}", session.id))?;
    let selected = history.selected.as_ref().map(words::selection_and_agent);
    let selected = selected.unwrap_or_else(|| "no model yet".to_owned());
    let pinned = if history.pinned { ", pinned" } else { "" };
    let state = words::state(session);
    terminal.line(&one_line(&session.directory))?;
    terminal.line(&format!(
        "{}{pinned} · {state} · {} · revision {}",
        one_line(&selected),
        words::cost(session.cost),
        session.revision
    ))?;
    // What is the server's own is the same for all.
    if session.fallback.is_some() {
        terminal.line(&one_line(&words::chain(session)))?;
    }
    if session.limit.is_some() {
        terminal.line(&words::spent(session))?;
    }
    Ok(())
}

fn answer_head(answer: &AssistantMessage, terminal: Terminal) -> Result<(), Failure> {
    let model = words::model(
        &answer.provider_id,
        &answer.model_id,
        answer.variant.as_deref(),
    );
    let model = terminal.paint(Style::Bold, &one_line(&model));
    let about = about(answer);
    let at = words::clock(answer.time.created);
    terminal.line(&format!("\n{model}  {at} · {about}"))?;
    Ok(())
}

/// How long an answer took, and what it has cost.
pub(super) fn about(answer: &AssistantMessage) -> String {
    let took = match answer.time.completed {
        Some(end) => words::millis(end.saturating_sub(answer.time.created)),
        None => "not done yet".to_owned(),
    };
    format!(
        "{took} · {} · {}",
        words::tokens(&answer.tokens),
        words::cost(answer.cost)
    )
}

fn parts(parts: &[Part], terminal: Terminal) -> Result<(), Failure> {
    for part in parts {
        match part {
            Part::Text(text) if text.ignored == Some(true) || text.synthetic == Some(true) => {}
            Part::Text(text) if !text.text.trim().is_empty() => {
                terminal.text(text.text.trim_end())?;
                terminal.line("")?;
            }
            Part::Tool(tool) => {
                terminal.line(&terminal.paint(Style::Dim, &tool_line(tool)))?;
            }
            Part::File(file) => {
                let name = file.filename.as_deref().unwrap_or("without a name");
                let line = format!("[file {} · {}]", one_line(name), one_line(&file.mime));
                terminal.line(&terminal.paint(Style::Dim, &line))?;
            }
            Part::Subtask(_) | Part::Compaction(_) | Part::Agent(_) => {}
            Part::Text(_)
            | Part::Reasoning(_)
            | Part::StepStart(_)
            | Part::StepFinish(_)
            | Part::Patch(_) => {}
        }
    }
    Ok(())
}

/// A tool call in one line.
pub(super) fn tool_line(tool: &ToolPart) -> String {
    let (state, title) = match &tool.state {
        ToolState::Pending { .. } => ("waits", ""),
        ToolState::Running { title, .. } => ("runs", title.as_deref().unwrap_or_default()),
        ToolState::Completed { title, .. } => ("done", title.as_str()),
        ToolState::Error { .. } => ("failed", ""),
    };
    let title = match title.is_empty() {
        true => input(tool),
        false => title.to_owned(),
    };
    format!(
        "[{} {state}] {}",
        one_line(&tool.tool),
        beginning(&title, CALL_CHARS)
    )
}

/// What a tool was called with: the first text of its input.
fn input(tool: &ToolPart) -> String {
    let input = match &tool.state {
        ToolState::Pending { input, .. }
        | ToolState::Running { input, .. }
        | ToolState::Completed { input, .. }
        | ToolState::Error { input, .. } => input,
    };
    let texts = input.values().filter_map(serde_json::Value::as_str);
    texts.take(1).collect()
}

fn switch_line(switch: &ModelSwitch, terminal: Terminal) -> Result<(), Failure> {
    let style = match switch.failure {
        Some(_) => Style::Red,
        None => Style::Dim,
    };
    let line = format!(
        "── {} · {} · {}",
        one_line(&words::switch(switch)),
        one_line(&words::by_whom(switch)),
        words::clock(switch.time)
    );
    terminal.line(&format!("\n{}", terminal.paint(style, &line)))?;
    Ok(())
}

/// What each model has used.
pub(super) fn usage(usage: &[ModelUsage], terminal: Terminal) -> Result<(), Failure> {
    if usage.is_empty() {
        return Ok(());
    }
    let row = |used: &ModelUsage| {
        let context = match (used.context.used, used.context.size) {
            (Some(used), Some(size)) => {
                format!("{} of {}", words::grouped(used), words::grouped(size))
            }
            (Some(used), None) => words::grouped(used),
            (None, _) => super::table::NOTHING.to_owned(),
        };
        vec![
            one_line(&format!("{}/{}", used.provider_id, used.model_id)),
            used.answers.to_string(),
            words::tokens(&used.tokens),
            words::cost(used.cost),
            context,
        ]
    };
    let head = ["MODEL", "ANSWERS", "TOKENS", "COST", "CONTEXT"];
    let rows: Vec<_> = usage.iter().map(row).collect();
    terminal.line(&format!("\n{}", super::table::table(&head, &rows, Some(0))))?;
    Ok(())
}

fn created(message: &Message) -> u64 {
    match message {
        Message::User(user) => user.time.created,
        Message::Assistant(answer) => answer.time.created,
    }
}

/// One of Baton's own lines about a switch, shown as such.
fn is_notice(message: &MessageWithParts) -> bool {
    let ignored = |part: &Part| matches!(part, Part::Text(text) if text.ignored == Some(true));
    !message.parts.is_empty() && message.parts.iter().all(ignored)
}
