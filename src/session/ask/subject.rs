//! What a tool call does, whatever the agent calls it: the kind of permission, and what it is done to.

use std::path::{Path, PathBuf};

use agent_client_protocol_schema::v1::ToolKind;
use serde_json::{Map, Value};

use super::rules::{Decision, Law, Line, Place, always};
use crate::session::conversation::tool::{ToolCall, joined, quote};

/// Where agents put a command line.
const COMMANDS: [&str; 9] = [
    "command",
    "cmd",
    "script",
    "shell_command",
    "shellCommand",
    "commandLine",
    "command_line",
    "commands",
    "bash",
];
/// Where they put its arguments, if apart.
const ARGUMENTS: [&str; 3] = ["args", "arguments", "argv"];
/// Where they put the directory that it runs in.
const DIRECTORIES: [&str; 5] = [
    "cwd",
    "workdir",
    "working_directory",
    "workingDirectory",
    "directory",
];
/// Where they put files.
const PATHS: [&str; 20] = [
    "filePath",
    "file_path",
    "filepath",
    "path",
    "filename",
    "file",
    "abs_path",
    "absolute_path",
    "target_file",
    "notebook_path",
    "source",
    "destination",
    "source_path",
    "destination_path",
    "src",
    "dst",
    "from",
    "to",
    "old_path",
    "new_path",
];
/// Where they put lists of files.
const PATH_LISTS: [&str; 3] = ["paths", "files", "file_paths"];
/// What only a tool has that changes a file.
const CONTENTS: [&str; 12] = [
    "content",
    "contents",
    "new_string",
    "newString",
    "old_string",
    "oldString",
    "new_str",
    "old_str",
    "file_text",
    "edits",
    "patch",
    "diff",
];

/// What a tool call does.
#[derive(Debug)]
pub(super) enum Subject {
    /// It runs a command line.
    Command(Box<Line>),
    /// It reads (`read`) or changes (`edit`) files.
    Files(&'static str, Vec<String>),
    /// It fetches addresses.
    Address(String),
    /// Anything else: the permission, a text, and files that it may change.
    Other(String, String, Vec<String>),
}

impl Subject {
    /// Reads a tool call, with its title. `known_tool` is the name of the tool.
    pub(super) fn read(
        call: &ToolCall,
        title: Option<&str>,
        known_tool: Option<&str>,
        place: &Place,
    ) -> Self {
        let tool = known_tool.unwrap_or_else(|| call.tool());
        let input = call.input();
        let name = tool.to_lowercase();
        let files = files(call);
        let changes = call.has_diffs() || CONTENTS.iter().any(|key| input.contains_key(*key));
        let edits = matches!(
            call.kind(),
            ToolKind::Edit | ToolKind::Delete | ToolKind::Move
        );
        let runs = call.kind() == ToolKind::Execute
            || is_one_of(&name, &["bash", "shell", "exec", "terminal", "run_command"]);
        // Some editors call what they do to a file their command.
        let edits_by_command = |command: &String| {
            let known = [
                "view",
                "create",
                "str_replace",
                "insert",
                "undo_edit",
                "delete",
                "rename",
            ];
            !runs && !files.is_empty() && (edits || changes || known.contains(&command.as_str()))
        };
        let command = command(input, runs).filter(|command| !edits_by_command(command));
        if let Some(command) = command {
            return Self::command(&command, input, place);
        }
        if runs {
            let title = title.filter(|title| !title.is_empty());
            return Self::command(title.unwrap_or(tool), input, place);
        }
        // A tool of whatever name that is given a place on this machine and a text for it. Without one it may as well
        // write to another machine: an allow is not for that.
        let local = files.iter().any(|file| file.starts_with('/'));
        let edits = edits
            || (changes && local)
            || is_one_of(&name, &["edit", "write", "patch", "delete", "create_file"]);
        if edits {
            return Self::Files("edit", or_text(files, input, title, tool));
        }
        let address = ["url", "uri", "href"]
            .iter()
            .find_map(|key| input.get(*key)?.as_str());
        if let Some(address) = address {
            return Self::Address(address.to_owned());
        }
        let text = || or_text(Vec::new(), input, title, tool).remove(0);
        match call.kind() {
            ToolKind::Read => Self::Files("read", or_text(files, input, title, tool)),
            ToolKind::Search => Self::Other("grep".to_owned(), text(), Vec::new()),
            ToolKind::Fetch => Self::Address(text()),
            _ => {
                let shown = files.first().cloned().unwrap_or_else(text);
                let changed = if changes { files } else { Vec::new() };
                Self::Other(tool.to_owned(), shown, changed)
            }
        }
    }

