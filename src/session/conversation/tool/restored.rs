//! A tool call as it was, from the part that was stored of it.

use agent_client_protocol_schema::v1::{ToolCallStatus, ToolKind};
use serde_json::{Map, Value};

use super::super::media::Media;
use super::{INTERRUPTED, ToolCall, UNTOLD};
use crate::opencode::message::{Attachment, PartTime, ToolPart, ToolState};

/// What [`ToolCall::state`] makes of the rest of a call.
const DERIVED: [&str; 4] = ["output", "diffs", "diff", "filediff"];

impl ToolCall {
    /// The call that a part shows. One whose end was not reported, or that was broken off, has not ended: its agent may
    /// still report it.
    pub(crate) fn restored(part: &ToolPart) -> Self {
        let mut call = Self::new(0);
        call.name = Some(part.tool.clone());
        call.kind = kind_of(&part.tool);
        match &part.state {
            ToolState::Pending { input, .. } => call.restore(input, ToolCallStatus::Pending),
            ToolState::Running {
                input,
                title,
                metadata,
                time,
            } => {
                call.restore(input, ToolCallStatus::InProgress);
                call.title.clone_from(title);
                call.restore_metadata(metadata.as_ref(), *time);
            }
            ToolState::Completed {
                input,
                output,
                title,
                metadata,
                time,
                attachments,
            } => {
                let files = attachments.iter().map(Attachment::file);
                call.media = files.filter_map(Media::of_part).collect();
                let status = status(output == UNTOLD, ToolCallStatus::Completed);
                call.restore(input, status);
                call.title = Some(title.clone()).filter(|title| !title.is_empty());
                call.restore_metadata(Some(metadata), *time);
                if status == ToolCallStatus::Completed {
                    call.output.clone_from(output);
                }
            }
            ToolState::Error {
                input,
                error,
                metadata,
                time,
            } => {
                let status = status(error == INTERRUPTED, ToolCallStatus::Failed);
                call.restore(input, status);
                call.restore_metadata(metadata.as_ref(), *time);
                if status == ToolCallStatus::Failed {
                    call.output.clone_from(error);
                }
            }
        }
        call
    }

    fn restore(&mut self, input: &Map<String, Value>, status: ToolCallStatus) {
        self.keep_input(input.clone(), usize::MAX);
        self.status = status;
    }

    fn restore_metadata(&mut self, metadata: Option<&Map<String, Value>>, time: PartTime) {
        self.start = time.start;
        let open = matches!(
            self.status,
            ToolCallStatus::Pending | ToolCallStatus::InProgress
        );
        self.end = time.end.filter(|_| !open);
        let Some(metadata) = metadata else { return };
        let text = |key: &str| metadata.get(key).and_then(Value::as_str);
        self.output = text("output").unwrap_or_default().to_owned();
        self.file_diff = metadata.get("filediff").cloned();
        if let Some(Value::Array(diffs)) = metadata.get("diffs") {
            self.diffs.clone_from(diffs);
            self.diff_bytes = diffs.iter().map(|diff| diff.to_string().len()).sum();
            let paths = diffs.iter().filter_map(|diff| diff.get("path")?.as_str());
            paths.for_each(|path| self.note_file(path.to_owned()));
        }
        let facts = metadata
            .iter()
            .filter(|(name, _)| !DERIVED.contains(&name.as_str()));
        facts.for_each(|(name, value)| self.note_fact(name, value));
    }
}

fn status(is_open: bool, ended: ToolCallStatus) -> ToolCallStatus {
    match is_open {
        true => ToolCallStatus::InProgress,
        false => ended,
    }
}

/// The kind is not stored; it decides which files a call has changed.
fn kind_of(tool: &str) -> ToolKind {
    match tool {
        "edit" | "write" => ToolKind::Edit,
        "delete" => ToolKind::Delete,
        "move" => ToolKind::Move,
        "read" => ToolKind::Read,
        "bash" => ToolKind::Execute,
        _ => ToolKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::opencode::{MessageId, PartId, SessionId};

    fn part(call: &ToolCall) -> ToolPart {
        ToolPart {
            id: PartId::new(),
            session_id: SessionId::new(),
            message_id: MessageId::new(),
            call_id: "c".to_owned(),
            tool: call.tool().to_owned(),
            state: call.state_in(&SessionId::new(), &MessageId::new()),
        }
    }

    #[test]
    fn a_call_comes_back_as_it_was() {
        let diff = json!({"type": "diff", "path": "/a", "oldText": "a\n", "newText": "b\n"});
        for update in [
            json!({"title": "bash", "kind": "execute", "rawInput": {"command": "ls"}}),
            json!({"title": "bash", "kind": "execute", "status": "in_progress", "rawInput": {"command": "ls"},
                "_meta": {"terminal_output": {"data": "some"}}}),
            json!({"title": "edit", "kind": "edit", "status": "completed", "content": [diff]}),
            json!({"title": "bash", "status": "completed", "rawOutput": {"output": "x", "metadata": {"exit": 3}}}),
            json!({"title": "read", "status": "completed", "content": [{"type": "content", "content":
                {"type": "image", "mimeType": "image/png", "data": "iVBORw0KGgo="}}]}),
            json!({"title": "bash", "status": "failed", "rawOutput": "no such file"}),
        ] {
            let mut call = ToolCall::new(5);
            call.merge(&update, 7, 1_000_000);
            let restored = ToolCall::restored(&part(&call));
            // When a pending call was announced is stored nowhere.
            assert_eq!(restored.state(), call.state(), "{update}");
            assert_eq!(restored.media, call.media, "{update}");
            assert_eq!(restored.has_ended(), call.has_ended(), "{update}");
            assert_eq!(restored.edited_files(), call.edited_files(), "{update}");
        }
    }
}
