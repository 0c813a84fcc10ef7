//! From stored messages to what a handoff renders, and from a prompt to ACP content blocks.

mod files;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::answer::PLAN_TOOL;
use super::handoff::{self, Entry, Item, PlanLine, Speaker, ToolStatus};
use crate::opencode::event::{Transfer, TransferKind};
use crate::opencode::message::{
    Message, MessageError, MessageWithParts, Part, ToolPart, ToolState,
};
use crate::store::{MessageRow, StoreError};
use files::{Images, attachments_of, file_block, file_item};

/// Stands above a summary.
const SUMMARY_NOTE: &str =
    "this is a summary of everything that was said before; the messages themselves are left out";

/// Says in the metadata of a text whose file it is.
pub(crate) const OF_FILE: &str = "file";

/// The file whose text a part is.
pub(crate) fn file_of(metadata: Option<&Map<String, Value>>) -> Option<&str> {
    metadata?.get(OF_FILE)?.as_str()
}

/// A stored message, read.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// The place of the prompt that it belongs to.
    pub turn: u64,
    /// Its own place.
    pub seq: u64,
    /// The message. In a box, since thousands of them are moved from one list to the next.
    pub message: Box<MessageWithParts>,
}

/// Reads stored rows.
///
/// # Errors
/// When a row was damaged.
pub(crate) fn read(rows: Vec<MessageRow>) -> Result<Vec<Stored>, StoreError> {
    rows.into_iter().map(read_one).collect()
}

/// Reads one stored row.
///
/// # Errors
/// When it was damaged.
pub(crate) fn read_one(row: MessageRow) -> Result<Stored, StoreError> {
    let damaged = |error: serde_json::Error| {
        StoreError::Database(format!("message {} is damaged: {error}", row.key.id))
    };
    let info = Message::read(&row.body).map_err(damaged)?;
    let parts = row
        .parts
        .iter()
        .map(|part| Part::read(part))
        .collect::<Result<_, _>>()
        .map_err(damaged)?;
    Ok(Stored {
        turn: row.key.turn,
        seq: row.key.seq,
        message: Box::new(MessageWithParts { info, parts }),
    })
}

/// What goes to an agent in front of the prompt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handover {
    /// ACP content blocks: pictures, then the text.
    pub blocks: Vec<Value>,
    /// Messages handed over.
    pub messages: u64,
    /// Bytes of the text.
    pub bytes: u64,
    /// What was left out or shortened.
    pub elided: u64,
}

impl Handover {
    /// The same as an event tells it.
    pub(crate) fn transfer(&self, kind: TransferKind) -> Transfer {
        Transfer {
            kind,
            messages: self.messages,
            bytes: self.bytes,
            elided: self.elided,
        }
    }
}

/// Renders the messages that an agent has not seen. Each prompt is followed by its own answer, also
/// when other prompts arrived before that answer.
pub(crate) fn hand_over(
    missed: &mut [Stored],
    kind: handoff::Kind,
    budget: &handoff::Budget,
    takes_images: bool,
) -> Handover {
    missed.sort_by_key(|m| (m.turn, m.seq));
    let mut images = Images::of(missed.iter().map(|m| &*m.message), takes_images);
    let entries: Vec<Entry> = missed
        .iter()
        .map(|m| entry(&m.message, &mut images))
        .collect();
    let Some(rendered) = handoff::render(&entries, kind, budget) else {
        return Handover::default();
    };
    let mut blocks = images.into_blocks();
    blocks.push(text_block(&rendered.text));
    Handover {
        blocks,
        messages: rendered.messages as u64,
        bytes: rendered.bytes as u64,
        elided: rendered.elided.total() as u64,
    }
}

/// The part of a conversation that is handed over: from its last summary on. Wishes for a summary, and
/// what came of those that failed, are no part of it.
pub(crate) fn since_summary(mut messages: Vec<Stored>) -> Vec<Stored> {
    messages.sort_by_key(|m| (m.turn, m.seq));
    let whole = |message: &Message| {
        matches!(message, Message::Assistant(m) if m.summary == Some(true)
            && m.error.is_none() && m.time.completed.is_some())
    };
    let start = messages.iter().rposition(|m| whole(&m.message.info));
    messages.drain(..start.unwrap_or(0));
    let mut at = 0;
    messages.retain(|m| {
        let is_start = start.is_some() && at == 0;
        at += 1;
        is_start || !belongs_to_compaction(&m.message)
    });
    messages
}

