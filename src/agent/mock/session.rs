//! A native session of the mock agent and its file in the state directory.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::opencode::now_ms;

/// The largest session file that is read back, in bytes.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// Thoughts, tool calls and plans of a session that are kept.
const SHOWN_MAX: usize = 1_000;

/// Who said something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "role")]
pub(super) enum Speaker {
    /// The client, on behalf of the user.
    User,
    /// The agent, with this model.
    Assistant {
        /// The model that answered.
        model: String,
    },
}

/// One text of the conversation: a block of a prompt, or a whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(flatten)]
    pub(super) speaker: Speaker,
    pub(super) text: String,
}

impl Entry {
    /// Something that the client gave.
    pub(super) fn user(text: impl Into<String>) -> Self {
        Self {
            speaker: Speaker::User,
            text: text.into(),
        }
    }

    /// Something that a model answered.
    pub(super) fn assistant(model: &str, text: impl Into<String>) -> Self {
        Self {
            speaker: Speaker::Assistant {
                model: model.to_owned(),
            },
            text: text.into(),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.speaker {
            Speaker::User => write!(out, "user: {}", self.text),
            Speaker::Assistant { model } => write!(out, "assistant [{model}]: {}", self.text),
        }
    }
}

/// What the client has chosen. A turn works on a copy, so a switch takes effect from the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) model: String,
    /// Only for a model that has efforts.
    pub(super) effort: Option<String>,
    pub(super) mode: String,
    /// The provider of the model, with the fault `provider-then-model`.
    pub(super) provider: Option<String>,
    /// What the session has in addition to what all have.
    pub(super) project: Project,
}

/// What a working directory has of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Project {
    pub(super) models: Vec<String>,
    pub(super) modes: Vec<String>,
    pub(super) commands: Vec<String>,
}

impl Project {
    /// Reads the file of a project; without one it has nothing of its own.
    pub(super) fn read(file: &Path) -> Self {
        let mut project = Self::default();
        let text = std::fs::read_to_string(file).unwrap_or_default();
        for (kind, name) in text.lines().filter_map(|line| line.split_once(' ')) {
            match kind {
                "model" => project.models.push(name.to_owned()),
                "mode" => project.modes.push(name.to_owned()),
                "command" => project.commands.push(name.to_owned()),
                _ => {}
            }
        }
        project
    }
}

impl fmt::Display for Choice {
    /// The model, with its effort where it has one: `mock-strong (high)`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(provider) = &self.provider {
            write!(out, "{provider}/")?;
        }
        match &self.effort {
            Some(effort) => write!(out, "{} ({effort})", self.model),
            None => out.write_str(&self.model),
        }
    }
}

/// A native session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) cwd: PathBuf,
    pub(super) choice: Choice,
    /// The model that it had at first.
    pub(super) made_with: String,
    pub(super) history: Vec<Entry>,
    /// What was shown besides, each with how much of the history there was then.
    pub(super) shown: Vec<(usize, Value)>,
    /// When it was used last, in milliseconds since the Unix epoch.
    pub(super) updated: u64,
    /// How much of the history there was when this process has opened it.
    pub(super) opened_at: usize,
    /// There while a turn runs; `true` cancels it.
    pub(super) turn: Option<watch::Sender<bool>>,
}

impl Session {
    /// A session with no history.
    pub(super) fn new(cwd: PathBuf, choice: Choice) -> Self {
        Self {
            cwd,
            made_with: choice.model.clone(),
            choice,
            history: Vec::new(),
            shown: Vec::new(),
            updated: now_ms(),
            opened_at: 0,
            turn: None,
        }
    }

    /// The model of its first answer.
    pub(super) fn first_model(&self) -> Option<&str> {
        self.history.iter().find_map(|entry| match &entry.speaker {
            Speaker::Assistant { model } => Some(model.as_str()),
            Speaker::User => None,
        })
    }

    /// What was said since the process has opened it or its model was changed.
    pub(super) fn said_by_model(&self) -> &[Entry] {
        let is_other = |entry: &Entry| matches!(&entry.speaker, Speaker::Assistant { model } if *model != self.choice.model);
        let changed_at = self.history.iter().rposition(is_other);
        let from = changed_at.map_or(0, |at| at + 1).max(self.opened_at);
        self.history.get(from..).unwrap_or_default()
    }

    /// Asks the running turn, if there is one, to stop.
    pub(super) fn cancel(&self) {
        if let Some(turn) = &self.turn {
            turn.send_replace(true);
        }
    }

    /// What is kept of the session: like real agents, not the choice.
    pub(super) fn stored(&self, id: &str) -> Stored {
        Stored {
            session_id: id.to_owned(),
            cwd: self.cwd.clone(),
            made_with: self.made_with.clone(),
            history: self.history.clone(),
            shown: self.shown.clone(),
            updated: self.updated,
        }
    }

