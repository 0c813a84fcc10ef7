//! How large what others send may be. Each is a setting of the same name in `[limits]`.

use std::io::{self, Write};

use serde::Serialize;

/// See the module. What a limit counts is the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The title of a session.
    pub title_bytes: usize,
    /// The free data of a session or of a part of a prompt, as JSON.
    pub metadata_bytes: usize,
    /// Objects and arrays within each other in such data.
    pub metadata_depth: usize,
    /// Permission rules of a session.
    pub permission_rules: usize,
    /// All permission rules of a session together.
    pub permission_bytes: usize,
    /// What a model is told beside a handover.
    pub note_bytes: usize,
    /// The pattern of one permission rule.
    pub pattern_bytes: usize,
    /// A name, an id, or another short text in a request.
    pub name_bytes: usize,
    /// A path in a request.
    pub path_bytes: usize,
    /// Parts of one prompt.
    pub prompt_parts: usize,
    /// One text of a prompt, a command line, the arguments of a command.
    pub text_bytes: usize,
    /// The files of one prompt together, as their URLs.
    pub attachment_bytes: usize,
    /// Prompts of a session in a row that are stored only and have no turn.
    pub stored_prompts: usize,
    /// All of these together.
    pub stored_prompt_bytes: usize,
    /// Sessions in all.
    pub sessions: usize,
    /// What the agents of one session ask at once.
    pub session_asks: usize,
    /// What all agents ask at once.
    pub asks: usize,
    /// One thing that an agent asks, as JSON.
    pub ask_bytes: usize,
    /// An answer: its texts, thoughts, plan and tool calls.
    pub answer_bytes: usize,
    /// Parts of an answer.
    pub answer_parts: usize,
    /// One picture or other file of an agent.
    pub media_bytes: usize,
    /// All of them in an answer, with those of its tool calls.
    pub answer_media_bytes: usize,
    /// One tool call: arguments, output and changes of files.
    pub tool_call_bytes: usize,
    /// Entries of a plan.
    pub plan_entries: usize,
    /// All entries of a plan together.
    pub plan_bytes: usize,
    /// What an agent replays of a native session that is imported, as JSON.
    pub import_bytes: usize,
    /// Messages of a native session that is imported.
    pub import_messages: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        const KIB: usize = 1024;
        const MIB: usize = 1024 * KIB;
        Self {
            title_bytes: 4 * KIB,
            metadata_bytes: 256 * KIB,
            metadata_depth: 32,
            permission_rules: 1_000,
            permission_bytes: 256 * KIB,
            note_bytes: 16 * KIB,
            pattern_bytes: 4 * KIB,
            name_bytes: 256,
            path_bytes: 4 * KIB,
            prompt_parts: 256,
            text_bytes: 4 * MIB,
            attachment_bytes: 32 * MIB,
            stored_prompts: 1_000,
            stored_prompt_bytes: 64 * MIB,
            sessions: 1_000_000,
            session_asks: 64,
            asks: 1_000,
            ask_bytes: MIB,
            answer_bytes: 32 * MIB,
            answer_parts: 20_000,
            media_bytes: 8 * MIB,
            answer_media_bytes: 32 * MIB,
            tool_call_bytes: 4 * MIB,
            plan_entries: 500,
            plan_bytes: 64 * KIB,
            import_bytes: 32 * MIB,
            import_messages: 10_000,
        }
    }
}

/// The beginning of a text, of at most this many bytes; it ends between two characters.
pub(super) fn beginning(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Whether the JSON of a value has at most this many bytes.
pub fn fits(value: &impl Serialize, bytes: usize) -> bool {
    json_bytes(value, bytes).is_some()
}

/// The bytes of a value's JSON; `None` when there are more than `most`. No more of it is looked at than that.
pub(super) fn json_bytes(value: &impl Serialize, most: usize) -> Option<usize> {
    let mut room = Room(most);
    serde_json::to_writer(&mut room, value).ok()?;
    Some(most - room.0)
}

/// Counts up to this many bytes, and keeps none.
struct Room(usize);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.0.checked_sub(bytes.len());
        self.0 = left.ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::session::sizes::beginning;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(beginning("aäb", 2), "a");
        assert_eq!(beginning("aäb", 3), "aä");
        assert_eq!(beginning("aäb", 9), "aäb");
    }
}
