//! `GET /question`.

use axum::Json;
use axum::extract::State;

use crate::http::state::Shared;
use crate::opencode::request::QuestionRequest;

/// List questions
///
/// Those of all sessions that wait for an answer.
#[utoipa::path(
    get,
    path = "/question",
    operation_id = "question.list",
    tag = "question",
    responses((status = 200, description = "The questions.", body = Vec<QuestionRequest>))
)]
pub async fn list(State(state): State<Shared>) -> Json<Vec<QuestionRequest>> {
    Json(state.sessions.questions().await)
}
