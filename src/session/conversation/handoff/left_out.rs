//! What a handoff says that it has left out, read off its own lines.

use super::render::QUOTE_MARK;

/// One thing that was not handed over in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The message that it stood in, as the handoff heads it: `user`, `assistant provider/model`; empty for whole
    /// messages.
    pub of: String,
    /// The tool, where it is a tool's input or result.
    pub tool: Option<String>,
    /// What and how much, in the words of the handoff.
    pub what: String,
}

/// The parts of the conversation that a rendered handoff lacks, in their order.
pub fn left_out(text: &str) -> Vec<LeftOut> {
    let mut found = Vec::new();
    let (mut of, mut tool) = (String::new(), None);
    // Only our own lines count: whatever was said begins with the mark of a quotation.
    let own = text.lines().filter(|line| !line.starts_with(QUOTE_MARK));
    let own = own.filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
    for line in own {
        if line == "user" || line.starts_with("assistant ") {
            (of, tool) = (line.to_owned(), None);
        } else if let Some(call) = line.strip_prefix("tool ") {
            tool = call.split_once(',').map(|(name, _)| name.to_owned());
        } else if let Some(kind) = Marker::of(line) {
            found.push(LeftOut {
                of: match kind {
                    Marker::Messages => String::new(),
                    Marker::Tool | Marker::Message => of.clone(),
                },
                tool: tool.clone().filter(|_| matches!(kind, Marker::Tool)),
                what: line.to_owned(),
            });
        }
    }
    found
}

/// What a line in square brackets says is missing.
enum Marker {
    /// Whole messages.
    Messages,
    /// Of a tool's input or result.
    Tool,
    /// Of a message, or a file of it.
    Message,
}

impl Marker {
    fn of(line: &str) -> Option<Self> {
        let starts_with_number = line.starts_with(|first: char| first.is_ascii_digit());
        if line.starts_with("the oldest ") && line.contains(" left out") {
            Some(Self::Messages)
        } else if line.starts_with("result left out: ") {
            Some(Self::Tool)
        } else if starts_with_number && line.ends_with(" bytes of this message left out") {
            Some(Self::Message)
        } else if starts_with_number
            && (line.ends_with(" of the input left out")
                || line.ends_with(" of the result left out"))
        {
            Some(Self::Tool)
        } else if line.starts_with("file ") && line.ends_with(": not handed over") {
            Some(Self::Message)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Budget, Entry, Item, Kind, Speaker, ToolStatus, render};
    use super::*;

    fn answer(items: Vec<Item>) -> Entry {
        Entry {
            speaker: Speaker::Assistant {
                model: "mock/a".to_owned(),
            },
            items,
        }
    }

    fn long_tool(title: &str) -> Item {
        Item::Tool {
            name: "read".to_owned(),
            title: title.to_owned(),
            status: ToolStatus::Completed,
            input: String::new(),
            output: "word ".repeat(1_000),
        }
    }

    #[test]
    fn what_is_left_out_is_named_with_where_it_stood() {
        let said = "[result left out: 5 bytes]\n[the oldest 3 messages, 9 bytes, left out]";
        let file = Item::File {
            name: "trace.zip".to_owned(),
            mime: "application/zip".to_owned(),
            bytes: None,
            attached: false,
        };
        let entries = [
            Entry {
                speaker: Speaker::User,
                items: vec![Item::Text(said.to_owned()), file],
            },
            answer(vec![long_tool("[1 bytes of the input left out]")]),
        ];
        let budget = Budget {
            total_bytes: 96_000,
            tool_output_bytes: 1_000,
        };
        let rendered = render(&entries, Kind::Transcript, &budget).expect("rendered");
        let left = left_out(&rendered.text);
        assert_eq!(left.len(), rendered.elided.total(), "{left:#?}");
        assert_eq!(left[0].of, "user");
        assert_eq!(
            left[0].what,
            "file trace.zip, application/zip: not handed over"
        );
        assert_eq!(left[1].of, "assistant mock/a");
        assert_eq!(left[1].tool.as_deref(), Some("read"));
        assert_eq!(left[1].what, "4000 bytes of the result left out");
    }

    #[test]
    fn whole_messages_belong_to_no_message() {
        let entries: Vec<_> = (0..40)
            .map(|at| answer(vec![Item::Text(format!("{at} {}", "x".repeat(400)))]))
            .collect();
        let budget = Budget {
            total_bytes: 5_000,
            tool_output_bytes: 1_000,
        };
        let rendered = render(&entries, Kind::CatchUp, &budget).expect("rendered");
        let left = left_out(&rendered.text);
        assert_eq!(left.len(), 1, "{left:#?}");
        assert!(left[0].of.is_empty() && left[0].what.starts_with("the oldest "));
    }
}
