//! One tool call, merged from an agent's partial updates.

mod bound;
mod content;
mod restored;
mod same;

use agent_client_protocol_schema::v1::{ToolCallStatus, ToolCallUpdateFields, ToolKind};
use serde_json::{Map, Value};

use super::media::{Media, Room};
use crate::agent::quirks::told;
use crate::opencode::message::{PartTime, ToolState};
use crate::session::sizes::beginning;
use bound::{TITLE_MAX_BYTES, TOOL_NAME_MAX_BYTES};

/// The longest title that is taken for a tool's name, in bytes.
const NAME_MAX_BYTES: usize = 64;

/// Stands for the result of a tool call whose end was not told.
pub(crate) const UNTOLD: &str = "The agent has not told what came of this tool call.";
/// Stands for the result of a tool call that was broken off.
pub(crate) const INTERRUPTED: &str = "The tool call was interrupted before it ended.";

/// A tool call. The first title of several agents is the tool's name; later ones say what it does.
#[derive(Debug, Clone)]
pub(crate) struct ToolCall {
    name: Option<String>,
    first_title: Option<String>,
    title: Option<String>,
    kind: ToolKind,
    status: ToolCallStatus,
    input: Map<String, Value>,
    input_bytes: usize,
    input_is_cut: bool,
    /// The arguments were read from the title, as the agent has told none.
    input_is_guessed: bool,
    /// It is known from a request for a permission alone.
    is_only_asked: bool,
    output: String,
    output_is_cut: bool,
    /// The output came with an update, and not when the call was announced.
    output_is_result: bool,
    diffs: Vec<Value>,
    diff_bytes: usize,
    /// The first of them as OpenCode's edit tool has it, which knows no other.
    file_diff: Option<Value>,
    files: Vec<String>,
    metadata: Map<String, Value>,
    media: Vec<Media>,
    media_room: Room,
    start: u64,
    end: Option<u64>,
}

impl ToolCall {
    /// A call of which nothing is known yet.
    pub(crate) fn new(now: u64) -> Self {
        Self {
            name: None,
            first_title: None,
            title: None,
            kind: ToolKind::Other,
            status: ToolCallStatus::Pending,
            input: Map::new(),
            input_bytes: 0,
            input_is_cut: false,
            input_is_guessed: false,
            is_only_asked: false,
            output: String::new(),
            output_is_cut: false,
            output_is_result: false,
            diffs: Vec::new(),
            diff_bytes: 0,
            file_diff: None,
            files: Vec::new(),
            metadata: Map::new(),
            media: Vec::new(),
            media_room: Room::default(),
            start: now,
            end: None,
        }
    }

    /// Takes in a `tool_call` or `tool_call_update`; true when the call has ended with it. `most` bytes of all of it
    /// are kept.
    pub(crate) fn merge(&mut self, update: &Value, now: u64, most: usize) -> bool {
        // Fields that do not fit the schema come out as absent, never as an error.
        let fields: ToolCallUpdateFields =
            serde_json::from_value(update.clone()).unwrap_or_default();
        let named = told::TOOL_NAME
            .iter()
            .find_map(|place| update.pointer(place)?.as_str())
            .map(str::to_owned);
        let name = fields.name.or(named);
        let name = name.map(|name| beginning(&name, TOOL_NAME_MAX_BYTES).to_owned());
        self.name = name.or(self.name.take());
        if let Some(title) = fields.title.filter(|t| !t.is_empty()) {
            let title = beginning(&title, TITLE_MAX_BYTES).to_owned();
            self.first_title.get_or_insert_with(|| title.clone());
            self.title = Some(title);
        }
        self.kind = fields.kind.unwrap_or(self.kind);
        match fields.raw_input {
            Some(Value::Object(input)) if !input.is_empty() => {
                self.keep_input(with_plain_command(input), most);
            }
            Some(Value::Null) | None | Some(Value::Object(_)) => {}
            Some(other) => self.keep_input(Map::from_iter([("input".to_owned(), other)]), most),
        }
        self.read_command_from_title();
        for location in fields.locations.unwrap_or_default() {
            self.note_file(location.path.to_string_lossy().into_owned());
        }
        if let Some(Value::Array(content)) = update.get("content") {
            self.read_content(content, most);
        }
        if let Some(raw) = fields.raw_output {
            self.read_raw_output(&raw, most);
        }
        self.read_terminal(update, most);
        let is_update = update["sessionUpdate"] == "tool_call_update";
        let mut places = ["/content", "/rawOutput"]
            .iter()
            .chain(told::TERMINAL_OUTPUT);
        self.output_is_result |= is_update && places.any(|at| update.pointer(at).is_some());
        let ended_before = self.end.is_some();
        self.status = fields.status.unwrap_or(self.status);
        let ended = matches!(
            self.status,
            ToolCallStatus::Completed | ToolCallStatus::Failed
        );
        if ended && !ended_before {
            self.end = Some(now);
        }
        ended && !ended_before
    }

