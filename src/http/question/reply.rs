//! `POST /question/{requestID}/reply`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::{Body, QuestionPath};
use crate::http::responses::{Invalid, NotJson, NotThere, TooLarge};
use crate::http::state::Shared;

/// Questions of one request, and what is chosen in one.
pub const ANSWERS_MAX: usize = 100;

/// The answers to a question request.
#[derive(Debug, Deserialize, ToSchema)]
pub struct QuestionReplyInput {
    /// One list per question, in their order: the labels of the chosen options, or free text.
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
    body: Body,
) -> Result<Json<bool>, Problem> {
    let answers = answers(&body)?;
    state
        .sessions
        .reply_question(&path.request, answers)
        .await?;
    Ok(Json(true))
}

/// Reads the answers.
pub(in crate::http) fn answers(body: &Body) -> Result<Vec<Vec<String>>, Problem> {
    let fields = body.fields(&["answers"])?;
    let answers = fields
        .list("answers", ANSWERS_MAX)?
        .ok_or_else(|| fields.missing("answers"))?;
    answers
        .into_iter()
        .map(|answer| answer.strings(ANSWERS_MAX))
        .collect()
}
