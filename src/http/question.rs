//! `/question` and its twins below `/api`: what agents ask.

use axum::http::StatusCode;

use crate::http::handler::*;
use crate::http::v2::location::Location;
use crate::opencode::request::QuestionRequest;
use crate::opencode::v2::answer::{V2Questions, V2SessionQuestions};
use crate::opencode::{QuestionId, SessionId, bounded};
use crate::session::Error;

/// List questions
///
/// Those of the directory's sessions that wait for an answer.
#[utoipa::path(
    get,
    path = "/question",
    operation_id = "question.list",
    tag = "question",
    params(Directory),
    responses(
        (status = 200, description = "The questions.", body = Vec<QuestionRequest>),
        Invalid,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    Directory(directory): Directory,
) -> Result<Json<Vec<QuestionRequest>>, Problem> {
    Ok(Json(state.sessions.questions(Some(&directory))))
}

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
        Invalid, NotThere,
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

/// Dismiss a question
///
/// Tells the agent that the user does not answer.
#[utoipa::path(
    post,
    path = "/question/{requestID}/reject",
    operation_id = "question.reject",
    tag = "question",
    params(QuestionPath),
    responses(
        (status = 200, description = "`true`: the agent knows.", body = bool),
        Invalid, NotThere,
    )
)]
pub async fn reject(
    State(state): State<Shared>,
    path: QuestionPath,
) -> Result<Json<bool>, Problem> {
    state.sessions.reject_question(&path.request).await?;
    Ok(Json(true))
}

/// List questions
///
/// What the agents of the sessions in a directory ask.
#[utoipa::path(
    get,
    path = "/api/question/request",
    operation_id = "api.question.request.list",
    tag = "question",
    params(Location),
    responses(
        (status = 200, description = "The questions.", body = V2Questions),
        TaggedInvalid,
    )
)]
pub async fn list_at(
    State(state): State<Shared>,
    Location(location): Location,
) -> Json<V2Questions> {
    let data = state.sessions.questions(Some(&location.directory));
    Json(V2Questions { location, data })
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
pub async fn list_of_session(
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
        TaggedInvalid, TaggedMissing,
    )
)]
pub async fn reply_of_session(
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
pub async fn reject_of_session(
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