    /// A command without arguments is told by its title alone, which then is no tool's name.
    fn read_command_from_title(&mut self) {
        let Some(title) = self.title.as_ref().filter(|title| !is_name(title)) else {
            return;
        };
        if self.kind == ToolKind::Execute && self.input.is_empty() {
            let command = Value::String(title.clone());
            // JSON may write one byte as six.
            let most = 8 * TITLE_MAX_BYTES;
            self.keep_input(Map::from_iter([("command".to_owned(), command)]), most);
            self.input_is_guessed = true;
        }
    }

    fn read_terminal(&mut self, update: &Value, most: usize) {
        let mut pieces = told::TERMINAL_OUTPUT
            .iter()
            .filter_map(|place| update.pointer(place)?.as_str());
        if let Some(piece) = pieces.next().filter(|_| !self.output_is_cut) {
            let room = self.room_for_output(most);
            self.output.push_str(piece);
            self.output_is_cut = self.output.len() > room;
            self.output = shortened(std::mem::take(&mut self.output), room);
        }
        if let Some(code) = update.pointer(told::TERMINAL_EXIT) {
            self.note_fact("exit", code);
        }
    }

    fn read_raw_output(&mut self, raw: &Value, most: usize) {
        let room = self.room_for_output(most);
        if self.output.is_empty() {
            let text = match raw {
                Value::String(text) => Some(text.as_str()),
                Value::Object(map) => ["output", "error", "stdout", "result"]
                    .iter()
                    .find_map(|key| map.get(*key)?.as_str()),
                _ => None,
            };
            self.output = match text {
                Some(text) => shortened(text.to_owned(), room),
                None if raw.is_null() => String::new(),
                None => shortened(raw.to_string(), room),
            };
        }
        if let Some(Value::Object(metadata)) = raw.get("metadata") {
            let plain = metadata
                .iter()
                .filter(|(_, v)| !v.is_object() && !v.is_array());
            plain.for_each(|(name, value)| self.note_fact(name, value));
        }
    }

    /// The tool's name, by OpenCode's names where the agent gives none.
    pub(crate) fn tool(&self) -> &str {
        if let Some(name) = &self.name {
            return name;
        }
        // A command of one word is no name either.
        let command = self.input.get("command").and_then(Value::as_str);
        let named = |title: &&String| is_name(title) && Some(title.as_str()) != command;
        if let Some(title) = self.first_title.as_ref().filter(named) {
            return title;
        }
        match self.kind {
            ToolKind::Read => "read",
            ToolKind::Edit => "edit",
            ToolKind::Delete => "delete",
            ToolKind::Move => "move",
            ToolKind::Search => "grep",
            ToolKind::Execute => "bash",
            ToolKind::Fetch => "webfetch",
            ToolKind::Think => "think",
            _ => "tool",
        }
    }

    /// Whether it waits for its arguments or for its turn.
    pub(crate) fn is_pending(&self) -> bool {
        self.status == ToolCallStatus::Pending
    }