    /// Keeps what a load shows besides the texts: thoughts, tool calls, plans.
    pub(super) fn note_shown(&mut self, update: &Value) {
        const KINDS: [&str; 4] = [
            "agent_thought_chunk",
            "tool_call",
            "tool_call_update",
            "plan",
        ];
        let kind = update.get("sessionUpdate").and_then(Value::as_str);
        if self.shown.len() < SHOWN_MAX && kind.is_some_and(|kind| KINDS.contains(&kind)) {
            self.shown.push((self.history.len(), update.clone()));
        }
    }
}

/// A session id that no other process has given out.
pub(super) fn new_id() -> String {
    format!("mock-{:016x}", rand::random::<u64>())
}

/// The contents of a session's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stored {
    pub(super) session_id: String,
    pub(super) cwd: PathBuf,
    pub(super) made_with: String,
    pub(super) history: Vec<Entry>,
    #[serde(default)]
    pub(super) shown: Vec<(usize, Value)>,
    #[serde(default)]
    pub(super) updated: u64,
}

impl Stored {
    /// What a load replays, as updates.
    pub(super) fn replay(&self) -> Vec<Value> {
        let mut replay = Vec::with_capacity(self.history.len() + self.shown.len());
        let mut shown = self.shown.iter().peekable();
        for (at, entry) in self.history.iter().enumerate() {
            while let Some((_, update)) = shown.next_if(|(before, _)| *before <= at) {
                replay.push(update.clone());
            }
            let kind = match entry.speaker {
                Speaker::User => "user_message_chunk",
                Speaker::Assistant { .. } => "agent_message_chunk",
            };
            let content = json!({"type": "text", "text": entry.text});
            replay.push(json!({"sessionUpdate": kind, "content": content}));
        }
        replay.extend(shown.map(|(_, update)| update.clone()));
        replay
    }
}

/// The sessions of a working directory, or of all, that have a file.
pub(super) fn list(directory: &Path, cwd: Option<&Path>) -> Vec<Stored> {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let sessions = files.filter_map(|file| {
        let stored = read(directory, file.path().file_stem()?.to_str()?)?;
        cwd.is_none_or(|cwd| stored.cwd == cwd).then_some(stored)
    });
    sessions.collect()
}

/// The session's file, or `None` for an id that this agent cannot have given out: the id comes
/// from the client and must not lead out of the directory.
fn file(directory: &Path, id: &str) -> Option<PathBuf> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (!id.is_empty() && id.bytes().all(plain)).then(|| directory.join(format!("{id}.json")))
}

/// Writes the session's file; a reader sees the old one or the new one, never a half.
pub(super) fn save(directory: &Path, stored: &Stored) -> io::Result<()> {
    let Some(path) = file(directory, &stored.session_id) else {
        return Err(io::Error::other("not a session id of this agent"));
    };
    crate::folder::make(directory)?;
    let unfinished = path.with_extension(format!("json.{}", std::process::id()));
    std::fs::write(&unfinished, serde_json::to_vec(stored)?)?;
    std::fs::rename(&unfinished, &path)
}

/// Reads a session's file; `None` when there is none that can be read.
pub(super) fn read(directory: &Path, id: &str) -> Option<Stored> {
    let path = file(directory, id)?;
    if std::fs::metadata(&path).ok()?.len() > MAX_FILE_BYTES {
        return None;
    }
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Removes a session's file.
pub(super) fn delete(directory: &Path, id: &str) {
    if let Some(path) = file(directory, id) {
        let _none = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_session_survives_in_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let stored = Stored {
            session_id: new_id(),
            cwd: "/project".into(),
            made_with: "mock".into(),
            history: vec![Entry::user("hello\nthere"), Entry::assistant("mock", "hi")],
            shown: vec![(1, json!({"sessionUpdate": "plan", "entries": []}))],
            updated: 1,
        };
        save(directory.path(), &stored).unwrap();
        let again = read(directory.path(), &stored.session_id).unwrap();
        let kinds: Vec<_> = (again.replay().iter())
            .map(|update| update["sessionUpdate"].clone())
            .collect();
        let said = ["user_message_chunk", "plan", "agent_message_chunk"];
        assert_eq!((again, kinds), (stored, said.map(Value::from).to_vec()));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert_eq!(list(directory.path(), Some(Path::new("/project"))).len(), 1);
        assert!(list(directory.path(), Some(Path::new("/elsewhere"))).is_empty());
    }

    #[test]
    fn an_id_does_not_lead_out_of_the_directory() {
        for id in ["", "../x", "a/b", "a.b", "ä"] {
            assert_eq!(file(Path::new("/state"), id), None, "{id:?}");
        }
    }
}
