//! `POST /session/{sessionID}/init`.

use axum::response::{IntoResponse, Response};

use crate::command::builtin;
use crate::http::handler::*;
use crate::http::message::{EventsAhead, when_answered};
use crate::http::selection;
use crate::opencode::MessageId;
use crate::opencode::event::Source;
use crate::opencode::prompt::PartInput;
use crate::registry::VariantWish;
use crate::session::Prompt;

/// Who is to write AGENTS.md.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SessionInitInput {
    /// The backend; `modelID` has to come with it. Left out, the session's model is asked.
    #[serde(rename = "providerID")]
    #[schema(format = "bound:name", example = "claude")]
    pub provider_id: Option<String>,
    /// The model; `providerID` has to come with it.
    #[serde(rename = "modelID")]
    #[schema(format = "bound:name", example = "opus")]
    pub model_id: Option<String>,
    /// The id of the message to be made.
    #[serde(rename = "messageID")]
    pub message_id: Option<MessageId>,
}

/// Initialize a session
///
/// Selects the model, as a PATCH would, and asks it to write an AGENTS.md for the project. It is
/// answered when the model is done.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/init",
    operation_id = "session.init",
    tag = "session",
    params(SessionPath, Client),
    request_body(content = SessionInitInput, description = "Who is to write it."),
    responses(
        (status = 200, description = "`true`: the model has answered.", body = bool),
        Unselectable, Spent, NotThere, MessageExists, QueueFull, Full,
    )
)]
pub async fn init(
    State(state): State<Shared>,
    path: SessionPath,
    client: Client,
    ahead: EventsAhead,
    Body(input): Body<SessionInitInput>,
) -> Result<Response, Problem> {
    let halves = (input.provider_id, input.model_id);
    let prompt = Prompt {
        message_id: input.message_id,
        wish: selection::of_message(halves, None, VariantWish::Keep, None)?,
        parts: vec![PartInput::text(builtin::INIT)],
        ..Prompt::default()
    };
    let admitted = state
        .sessions
        .prompt(&path.session, prompt, client.by(Source::Init))
        .await?;
    match admitted.answer {
        Some(answer) => when_answered(&state, &path.session, ahead, answer, |_| true).await,
        None => Ok(Json(true).into_response()),
    }
}
