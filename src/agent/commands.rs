//! The slash commands that an agent advertises (`available_commands_update`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Commands of one agent that are kept.
pub const COMMANDS_MAX: usize = 500;
/// The longest name of a command, in bytes.
const NAME_MAX_BYTES: usize = 128;
/// The longest text about a command that is kept, in characters.
const TEXT_MAX_CHARS: usize = 1_000;

/// A slash command of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentCommand {
    /// Its name, without the slash in front.
    pub name: String,
    /// What it does.
    pub description: String,
    /// What to type after it, where it takes something.
    pub hint: Option<String>,
}

/// Reads an update; `None` when it is about something else.
pub fn read(update: &Value) -> Option<Vec<AgentCommand>> {
    let kind = update.get("sessionUpdate").and_then(Value::as_str);
    if kind != Some("available_commands_update") {
        return None;
    }
    let list = update.get("availableCommands").and_then(Value::as_array);
    let commands = list.into_iter().flatten().filter_map(read_one);
    Some(commands.take(COMMANDS_MAX).collect())
}

fn read_one(command: &Value) -> Option<AgentCommand> {
    let text = |pointer: &str| command.pointer(pointer).and_then(Value::as_str);
    let shortened = |text: &str| text.chars().take(TEXT_MAX_CHARS).collect::<String>();
    let name = text("/name")?;
    // Some agents write the slash, too.
    let name = name.strip_prefix('/').unwrap_or(name);
    let usable =
        !name.is_empty() && name.len() <= NAME_MAX_BYTES && !name.contains(char::is_whitespace);
    usable.then(|| AgentCommand {
        name: name.to_owned(),
        description: shortened(text("/description").unwrap_or_default()),
        hint: text("/input/hint").map(shortened),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn commands_are_read_and_nonsense_is_left_out() {
        let update = json!({
            "sessionUpdate": "available_commands_update",
            "availableCommands": [
                {"name": "review", "description": "Reviews", "input": {"hint": "what"}},
                {"name": "/init", "description": 5, "input": null},
                {"name": "two words"}, {"name": ""}, {}, 5,
            ],
        });
        let command = |name: &str, description: &str, hint: Option<&str>| AgentCommand {
            name: name.to_owned(),
            description: description.to_owned(),
            hint: hint.map(str::to_owned),
        };
        let expected = [
            command("review", "Reviews", Some("what")),
            command("init", "", None),
        ];
        assert_eq!(read(&update).expect("commands"), expected);
        assert_eq!(read(&json!({"sessionUpdate": "plan"})), None);
        let empty = json!({"sessionUpdate": "available_commands_update", "availableCommands": 5});
        assert_eq!(read(&empty), Some(Vec::new()));
    }
}
