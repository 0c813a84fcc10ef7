//! What is kept of a tool call: an agent may report more of it than anybody wants to read.

use serde_json::{Map, Value};

use super::ToolCall;
use crate::session::sizes::json_bytes;

/// The longest title, in bytes. A command may be one.
pub(super) const TITLE_MAX_BYTES: usize = 64 * 1024;
/// The longest name of a tool, in bytes.
pub(super) const TOOL_NAME_MAX_BYTES: usize = 256;
/// Files that a call has to do with.
const FILES_MAX: usize = 1_000;
/// The longest path of such a file, in bytes.
const PATH_MAX_BYTES: usize = 4 * 1024;
/// Further facts about a call, such as its exit status.
const FACTS_MAX: usize = 64;
/// The largest of them, as JSON, in bytes.
const FACT_MAX_BYTES: usize = 16 * 1024;

impl ToolCall {
    /// Bytes of what is kept of it.
    pub(crate) fn bytes(&self) -> usize {
        let patch = self.file_diff.as_ref().and_then(|d| d["patch"].as_str());
        self.output.len()
            + self.input_bytes
            + self.diff_bytes
            + patch.map_or(0, str::len)
            + self.title.as_ref().map_or(0, String::len)
    }

    /// Whether its arguments were too large to be kept.
    pub(crate) fn is_cut(&self) -> bool {
        self.input_is_cut
    }

    /// Keeps the arguments, when they have at most `most` bytes.
    pub(super) fn keep_input(&mut self, input: Map<String, Value>, most: usize) {
        self.input_is_guessed = false;
        let bytes = json_bytes(&input, most);
        self.input_is_cut = bytes.is_none();
        self.input_bytes = bytes.unwrap_or(0);
        self.input = match bytes {
            Some(_) => input,
            None => {
                let remark = format!("[arguments of more than {most} bytes are left out]");
                Map::from_iter([("input".to_owned(), Value::String(remark))])
            }
        };
    }

    /// What is left for the output, of `most` bytes in all.
    pub(super) fn room_for_output(&self, most: usize) -> usize {
        most.saturating_sub(self.input_bytes.saturating_add(self.diff_bytes))
    }

    /// Notes a file, once.
    pub(super) fn note_file(&mut self, path: String) {
        let fits = self.files.len() < FILES_MAX && path.len() <= PATH_MAX_BYTES;
        if fits && !self.files.contains(&path) {
            self.files.push(path);
        }
    }

    /// Notes a fact, unless there are many already or it is a large one.
    pub(super) fn note_fact(&mut self, name: &str, value: &Value) {
        let known = self.metadata.contains_key(name);
        let fits = known || self.metadata.len() < FACTS_MAX;
        let small =
            name.len() <= TOOL_NAME_MAX_BYTES && json_bytes(value, FACT_MAX_BYTES).is_some();
        if fits && small {
            self.metadata.insert(name.to_owned(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MOST: usize = 1_000;

    fn merged(update: &Value) -> ToolCall {
        let mut call = ToolCall::new(0);
        call.merge(update, 1, MOST);
        call
    }

    #[test]
    fn no_part_of_a_call_is_larger_than_the_call_may_be() {
        let long = "x".repeat(50_000);
        let diff = json!({"type": "diff", "path": "/a", "oldText": long, "newText": long});
        let text = json!({"type": "content", "content": {"type": "text", "text": long}});
        for update in [
            json!({"rawInput": {"command": long}}),
            json!({"content": [diff]}),
            json!({"content": [text]}),
            json!({"rawOutput": {"output": long, "metadata": {"a": long}}}),
            json!({"rawOutput": {"anything": [long]}}),
            json!({"_meta": {"terminal_output": {"data": long}, "terminal_exit": {"exit_code": long}}}),
        ] {
            let call = merged(&update);
            assert!(call.bytes() < MOST + 200, "{}", call.bytes());
            let state = serde_json::to_string(&call.state()).expect("JSON");
            assert!(state.len() < 5 * MOST, "{}", state.len());
        }
        let cut = merged(&json!({"rawInput": {"command": long}}));
        assert!(cut.is_cut() && cut.input()["input"].as_str().is_some());
        let left_out = merged(&json!({"content": [diff]}));
        assert!(left_out.output.contains("left out"), "{}", left_out.output);
        assert_eq!(left_out.files(), ["/a"]);
    }

    #[test]
    fn many_files_and_facts_are_not_kept() {
        let mut call = ToolCall::new(0);
        for n in 0..2 * FILES_MAX {
            call.note_file(n.to_string());
            call.note_fact(&n.to_string(), &json!(n));
        }
        call.note_file("x".repeat(PATH_MAX_BYTES + 1));
        assert_eq!(call.files.len(), FILES_MAX);
        assert_eq!(call.metadata.len(), FACTS_MAX);
    }
}
