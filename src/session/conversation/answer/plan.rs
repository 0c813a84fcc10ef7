//! An agent's plan: one part of the answer, which every further plan replaces.

use serde_json::{Map, Value, json};

use super::fold::Folded;
use super::{Answering, PLAN_TOOL};
use crate::opencode::event::{TODO_PRIORITIES, TODO_STATUSES, Todo};
use crate::opencode::message::{Part, PartTime, ToolPart, ToolState};
use crate::opencode::{PartId, now_ms};
use crate::session::sizes::{Sizes, beginning};

/// The plan's id among the tool calls of an answer.
pub(super) const CALL_ID: &str = "plan-1";

impl Answering {
    pub(super) fn fold_plan(&mut self, update: &Value, folded: &mut Folded) {
        let Some(entries) = update.get("entries").and_then(Value::as_array) else {
            return;
        };
        let todos = read(entries, &self.sizes);
        let bytes: usize = todos.iter().map(bytes_of).sum();
        // The place of the last plan is free again.
        let (before, at) = self.plan.unwrap_or((0, self.parts.len()));
        if self.is_full(bytes.saturating_sub(before)) {
            return;
        }
        self.bytes = self.bytes.saturating_sub(before) + bytes;
        self.has_content = true;
        self.close_open(&mut folded.events);
        // Closing adds no part, so the place is the right one still.
        let is_first = self.plan.is_none();
        self.plan = Some((bytes, at));
        if is_first {
            let part = self.plan_part(PartId::new(), now_ms(), &todos);
            folded.events.push(self.add(part));
        } else {
            let Part::Tool(ToolPart { id, state, .. }) = &self.parts[at] else {
                return;
            };
            let start = match state {
                ToolState::Completed { time, .. } => time.start,
                _ => now_ms(),
            };
            let part = self.plan_part(id.clone(), start, &todos);
            self.parts[at] = part;
            folded.events.push(self.changed(at));
        }
        folded.todos = Some(todos);
        // An agent may send one plan after the other: those that follow are stored with the next flush.
        folded.complete = is_first;
    }

    fn plan_part(&self, id: PartId, start: u64, todos: &[Todo]) -> Part {
        let list = json!(todos);
        let object = |value: Value| Map::from_iter([("todos".to_owned(), value)]);
        let open = todos.iter().filter(|t| t.status != "completed").count();
        Part::Tool(ToolPart {
            id,
            session_id: self.message.session_id.clone(),
            message_id: self.message.id.clone(),
            call_id: CALL_ID.to_owned(),
            tool: PLAN_TOOL.to_owned(),
            state: ToolState::Completed {
                input: object(list.clone()),
                output: serde_json::to_string_pretty(&list).unwrap_or_default(),
                title: format!("{open} todos"),
                metadata: object(list),
                time: PartTime {
                    start,
                    end: Some(now_ms()),
                },
                attachments: Vec::new(),
            },
        })
    }
}

/// The entries of a plan, as far as there is room for them; the last one says how many are left out.
fn read(entries: &[Value], sizes: &Sizes) -> Vec<Todo> {
    let text = |entry: &Value, key: &str, default: &str, bytes: usize| {
        let text = entry.get(key).and_then(Value::as_str).unwrap_or(default);
        beginning(text, bytes).to_owned()
    };
    // Clients know these words and no others: what an agent says beside them is the usual one.
    let word = |entry: &Value, key: &str, words: &[&str], usual: &str| {
        let said = entry.get(key).and_then(Value::as_str);
        said.filter(|said| words.contains(said))
            .unwrap_or(usual)
            .to_owned()
    };
    let mut room = sizes.plan_bytes;
    let mut todos = Vec::new();
    for entry in entries.iter().take(sizes.plan_entries) {
        let todo = Todo {
            content: text(entry, "content", "", room),
            status: word(entry, "status", &TODO_STATUSES, "pending"),
            priority: word(entry, "priority", &TODO_PRIORITIES, "medium"),
        };
        let bytes = bytes_of(&todo);
        if bytes > room {
            break;
        }
        room -= bytes;
        todos.push(todo);
    }
    let left_out = entries.len() - todos.len();
    if left_out > 0 {
        todos.push(Todo {
            content: format!("[{left_out} more entries are left out]"),
            status: "pending".to_owned(),
            priority: "low".to_owned(),
        });
    }
    todos
}

/// What a plan that was stored takes of its answer.
pub(super) fn bytes_of_plan(state: &ToolState) -> usize {
    let ToolState::Completed { metadata, .. } = state else {
        return 0;
    };
    let todos = metadata.get("todos").cloned().unwrap_or_default();
    let todos: Vec<Todo> = serde_json::from_value(todos).unwrap_or_default();
    todos.iter().map(bytes_of).sum()
}

fn bytes_of(todo: &Todo) -> usize {
    todo.content.len() + todo.status.len() + todo.priority.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: usize, bytes: usize) -> Vec<Value> {
        vec![json!({"content": "x".repeat(bytes), "status": "pending"}); count]
    }

    #[test]
    fn a_plan_is_bounded_and_says_what_is_left_out() {
        let sizes = Sizes {
            plan_entries: 3,
            plan_bytes: 100,
            ..Sizes::default()
        };
        assert_eq!(read(&entries(3, 5), &sizes).len(), 3);
        let many = read(&entries(9, 5), &sizes);
        assert_eq!(many.len(), 4);
        assert!(many[3].content.contains("6 more"), "{many:?}");
        let large = read(&entries(3, 40), &sizes);
        assert_eq!(large.len(), 2);
        assert!(large[1].content.contains("2 more"), "{large:?}");
    }
}
