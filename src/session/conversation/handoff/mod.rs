//! Handoff: the part of a conversation that an agent has not seen, as one block of text that goes in
//! front of the user's prompt.
//!
//! The block has two sorts of lines. A line that begins with `|` is quoted from the conversation, word
//! for word; every other line was written here. All text that may have several lines passes through one
//! function that puts the `|` in front of each; names and short titles stand behind the caption of one
//! of our lines, without line breaks. So nothing that a user, a model or a tool wrote can begin a turn,
//! end the conversation or claim that something was left out. The tests show what such a block looks
//! like (`a_handoff_looks_like_this`).
//!
//! Absent here: I/O, clocks, randomness, and hidden reasoning, for which there is no [`Item`]. The same
//! input always gives the same text.

mod budget;
mod left_out;
mod lines;
mod plan;
mod render;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

pub use budget::{
    BYTES_PER_TOKEN, Budget, CONTEXT_SHARE_DIVISOR, DEFAULT_TOOL_OUTPUT_BYTES, DEFAULT_TOTAL_BYTES,
    MAX_TOTAL_BYTES, MIN_TOOL_OUTPUT_BYTES, MIN_TOTAL_BYTES, TOOL_OUTPUT_DIVISOR,
};

pub use left_out::{LeftOut, left_out};

/// Renders `entries`, oldest first, within `budget`; `None` if there are none.
///
/// What does not fit is left out in this order, and a marker in the text says how much it was:
/// 1. the middle of each tool input or result that is larger than [`Budget::tool_output_bytes`];
/// 2. the oldest tool results;
/// 3. the oldest messages;
/// 4. the middle of the newest message, if it does not fit even alone.
///
/// Steps 2 and 3 spare the newest messages: the newest one as long as it fits by itself, and those
/// before it as long as they and it fill no more than half of the room.
#[must_use]
pub fn render(entries: &[Entry], kind: Kind, budget: &Budget) -> Option<Rendered> {
    if entries.is_empty() {
        return None;
    }
    let mut text = render::preamble(kind);
    let messages_end = budget.total_bytes.max(MIN_TOTAL_BYTES) - render::END.len();
    let plan = plan::plan(entries, messages_end - text.len(), budget.tool_output_bytes);
    let (left_out, kept) = entries.split_at(plan.first_message);

    let mut elided = Elided {
        messages: left_out.len(),
        ..Elided::default()
    };
    if !left_out.is_empty() {
        text.push_str(&render::messages_left_out(left_out));
    }
    for (entry, index) in kept.iter().zip(plan.first_message..) {
        let detail = plan.detail(index);
        let room = messages_end - text.len();
        if render::entry_length(entry, detail) <= room {
            render::entry(&mut text, entry, detail);
        } else {
            // The plan keeps nothing but the newest message if that one does not fit.
            render::shortened_entry(&mut text, entry, room, detail);
            elided.messages += 1;
        }
        elided.tool_outputs += render::tool_elisions(entry, detail);
        elided.files += render::files_not_attached(entry);
    }
    text.push_str(render::END);

    let bytes = text.len();
    Some(Rendered {
        text,
        messages: kept.len(),
        bytes,
        elided,
    })
}

/// What the user says beside a handover, as a block behind it.
#[must_use]
pub fn note(text: &str) -> String {
    render::note(text)
}

/// One message of the transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who wrote it.
    pub speaker: Speaker,
    /// What it consists of, in order.
    pub items: Vec<Item>,
}

/// The author of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaker {
    /// The person, or the program, that prompts.
    User,
    /// An agent's answer.
    Assistant {
        /// The model that gave it, as `provider/model`.
        model: String,
    },
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// What the user or the model wrote.
    Text(String),
    /// A tool call.
    Tool {
        /// The tool, for example `bash`.
        name: String,
        /// What the agent called this use of it; may be empty.
        title: String,
        /// How it ended.
        status: ToolStatus,
        /// Compact JSON or a command line; may be empty.
        input: String,
        /// The result; may be empty.
        output: String,
    },
    /// The agent's plan as it stood at the end of the message.
    Plan(Vec<PlanLine>),
    /// An image or another file.
    File {
        /// Its name or path.
        name: String,
        /// Its media type.
        mime: String,
        /// Its size, if known.
        bytes: Option<u64>,
        /// Whether it travels beside the text as a block of its own; otherwise it is only named, and
        /// counted in [`Elided::files`].
        attached: bool,
    },
    /// Something that happened to the message, for example "the answer was interrupted".
    Note(String),
}

/// How a tool call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolStatus {
    /// The tool gave a result.
    Completed,
    /// The tool gave an error.
    Failed,
    /// The turn ended before the tool did.
    Interrupted,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanLine {
    /// The agent's own word: `pending`, `in_progress`, `completed` …
    pub status: String,
    /// What is to be done.
    pub content: String,
}

/// Which part of the conversation is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All of it, to a native session that has just been created.
    Transcript,
    /// What a native session missed while other models answered.
    CatchUp,
}

/// A rendered handoff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The block that goes in front of the user's prompt. It ends with a line break.
    pub text: String,
    /// The number of messages handed over at least in part.
    pub messages: usize,
    /// The size of `text`; at most the larger of [`Budget::total_bytes`] and [`MIN_TOTAL_BYTES`].
    pub bytes: usize,
    /// What was not handed over.
    pub elided: Elided,
}

/// Counts of what was not handed over. What stood in a message that was left out counts with that
/// message only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Elided {
    /// Messages that were left out, and the newest one if it was shortened.
    pub messages: usize,
    /// Tool inputs and results that were shortened or left out.
    pub tool_outputs: usize,
    /// Files that are named, but do not travel beside the text.
    pub files: usize,
}

impl Elided {
    /// The number of things that were not handed over in full; zero if all were.
    #[must_use]
    pub fn total(&self) -> usize {
        self.messages + self.tool_outputs + self.files
    }
}
