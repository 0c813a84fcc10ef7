//! Whether two calls are one: some agents give their requests for permissions ids of their own.

use agent_client_protocol_schema::v1::ToolKind;
use serde_json::{Map, Value};

use super::ToolCall;

impl ToolCall {
    /// Its arguments, as the agent has reported them.
    pub(crate) fn told_input(&self) -> Option<&Map<String, Value>> {
        let is_told = !self.input.is_empty() && !self.input_is_guessed;
        is_told.then_some(&self.input)
    }

    /// Whether the arguments of another call are the same, except for some that only one of the two has.
    pub(crate) fn has_input_of(&self, other: &Self) -> bool {
        let (Some(one), Some(two)) = (self.told_input(), other.told_input()) else {
            return false;
        };
        holds(one, two) || holds(two, one)
    }

    /// Whether it has all of these arguments.
    pub(crate) fn has_arguments(&self, arguments: &Value) -> bool {
        let told = self.told_input().zip(arguments.as_object());
        told.is_some_and(|(told, arguments)| holds(told, arguments))
    }

    /// Whether another call that names no arguments may be this one: of the same kind, and about the same files.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        let same_kind =
            self.kind == other.kind || [self.kind, other.kind].contains(&ToolKind::Other);
        let none = self.files.is_empty() || other.files.is_empty();
        same_kind && (none || self.files.iter().any(|file| other.files.contains(file)))
    }

    /// Notes whether it is known from a request for a permission alone.
    pub(crate) fn is_now_only_asked(&mut self, is_only_asked: bool) {
        self.is_only_asked = is_only_asked;
    }

    /// Whether it is known from a request for a permission alone.
    pub(crate) fn is_only_asked(&self) -> bool {
        self.is_only_asked
    }

    /// What it has returned so far. What an agent says when it announces a call does not count.
    pub(crate) fn result(&self) -> Option<&str> {
        (self.output_is_result && !self.output.is_empty()).then_some(&self.output)
    }

    /// What it says that it does.
    pub(crate) fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }
}

fn holds(many: &Map<String, Value>, few: &Map<String, Value>) -> bool {
    few.iter().all(|(key, value)| many.get(key) == Some(value))
}
