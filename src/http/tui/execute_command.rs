//! `POST /tui/execute-command`.

use serde_json::{Value, json};

use crate::http::handler::*;
use crate::http::read::refusal;
use crate::http::tui::tell;
use crate::opencode::event::{EventPayload, TuiCommandExecute};

/// The longest name of a command, in bytes.
const COMMAND_MAX_BYTES: usize = 100;

/// The names that this route has for some commands, and those that the terminal UI has.
const NAMES: &[(&str, &str)] = &[
    ("session_new", "session.new"),
    ("session_share", "session.share"),
    ("session_interrupt", "session.interrupt"),
    ("session_compact", "session.compact"),
    ("messages_page_up", "session.page.up"),
    ("messages_page_down", "session.page.down"),
    ("messages_line_up", "session.line.up"),
    ("messages_line_down", "session.line.down"),
    ("messages_half_page_up", "session.half.page.up"),
    ("messages_half_page_down", "session.half.page.down"),
    ("messages_first", "session.first"),
    ("messages_last", "session.last"),
    ("agent_cycle", "agent.cycle"),
];

/// A command of the terminal UI.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ExecuteCommandInput)]
pub struct ExecuteCommand {
    /// `session_new`, `agent_cycle` and so on, or the terminal UI's own name, such as `session.new`.
    #[schema(example = "agent_cycle")]
    pub command: String,
}

/// Execute a command
///
/// Executes a command in the terminal UIs of the directory, with the event `tui.command.execute`.
#[utoipa::path(
    post,
    path = "/tui/execute-command",
    operation_id = "tui.executeCommand",
    tag = "tui",
    params(Directory),
    request_body(content = ExecuteCommand, description = "The command."),
    responses(
        (status = 200, description = "`true`: the event was published.", body = bool),
        Invalid,
    )
)]
pub async fn execute_command(
    State(state): State<Shared>,
    Directory(directory): Directory,
    Body(input): Body<ExecuteCommand>,
) -> Result<Json<bool>, Problem> {
    let Some(command) = name_of(&input.command) else {
        let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        let message = format!(
            "Unknown command. Send one of {}, or the terminal UI's own name of a command, such as \"session.new\"",
            names.join(", ")
        );
        return Err(refusal(&["command"], message));
    };
    let request = json!({ "command": input.command });
    let command = command.to_owned();
    let event = EventPayload::TuiCommandExecute(TuiCommandExecute { command });
    Ok(tell(
        &state,
        directory,
        "/tui/execute-command",
        request,
        event,
    ))
}

/// The terminal UI's name of a command. One with a dot is its own already: it has more of them than these, and which
/// ones depends on its version.
fn name_of(asked: &str) -> Option<&str> {
    let known = NAMES.iter().find(|(name, _)| *name == asked);
    let own = |name: &&str| is_name(name) && name.contains('.');
    known.map(|(_, own)| *own).or(Some(asked).filter(own))
}

/// Whether a text can be the terminal UI's name of a command.
pub(super) fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !text.is_empty() && text.len() <= COMMAND_MAX_BYTES && text.bytes().all(fits)
}

/// What [`is_name`] takes, for the OpenAPI document.
pub fn own_names() -> Value {
    json!({ "pattern": "^[0-9A-Za-z._-]+$", "maxLength": COMMAND_MAX_BYTES })
}

/// What [`name_of`] takes, for the OpenAPI document.
pub fn names() -> Value {
    let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
    let own = "[0-9A-Za-z_-]*\\.[0-9A-Za-z._-]*";
    json!({ "pattern": format!("^({}|{own})$", names.join("|")), "maxLength": COMMAND_MAX_BYTES })
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn commands_have_two_names() {
        assert_eq!(
            name_of("messages_half_page_up"),
            Some("session.half.page.up")
        );
        assert_eq!(name_of("theme.switch"), Some("theme.switch"));
        for bad in ["", "nonsense", "a b.c", "session.new\n", &"a.".repeat(80)] {
            assert_eq!(name_of(bad), None, "{bad}");
        }
    }
}
