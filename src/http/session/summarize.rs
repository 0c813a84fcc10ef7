//! `POST /session/{sessionID}/summarize`.

use axum::response::{IntoResponse, Response};

use crate::http::handler::*;
use crate::http::message::{EventsAhead, when_answered};
use crate::registry::ModelWish;

/// Who is to write the summary.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SummarizeInput {
    /// The backend's id.
    #[serde(rename = "providerID")]
    #[schema(format = "bound:name", example = "claude")]
    pub provider_id: String,
    /// The model's id. It writes the summary; the session's own model stays selected.
    #[serde(rename = "modelID")]
    #[schema(format = "bound:name", example = "opus")]
    pub model_id: String,
    /// Then ask the session's model to continue the work.
    pub auto: Option<bool>,
}

/// Summarize a session
///
/// Has a model write a summary of the conversation, and answers when it is there. From then on agents are
/// given the summary and what came after it, in a new native session whose context is small again; the
/// messages stay readable. The session's own model stays selected. A busy session is summarized after what
/// waits already. When the model fails, the conversation is as it was before, and the message of the summary
/// and a `session.error` say why.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/summarize",
    operation_id = "session.summarize",
    tag = "session",
    params(SessionPath),
    request_body(content = SummarizeInput, description = "Who is to write it."),
    responses(
        (status = 200, description = "`true`: the conversation goes on from its summary. `false`: the model has failed.", body = bool),
        Unselectable, Spent, NotThere, QueueFull, Full,
    )
)]
pub async fn summarize(
    State(state): State<Shared>,
    path: SessionPath,
    ahead: EventsAhead,
    Body(input): Body<SummarizeInput>,
) -> Result<Response, Problem> {
    let model = ModelWish {
        provider_id: input.provider_id,
        model_id: input.model_id,
    };
    let auto = input.auto.unwrap_or(false);
    let answer = state.sessions.summarize(&path.session, model, auto).await?;
    match answer {
        Some(answer) => {
            let done = |answer: crate::session::Answer| answer.message.error.is_none();
            when_answered(&state, &path.session, ahead, answer, done).await
        }
        None => Ok(Json(true).into_response()),
    }
}