/// The conversation without what was said for a handover alone: everybody else goes on without it.
pub(crate) fn without_handover_summaries(mut messages: Vec<Stored>) -> Vec<Stored> {
    let wish =
        |m: &&Stored| matches!(&m.message.info, Message::User(it) if it.handoff == Some(true));
    let turns: BTreeSet<u64> = messages.iter().filter(wish).map(|m| m.turn).collect();
    messages.retain(|m| !turns.contains(&m.turn));
    messages
}

/// Whether a message is a summary.
pub(crate) fn is_summary(message: &MessageWithParts) -> bool {
    matches!(&message.info, Message::Assistant(m) if m.summary == Some(true))
}

fn belongs_to_compaction(message: &MessageWithParts) -> bool {
    let asks = |part: &Part| matches!(part, Part::Compaction(_));
    match &message.info {
        Message::User(_) => message.parts.iter().any(asks),
        Message::Assistant(m) => m.summary == Some(true),
    }
}

/// Whether a message has anything for a model. Notices to the user have not.
pub(crate) fn is_for_models(message: &MessageWithParts) -> bool {
    let ignored = |part: &Part| matches!(part, Part::Text(text) if text.ignored == Some(true));
    !matches!(message.info, Message::User(_)) || !message.parts.iter().all(ignored)
}

fn entry(message: &MessageWithParts, images: &mut Images) -> Entry {
    let (speaker, error) = match &message.info {
        Message::User(_) => (Speaker::User, None),
        Message::Assistant(m) => {
            let model = format!("{}/{}", m.provider_id, m.model_id);
            (Speaker::Assistant { model }, m.error.as_ref())
        }
    };
    let mut items: Vec<Item> = is_summary(message)
        .then(|| Item::Note(SUMMARY_NOTE.to_owned()))
        .into_iter()
        .collect();
    let parts = handed_parts(message);
    for part in parts {
        items.extend(item(part, images));
        items.extend(attachments_of(part).map(|file| file_item(file, images)));
    }
    items.extend(error.map(|error| Item::Note(note(error))));
    Entry { speaker, items }
}

/// The parts that are handed over: of a summary only the text counts, whatever else the model has done to get there.
fn handed_parts(message: &MessageWithParts) -> impl Iterator<Item = &Part> {
    let summary = is_summary(message);
    let parts = message.parts.iter();
    parts.filter(move |part| !summary || matches!(part, Part::Text(_)))
}

/// What the next model is told of an error. The words of another vendor's program are nothing to it.
fn note(error: &MessageError) -> String {
    let what = match error {
        MessageError::MessageAbortedError { .. } => "the answer was interrupted",
        MessageError::ContentFilterError { .. } => "the model refused to answer",
        MessageError::MessageOutputLengthError {} => "the answer was cut off, it was too long",
        MessageError::ProviderAuthError { .. } => "the model could not be asked",
        _ => "the answer failed before it was complete",
    };
    what.to_owned()
}

fn item(part: &Part, images: &mut Images) -> Option<Item> {
    match part {
        Part::Text(text) if text.ignored == Some(true) || text.text.is_empty() => None,
        Part::Text(text) => Some(Item::Text(text.text.clone())),
        Part::Tool(tool) => Some(tool_item(tool)),
        Part::File(file) => Some(file_item(file, images)),
        Part::Agent(agent) => Some(Item::Note(format!("mentions the agent {}", agent.name))),
        Part::Subtask(task) => Some(Item::Text(task.prompt.clone())),
        // Hidden reasoning of one vendor is nothing to another; steps and patches are bookkeeping.
        // The wish for a summary is no part of what is summarised.
        Part::Reasoning(_)
        | Part::StepStart(_)
        | Part::StepFinish(_)
        | Part::Patch(_)
        | Part::Compaction(_) => None,
    }
}

