//! `POST /question/{requestID}/reject`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::QuestionPath;
use crate::http::responses::{Invalid, NotThere};
use crate::http::state::Shared;

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
