//! `POST /session/{sessionID}/command`.

use axum::response::{IntoResponse, Response};

use crate::http::handler::*;
use crate::http::message::prompt::check_files;
use crate::http::message::{EventsAhead, when_answered, with_parts};
use crate::opencode::event::Source;
use crate::opencode::prompt::{FilePartInput, PartInput};
use crate::opencode::{MessageId, MessageWithParts, bounded};
use crate::registry::VariantWish;
use crate::session::{CommandCall, Sizes};

/// A slash command.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CommandInput {
    /// The id of the user's message, where the client brings one.
    #[serde(rename = "messageID")]
    pub message_id: Option<MessageId>,
    /// Its name, without the slash.
    #[schema(format = "bound:name", example = "review")]
    pub command: String,
    /// What was typed after it; may be empty.
    #[serde(deserialize_with = "bounded::text")]
    #[schema(format = "bound:text", example = "main")]
    pub arguments: String,
    /// The agent; one that the command itself names takes precedence.
    #[schema(format = "bound:name", example = "build")]
    pub agent: Option<String>,
    /// The model as `provider/model`; one that the command itself names takes precedence.
    #[serde(default, deserialize_with = "bounded::path")]
    #[schema(format = "bound:path", example = "claude/opus")]
    pub model: Option<String>,
    /// The reasoning effort.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "bound:name", example = "high")]
    pub variant: VariantWish,
    /// Files to send with it.
    #[serde(default, deserialize_with = "bounded::parts")]
    #[schema(value_type = Option<Vec<FilePartInput>>)]
    pub parts: Option<Vec<OnlyFile>>,
}

/// A part that is a file.
#[derive(Debug, Deserialize)]
#[serde(rename = "tagged", rename_all = "lowercase")]
pub enum OnlyFile {
    /// The file.
    File(FilePartInput),
}

/// Run a slash command
///
/// Fills in the command's template and sends it as a message, or sends `/name arguments` to the backend that
/// advertises the command, and answers with the complete answer. A user's own command takes precedence over a backend's
/// of the same name. What the command selects is selected as a PATCH would select it. When anything about it
/// is refused, nothing is changed and nothing is run.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/command",
    operation_id = "session.command",
    tag = "session",
    params(SessionPath, Client),
    request_body(content = CommandInput, description = "What was typed."),
    responses(
        (status = 200, description = "The answer, which may carry an error.", body = MessageWithParts),
        UnknownCommand, Spent, NotThere, MessageExists, QueueFull, Full,
    )
)]
pub async fn command(
    State(state): State<Shared>,
    path: SessionPath,
    client: Client,
    ahead: EventsAhead,
    Body(input): Body<CommandInput>,
) -> Result<Response, Problem> {
    let call = input.into_call(&state.settings.sizes)?;
    let caller = client.by(Source::Command);
    let admitted = state.sessions.command(&path.session, call, caller).await?;
    match admitted.answer {
        Some(answer) => when_answered(&state, &path.session, ahead, answer, with_parts).await,
        None => Ok(Json(admitted.message).into_response()),
    }
}

impl CommandInput {
    fn into_call(self, sizes: &Sizes) -> Result<CommandCall, Problem> {
        let files = self.parts.into_iter().flatten();
        let parts: Vec<_> = files
            .map(|OnlyFile::File(file)| PartInput::File(file))
            .collect();
        check_files(&["parts"], &parts, sizes)?;
        Ok(CommandCall {
            message_id: self.message_id,
            command: self.command,
            arguments: self.arguments,
            model: self.model,
            variant: self.variant,
            agent: self.agent,
            parts,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::read::body as body_of;

    fn read(body: &Value) -> Result<CommandCall, String> {
        let sizes = Sizes::default();
        let input: Result<CommandInput, _> = body_of(Some(body), &sizes);
        let call = input.and_then(|input| input.into_call(&sizes));
        call.map_err(|e| e.message())
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, expected) in [
            (json!({"arguments": ""}), "Missing key\n  at [\"command\"]"),
            (json!({"command": "x"}), "Missing key\n  at [\"arguments\"]"),
            (
                json!({"command": "x", "arguments": "", "model": {"providerID": "a"}}),
                "Expected string | null, got object\n  at [\"model\"]",
            ),
            (
                json!({"command": "x", "arguments": "", "parts": [{"type": "text", "text": "x"}]}),
                "Expected \"file\", got \"text\"\n  at [\"parts\"][0][\"type\"]",
            ),
        ] {
            assert_eq!(read(&body).expect_err("refused"), expected);
        }
    }
}