fn tool_item(tool: &ToolPart) -> Item {
    let named = |status, title: &str, input: &Map<String, Value>, output: &str| Item::Tool {
        name: tool.tool.clone(),
        title: title.to_owned(),
        status,
        input: input_text(input),
        output: output.to_owned(),
    };
    match &tool.state {
        ToolState::Completed { metadata, .. } if tool.tool == PLAN_TOOL => {
            match plan_lines(metadata) {
                Some(lines) => Item::Plan(lines),
                None => Item::Note("an unreadable plan".to_owned()),
            }
        }
        ToolState::Completed {
            input,
            output,
            title,
            metadata,
            ..
        } => named(
            ToolStatus::Completed,
            title,
            input,
            &with_exit(with_diffs(output, metadata), metadata),
        ),
        ToolState::Error { input, error, .. } => named(ToolStatus::Failed, "", input, error),
        ToolState::Pending { input, .. } => named(ToolStatus::Interrupted, "", input, ""),
        ToolState::Running { input, title, .. } => named(
            ToolStatus::Interrupted,
            title.as_deref().unwrap_or_default(),
            input,
            "",
        ),
    }
}

fn plan_lines(metadata: &Map<String, Value>) -> Option<Vec<PlanLine>> {
    let text = |todo: &Value, key: &str| {
        todo.get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let todos = metadata.get("todos")?.as_array()?;
    Some(
        todos
            .iter()
            .map(|t| PlanLine {
                status: text(t, "status"),
                content: text(t, "content"),
            })
            .collect(),
    )
}

/// A command stands for itself; other arguments are compact JSON.
fn input_text(input: &Map<String, Value>) -> String {
    match input.get("command") {
        Some(Value::String(command)) => command.clone(),
        _ if input.is_empty() => String::new(),
        _ => Value::Object(input.clone()).to_string(),
    }
}

/// The output of an edit says what the file contained before and after.
fn with_diffs(output: &str, metadata: &Map<String, Value>) -> String {
    let diffs = metadata.get("diffs").and_then(Value::as_array);
    let text = |diff: &Value, key: &str| diff.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut all = output.to_owned();
    for diff in diffs.into_iter().flatten() {
        let (path, new) = (
            text(diff, "path").unwrap_or_default(),
            text(diff, "newText").unwrap_or_default(),
        );
        match text(diff, "oldText") {
            Some(old) => all.push_str(&format!("\n{path} was:\n{old}\n{path} is now:\n{new}")),
            None => all.push_str(&format!("\n{path} is new:\n{new}")),
        }
    }
    all
}

/// A command that has failed says so; one that prints nothing would look like one that has not.
fn with_exit(mut output: String, metadata: &Map<String, Value>) -> String {
    let exit = metadata.get("exit").filter(|exit| **exit != json!(0));
    if let Some(exit) = exit.filter(|exit| exit.is_number() || exit.is_string()) {
        if !output.is_empty() && !output.ends_with('\n') {
            output.push('\n');
        }
        output.push_str(&format!("(exit status {exit})"));
    }
    output
}

/// An ACP text block.
pub(crate) fn text_block(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// The prompt itself as ACP content blocks: files first, so that the user's text comes last.
pub(crate) fn prompt_blocks(
    parts: &[Part],
    system: Option<&str>,
    takes_images: bool,
) -> Vec<Value> {
    let mut files = Vec::new();
    let mut texts: Vec<Value> = system
        .map(|s| text_block(&format!("[instruction for this message]\n{s}")))
        .into_iter()
        .collect();
    for part in parts {
        match part {
            // What stands in it goes as the text that was read from it.
            Part::File(file) if was_read(file, parts) => {}
            Part::File(file) => files.push(file_block(file, takes_images)),
            Part::Text(text) if text.ignored == Some(true) => {}
            Part::Text(text) => match file_of(text.metadata.as_ref()) {
                Some(_) => files.push(text_block(&text.text)),
                None => texts.push(text_block(&text.text)),
            },
            Part::Subtask(task) => texts.push(text_block(&task.prompt)),
            Part::Agent(agent) => texts.push(text_block(&format!("@{}", agent.name))),
            _ => {}
        }
    }
    files.extend(texts);
    files
}

fn was_read(file: &crate::opencode::message::FilePart, parts: &[Part]) -> bool {
    parts.iter().any(|part| match part {
        Part::Text(text) => file_of(text.metadata.as_ref()) == Some(file.id.as_str()),
        _ => false,
    })
}

#[cfg(test)]
mod tests;
