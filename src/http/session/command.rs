//! `POST /session/{sessionID}/command`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::bounds::Bound;
use crate::http::error::Problem;
use crate::http::extract::{Body, Client, SessionPath};
use crate::http::fields::{Element, Fields};
use crate::http::message::prompt::{PART_FIELDS, check_files, file_part, parts_of};
use crate::http::message::{EventsAhead, when_answered, with_parts};
use crate::http::responses::{
    MessageExists, NotJson, NotThere, QueueFull, Stopping, TooLarge, UnknownCommand,
};
use crate::http::selection;
use crate::http::state::Shared;
use crate::opencode::event::Source;
use crate::opencode::prompt::{FilePartInput, PartInput};
use crate::opencode::{MessageId, MessageWithParts};
use crate::session::CommandCall;

const FIELDS: &[&str] = &[
    "messageID",
    "command",
    "arguments",
    "agent",
    "model",
    "variant",
    "parts",
];
const FILE: &[(&str, ())] = &[("file", ())];

/// A slash command.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CommandInput {
    /// The id of the user's message, where the client brings one.
    #[serde(rename = "messageID")]
    pub message_id: Option<MessageId>,
    /// Its name, without the slash.
    #[schema(format = "bound:name", example = "review")]
    pub command: String,
    /// What is typed behind it; may be empty.
    #[schema(format = "bound:text", example = "main")]
    pub arguments: String,
    /// The agent; one that the command itself names goes before.
    #[schema(format = "bound:name", example = "build")]
    pub agent: Option<String>,
    /// The model as `provider/model`; one that the command itself names goes before.
    #[schema(format = "bound:path", example = "claude/opus")]
    pub model: Option<String>,
    /// The reasoning effort.
    #[schema(format = "bound:name", example = "high")]
    pub variant: Option<String>,
    /// Files beside it.
    pub parts: Option<Vec<FilePartInput>>,
}

/// Run a slash command
///
/// Fills in the command's template and sends it as a message, or sends `/name arguments` to the backend that
/// advertises the command, and answers with the complete answer. A user's own command goes before a backend's
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
        UnknownCommand, NotThere, MessageExists, TooLarge, NotJson, QueueFull, Stopping,
    )
)]
pub async fn command(
    State(state): State<Shared>,
    path: SessionPath,
    client: Client,
    ahead: EventsAhead,
    body: Body,
) -> Result<Response, Problem> {
    let call = body.parse(FIELDS, parse)?;
    let caller = client.by(Source::Command);
    let admitted = state.sessions.command(&path.session, call, caller).await?;
    match admitted.answer {
        Some(answer) => when_answered(&state, &path.session, ahead, answer, with_parts).await,
        None => Ok(Json(admitted.message).into_response()),
    }
}

fn parse(body: &Fields<'_>) -> Result<CommandCall, Problem> {
    let parts = parts_of(body)?.unwrap_or_default();
    let parts = parts.into_iter().map(file).collect::<Result<_, _>>()?;
    Ok(CommandCall {
        message_id: body.id("messageID", MessageId::parse)?,
        command: body.required_string("command")?.to_owned(),
        arguments: body.required_text("arguments", Bound::Text)?.to_owned(),
        model: body.text("model", Bound::Path)?.map(str::to_owned),
        variant: selection::variant_of(body)?,
        agent: body.string("agent")?.map(str::to_owned),
        parts: check_files(body, parts)?,
    })
}

fn file(element: Element<'_>) -> Result<PartInput, Problem> {
    let part = element.object(PART_FIELDS)?;
    part.required_word("type", FILE)?;
    file_part(&part)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::fields::any_json;

    fn read(body: &Value) -> Result<CommandCall, String> {
        let fields = Fields::of_body(Some(body), FIELDS).map_err(|e| e.message())?;
        parse(&fields).map_err(|e| e.message())
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

    proptest::proptest! {
        #[test]
        fn no_body_makes_it_panic(body in any_json()) {
            let _whatever = read(&body);
        }
    }
}
