//! `GET /question`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::request::QuestionRequest;

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
