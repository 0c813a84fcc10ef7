//! What a tool call has returned: text, changes of files, and files.

use agent_client_protocol_schema::v1::ToolCallContent;
use serde_json::Value;

use super::super::diff::file_diff;
use super::super::media::{self, Content, Media, Room};
use super::{ToolCall, push_line, shortened};
use crate::opencode::message::{Attachment, ToolState};
use crate::opencode::{MessageId, SessionId};

impl ToolCall {
    /// How large the files may be that it returns.
    pub(crate) fn allow_media(&mut self, room: Room) {
        self.media_room = room;
    }

    /// The size of the files that it has returned.
    pub(crate) fn media_bytes(&self) -> usize {
        self.media.iter().map(Media::bytes).sum()
    }

    /// The call as OpenCode shows it in a message, with the files that it has returned.
    pub(crate) fn state_in(&self, session: &SessionId, message: &MessageId) -> ToolState {
        let mut state = self.state();
        if let ToolState::Completed { attachments, .. } = &mut state {
            let files = self.media.iter().map(|media| media.part(session, message));
            *attachments = files.map(Attachment::File).collect();
        }
        state
    }

    /// A failed call has no place for files.
    pub(super) fn with_named_media(&self, mut error: String) -> String {
        for media in &self.media {
            let remark = format!("[{} is left out: the call has failed]", media.named());
            push_line(&mut error, &remark);
        }
        error
    }

    /// Reads all that a call has returned; each update has all of it.
    pub(super) fn read_content(&mut self, content: &[Value], most: usize) {
        let mut output = String::new();
        self.diffs.clear();
        self.diff_bytes = 0;
        self.file_diff = None;
        let before = std::mem::take(&mut self.media);
        for item in content {
            match item.get("type").and_then(Value::as_str) {
                Some("content") => {
                    let block = item.get("content").unwrap_or(&Value::Null);
                    self.read_block(block, &before, &mut output);
                }
                Some("diff") => self.read_diff(item, most, &mut output),
                // Terminals are the client's own, and Baton offers none.
                _ => {}
            }
        }
        if !output.is_empty() {
            self.output = shortened(output, self.room_for_output(most));
        }
    }

    fn read_block(&mut self, block: &Value, before: &[Media], output: &mut String) {
        let room = Room {
            all: self.media_room.all.saturating_sub(self.media_bytes()),
            ..self.media_room
        };
        match media::read(block, room) {
            Some(Content::Text(text)) => push_line(output, &text),
            Some(Content::File(mut media)) => {
                // Reported again, it is still the same file.
                if let Some(same) = before.iter().find(|same| same.is_same(&media)) {
                    media.id.clone_from(&same.id);
                }
                self.media.push(media);
            }
            None => {}
        }
    }

    fn read_diff(&mut self, item: &Value, most: usize, output: &mut String) {
        let Ok(ToolCallContent::Diff(diff)) = serde_json::from_value(item.clone()) else {
            return;
        };
        let path = diff.path.to_string_lossy().into_owned();
        let old = diff.old_text.as_deref().unwrap_or_default();
        let bytes = path.len() + old.len() + diff.new_text.len();
        if bytes > self.room_for_output(most) {
            let remark = format!("[the change of {path}, {bytes} bytes, is left out]");
            push_line(output, &remark);
            self.note_file(path);
            return;
        }
        self.diff_bytes += bytes;
        if self.diffs.is_empty() {
            self.file_diff = file_diff(&path, old, &diff.new_text);
        }
        self.diffs.push(
            serde_json::json!({ "path": path, "oldText": diff.old_text, "newText": diff.new_text }),
        );
        self.note_file(path);
    }
}
