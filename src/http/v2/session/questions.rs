//! `/api/session/{sessionID}/question`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::{Body, SessionPath, V2QuestionPath};
use crate::http::question::reply::QuestionReplyInput;
use crate::http::responses::{
    TaggedInvalid, TaggedMissing, TaggedNotJson, TaggedNotThere, TaggedTooLarge,
};
use crate::http::state::Shared;
use crate::opencode::request::QuestionRequest;
use crate::opencode::{QuestionId, SessionId};
use crate::session::Error;

/// The questions of a session.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2SessionQuestions {
    /// The questions.
    pub data: Vec<QuestionRequest>,
}

/// List a session's questions
///
/// What its agent asks.
#[utoipa::path(
    get,
    path = "/api/session/{sessionID}/question",
    operation_id = "api.session.question.list",
    tag = "question",
    params(SessionPath),
    responses(
        (status = 200, description = "The questions.", body = V2SessionQuestions),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<V2SessionQuestions>, Problem> {
    let data = of(&state, &path.session).await?;
    Ok(Json(V2SessionQuestions { data }))
}

/// Answer a question
///
/// The same as `question.reply`.
#[utoipa::path(
    post,
    path = "/api/session/{sessionID}/question/{requestID}/reply",
    operation_id = "api.session.question.reply",
    tag = "question",
    params(V2QuestionPath),
    request_body(content = QuestionReplyInput, description = "The answers."),
    responses(
        (status = 204, description = "They were passed on."),
        TaggedInvalid, TaggedMissing, TaggedTooLarge, TaggedNotJson,
    )
)]
pub async fn reply(
    State(state): State<Shared>,
    path: V2QuestionPath,
    Body(input): Body<QuestionReplyInput>,
) -> Result<StatusCode, Problem> {
    check(&state, &path.session, &path.request).await?;
    state
        .sessions
        .reply_question(&path.request, input.answers)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Dismiss a question
///
/// The same as `question.reject`.
#[utoipa::path(
    post,
    path = "/api/session/{sessionID}/question/{requestID}/reject",
    operation_id = "api.session.question.reject",
    tag = "question",
    params(V2QuestionPath),
    responses(
        (status = 204, description = "The agent was told so."),
        TaggedInvalid, TaggedMissing,
    )
)]
pub async fn reject(
    State(state): State<Shared>,
    path: V2QuestionPath,
) -> Result<StatusCode, Problem> {
    check(&state, &path.session, &path.request).await?;
    state.sessions.reject_question(&path.request).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn of(state: &Shared, session: &SessionId) -> Result<Vec<QuestionRequest>, Problem> {
    state.sessions.info(session).await?;
    let all = state.sessions.questions(None).into_iter();
    Ok(all
        .filter(|request| request.session_id == *session)
        .collect())
}

async fn check(state: &Shared, session: &SessionId, id: &QuestionId) -> Result<(), Problem> {
    let known = of(state, session)
        .await?
        .iter()
        .any(|request| request.id == *id);
    if known {
        return Ok(());
    }
    Err(Error::QuestionNotFound(id.clone()).into())
}