    /// Whether its end was told.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> ToolKind {
        self.kind
    }

    /// Whether it shows changes of files.
    pub(crate) fn has_diffs(&self) -> bool {
        !self.diffs.is_empty()
    }

    /// The files that it has to do with, as the agent names them.
    pub(crate) fn files(&self) -> &[String] {
        &self.files
    }

    /// Its arguments.
    pub(crate) fn input(&self) -> &Map<String, Value> {
        &self.input
    }

    /// The call as OpenCode shows it.
    pub(crate) fn state(&self) -> ToolState {
        let input = self.input.clone();
        let title = self.title.clone().unwrap_or_else(|| self.tool().to_owned());
        let time = PartTime {
            start: self.start,
            end: self.end,
        };
        let mut metadata = self.metadata.clone();
        if !self.output.is_empty() {
            metadata.insert("output".to_owned(), Value::String(self.output.clone()));
        }
        if !self.diffs.is_empty() {
            metadata.insert("diffs".to_owned(), Value::Array(self.diffs.clone()));
        }
        if let Some(file_diff) = &self.file_diff {
            metadata.insert("diff".to_owned(), file_diff["patch"].clone());
            metadata.insert("filediff".to_owned(), file_diff.clone());
        }
        match self.status {
            ToolCallStatus::Completed => ToolState::Completed {
                input,
                output: self.output.clone(),
                title,
                metadata,
                time,
                attachments: Vec::new(),
            },
            ToolCallStatus::Failed => {
                let error = if self.output.is_empty() {
                    "The tool call failed.".to_owned()
                } else {
                    self.output.clone()
                };
                let error = self.with_named_media(error);
                // Clients show the error below the output: it would stand there twice.
                metadata.remove("output");
                ToolState::Error {
                    input,
                    error,
                    metadata: Some(metadata),
                    time,
                }
            }
            ToolCallStatus::InProgress => ToolState::Running {
                input,
                title: Some(title),
                metadata: Some(metadata),
                time,
            },
            _ => {
                let raw = Value::Object(self.input.clone()).to_string();
                ToolState::Pending { input, raw }
            }
        }
    }

    /// Files that it has changed, as the agent names them; none when it failed or changes none.
    pub(crate) fn edited_files(&self) -> Vec<String> {
        let edits = matches!(
            self.kind,
            ToolKind::Edit | ToolKind::Delete | ToolKind::Move
        );
        let changes = edits || !self.diffs.is_empty();
        if self.status != ToolCallStatus::Completed || !changes {
            return Vec::new();
        }
        if !self.files.is_empty() {
            return self.files.clone();
        }
        self.named_file().map(str::to_owned).into_iter().collect()
    }

    /// The file that its arguments name.
    fn named_file(&self) -> Option<&str> {
        ["filePath", "file_path", "path", "filename"]
            .iter()
            .find_map(|key| self.input.get(*key)?.as_str())
    }

    /// What OpenCode's terminal UI shows of an edit that its user is asked about: the file, and the change as a
    /// patch where the agent tells it.
    pub(crate) fn proposed_edit(&self) -> Map<String, Value> {
        let mut shown = Map::new();
        let file = self.files.first().map(String::as_str);
        if let Some(file) = file.or_else(|| self.named_file()) {
            shown.insert("filepath".to_owned(), file.into());
        }
        if let Some(diff) = &self.file_diff {
            shown.insert("diff".to_owned(), diff["patch"].clone());
        }
        shown
    }
}

/// Whether a title is the name of a tool, and no sentence or command.
fn is_name(title: &str) -> bool {
    title.len() <= NAME_MAX_BYTES
        && !title.contains(|c: char| c.is_whitespace() || "/`.".contains(c))
}

/// OpenCode's clients show a command as one text; some agents give it as a list, with the shell in front.
fn with_plain_command(mut input: Map<String, Value>) -> Map<String, Value> {
    let Some(Value::Array(words)) = input.get("command") else {
        return input;
    };
    let command = match words.as_slice() {
        [
            Value::String(shell),
            Value::String(option),
            Value::String(script),
        ] if is_shell(shell) && matches!(option.as_str(), "-c" | "-lc") => script.clone(),
        words => joined(words),
    };
    input.insert("command".to_owned(), Value::String(command));
    input
}

/// Whether a program takes a command line behind `-c`. Others, such as `python`, take something else there.
fn is_shell(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    matches!(name, "sh" | "bash" | "zsh" | "dash" | "ksh")
}

/// Words as a command line that means just these words.
pub(crate) fn joined(words: &[Value]) -> String {
    let words = words.iter().map(|word| match word {
        Value::String(text) => quote(text),
        other => quote(&other.to_string()),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A text as one word of a shell.
pub(crate) fn quote(text: &str) -> String {
    let special = |c: char| c.is_whitespace() || ";&|<>()'\"$`\\#".contains(c);
    if !text.is_empty() && !text.contains(special) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn push_line(text: &mut String, more: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(more);
}

/// The text, or its beginning with a remark when it is longer than there is room for.
fn shortened(mut text: String, room: usize) -> String {
    if text.len() > room {
        let whole = text.len();
        let mut end = room;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(&format!("\n[output of {whole} bytes cut off here]"));
    }
    text
}

#[cfg(test)]
mod tests;