    fn command(command: &str, input: &Map<String, Value>, place: &Place) -> Self {
        let mut line = Line::read(command);
        let environment = ["env", "environment"]
            .iter()
            .filter_map(|key| input.get(*key));
        let sets = environment.into_iter().any(|set| match set {
            Value::Object(set) => !set.is_empty(),
            Value::Array(set) => !set.is_empty(),
            _ => false,
        });
        // A title may be cut off; variables and another directory next to the command change what it runs.
        if sets || !place.is_inside() || command.ends_with('…') || command.ends_with("...") {
            line.certain = false;
        }
        Self::Command(Box::new(line))
    }

    /// OpenCode's name for the permission.
    pub(super) fn permission(&self) -> &str {
        match self {
            Self::Command(_) => "bash",
            Self::Files(permission, _) => permission,
            Self::Address(_) => "webfetch",
            Self::Other(permission, ..) => permission,
        }
    }

    /// What it is done to, as the agent says.
    pub(super) fn patterns(&self) -> Vec<String> {
        match self {
            Self::Command(line) => vec![line.text.clone()],
            Self::Files(_, files) => files.clone(),
            Self::Address(text) | Self::Other(_, text, _) => vec![text.clone()],
        }
    }

    /// What `always` allows from then on.
    pub(super) fn always(&self, place: &Place) -> Vec<String> {
        match self {
            Self::Command(line) => always(line),
            Self::Files(_, files) => {
                let mut told: Vec<_> = files.iter().map(|file| around(file, place)).collect();
                told.sort();
                told.dedup();
                told
            }
            Self::Address(address) => {
                vec![host(address).map_or_else(|| address.clone(), |host| format!("{host}/*"))]
            }
            Self::Other(permission, ..) if permission == "grep" => vec!["*".to_owned()],
            Self::Other(_, text, _) => vec![text.clone()],
        }
    }

