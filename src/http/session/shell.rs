//! `POST /session/{sessionID}/shell`.

use axum::response::Response;

use crate::http::handler::*;
use crate::http::message::{EventsAhead, when_answered, with_parts};
use crate::http::selection::{self, PromptModel};
use crate::opencode::{MessageId, MessageWithParts, bounded};
use crate::registry::VariantWish;
use crate::session::ShellLine;

/// A command line.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ShellInput {
    /// The id of the user's message, where the client brings one.
    #[serde(rename = "messageID")]
    pub message_id: Option<MessageId>,
    /// The agent that it is shown under.
    #[schema(format = "bound:name", example = "build")]
    pub agent: String,
    /// The model that it is shown under; left out, the session's. This does not select it.
    pub model: Option<PromptModel>,
    /// The command, as the user's shell takes it.
    #[serde(deserialize_with = "bounded::text")]
    #[schema(format = "bound:text", example = "git status")]
    pub command: String,
}

/// Run a command line
///
/// Runs a command in the session's directory, with the user's shell, and answers when it has ended. Its
/// output streams as a `bash` tool call of an answer of the conversation, and the next agent is told of it.
/// The session's model stays as it is. `POST …/abort` ends the command with everything that it started.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/shell",
    operation_id = "session.shell",
    tag = "session",
    params(SessionPath),
    request_body(content = ShellInput, description = "What to run."),
    responses(
        (status = 200, description = "The command and what it has printed.", body = MessageWithParts),
        Unselectable, NotThere, BusyOrExists, Full,
    )
)]
pub async fn shell(
    State(state): State<Shared>,
    path: SessionPath,
    ahead: EventsAhead,
    Body(input): Body<ShellInput>,
) -> Result<Response, Problem> {
    let line = input.into_line()?;
    let answer = state.sessions.shell(&path.session, line).await?;
    when_answered(&state, &path.session, ahead, answer, with_parts).await
}

impl ShellInput {
    fn into_line(self) -> Result<ShellLine, Problem> {
        let variant = VariantWish::Keep;
        Ok(ShellLine {
            message_id: self.message_id,
            wish: selection::of_message((None, None), self.model, variant, Some(self.agent))?,
            command: self.command,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::read::body as body_of;
    use crate::session::Sizes;

    fn read(body: &Value) -> Result<ShellLine, String> {
        let input: Result<ShellInput, _> = body_of(Some(body), &Sizes::default());
        input
            .and_then(ShellInput::into_line)
            .map_err(|e| e.message())
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            read(&json!({"command": "ls"})).expect_err("refused"),
            "Missing key\n  at [\"agent\"]"
        );
        assert_eq!(
            read(&json!({"agent": "build"})).expect_err("refused"),
            "Missing key\n  at [\"command\"]"
        );
        let line = read(&json!({"agent": "build", "command": ""})).expect("fine");
        assert_eq!(line.wish.agent.as_deref(), Some("build"));
    }
}
