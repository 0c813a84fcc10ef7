//! `POST /question/{requestID}/reply`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::{Body, QuestionPath};
use crate::http::responses::{Invalid, NotJson, NotThere, TooLarge};
use crate::http::state::Shared;
use crate::opencode::bounded;

/// The answers to a question request.
#[derive(Debug, Deserialize, ToSchema)]
pub struct QuestionReplyInput {
    /// One list per question, in their order: the labels of the chosen options, or free text.
    #[serde(deserialize_with = "bounded::answers")]
    pub answers: Vec<Vec<String>>,
}

/// Reply to a question
///
/// Gives the answers to the agent.
#[utoipa::path(
    post,
    path = "/question/{requestID}/reply",
    operation_id = "question.reply",
    tag = "question",
    params(QuestionPath),
    request_body(content = QuestionReplyInput, description = "The answers."),
    responses(
        (status = 200, description = "`true`: the agent has the answers.", body = bool),
        Invalid, NotThere, TooLarge, NotJson,
    )
)]
pub async fn reply(
    State(state): State<Shared>,
    path: QuestionPath,
    Body(input): Body<QuestionReplyInput>,
) -> Result<Json<bool>, Problem> {
    state
        .sessions
        .reply_question(&path.request, input.answers)
        .await?;
    Ok(Json(true))
}