    /// What rules and what was allowed for good say to it.
    pub(super) fn decided(&self, law: &Law<'_>) -> Decision {
        let remembered = |said: Option<Decision>, told: &str| match said {
            Some(Decision::Deny) => Decision::Deny,
            _ if (law.remembered)(told) => Decision::Allow,
            said => said.unwrap_or(Decision::Ask),
        };
        match self {
            Self::Command(line) => law.line(line),
            Self::Files(permission, files) => {
                let one = |file: &String| {
                    remembered(law.path(permission, file), &around(file, law.place))
                };
                let all: Vec<_> = files.iter().map(one).collect();
                match all.contains(&Decision::Deny) {
                    true => Decision::Deny,
                    false if !all.is_empty() && all.iter().all(|d| *d == Decision::Allow) => {
                        Decision::Allow
                    }
                    false => Decision::Ask,
                }
            }
            Self::Address(address) => {
                let told = self.always(law.place);
                let readings = [
                    host(address).map(|host| address_at(&host, address)),
                    Some(address.to_lowercase()),
                ];
                let readings: Vec<_> = readings.into_iter().flatten().collect();
                remembered(
                    law.text("webfetch", address, &readings),
                    told.first().map_or("", String::as_str),
                )
            }
            Self::Other(permission, text, changed) => {
                let denied = |file: &String| law.path("edit", file) == Some(Decision::Deny);
                if changed.iter().any(denied) {
                    return Decision::Deny;
                }
                let told = self.always(law.place);
                remembered(
                    law.text(permission, text, &[]),
                    told.first().map_or("", String::as_str),
                )
            }
        }
    }
}

/// The directory that the call works in.
pub(super) fn place(call: &ToolCall, directory: &str) -> Place {
    let base = DIRECTORIES
        .iter()
        .find_map(|key| call.input().get(*key)?.as_str());
    Place {
        directory: PathBuf::from(directory),
        base: base.map(PathBuf::from),
    }
}

/// Whether a tool's name, as several agents and servers write it, is one of these.
fn is_one_of(name: &str, names: &[&str]) -> bool {
    let last = name.rsplit([':', '/', '.']).next().unwrap_or(name);
    names
        .iter()
        .any(|n| last == *n || last.ends_with(&format!("__{n}")))
        || names.contains(&"edit")
            && matches!(
                last,
                "multiedit"
                    | "str_replace"
                    | "notebookedit"
                    | "apply_patch"
                    | "write_file"
                    | "edit_file"
                    | "replace"
            )
}

fn command(input: &Map<String, Value>, runs: bool) -> Option<String> {
    let named = COMMANDS.iter().find_map(|key| text_of(input.get(*key)?));
    // Arguments that are no object were put under this name.
    let named = named.or_else(|| runs.then(|| text_of(input.get("input")?)).flatten())?;
    let arguments = ARGUMENTS
        .iter()
        .find_map(|key| input.get(*key))
        .and_then(Value::as_array);
    Some(match arguments {
        // A program and its arguments: the program is one word, whatever is in it.
        Some(arguments) if !arguments.is_empty() && !named.contains(' ') => {
            format!("{} {}", quote(&named), joined(arguments))
        }
        Some(arguments) if !arguments.is_empty() => format!("{named} {}", joined(arguments)),
        _ => named,
    })
}

/// A command as text; one given word by word is quoted so that it stays that.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(words) if !words.is_empty() => Some(joined(words)),
        _ => None,
    }
}

/// All files that a call names.
fn files(call: &ToolCall) -> Vec<String> {
    let input = call.input();
    let one = PATHS.iter().filter_map(|key| input.get(*key)?.as_str());
    let lists = PATH_LISTS
        .iter()
        .filter_map(|key| input.get(*key)?.as_array());
    let listed = lists.flatten().filter_map(Value::as_str);
    let mut files: Vec<String> = Vec::new();
    for file in one
        .chain(listed)
        .chain(call.files().iter().map(String::as_str))
    {
        let file = file.strip_prefix("file://").unwrap_or(file);
        if !file.is_empty() && !files.iter().any(|known| known == file) {
            files.push(file.to_owned());
        }
    }
    files
}

fn or_text(
    files: Vec<String>,
    input: &Map<String, Value>,
    title: Option<&str>,
    tool: &str,
) -> Vec<String> {
    if !files.is_empty() {
        return files;
    }
    let named = ["url", "pattern", "query", "path"]
        .iter()
        .find_map(|key| input.get(*key)?.as_str());
    vec![named.or(title).unwrap_or(tool).to_owned()]
}

/// A file of the project means all of the project's files; another one only itself.
fn around(file: &str, place: &Place) -> String {
    match place.may_be_written(file) && place.relative(file).is_some() {
        true => Path::new(&place.directory)
            .join("*")
            .to_string_lossy()
            .into_owned(),
        false => place.absolute(file),
    }
}

/// Scheme and host of an address, without what could be mistaken for the host.
fn host(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let scheme = scheme.to_lowercase();
    if authority.is_empty() || !matches!(scheme.as_str(), "http" | "https") {
        return None;
    }
    let host = authority.rsplit('@').next()?.to_lowercase();
    let port = if scheme == "https" { ":443" } else { ":80" };
    let host = host
        .strip_suffix(port)
        .unwrap_or(&host)
        .trim_end_matches('.');
    Some(format!("{scheme}://{host}"))
}

/// The address with the host as it is spelled here.
fn address_at(host: &str, address: &str) -> String {
    let rest = address.split_once("://").map_or("", |(_, rest)| rest);
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    format!(
        "{host}{}",
        if end == rest.len() { "/" } else { &rest[end..] }
    )
}

#[cfg(test)]
mod tests;
