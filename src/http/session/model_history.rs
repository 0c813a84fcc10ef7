//! `GET /session/{sessionID}/model`: Baton's own route.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::SessionPath;
use crate::http::responses::{Invalid, NotThere};
use crate::http::state::Shared;
use crate::opencode::history::ModelHistory;

/// Get a session's models
///
/// What is selected and applied now, the tokens and cost of each model so far, and the audit trail of
/// every change: when, from what, to what, by whom, how the conversation was handed over, how long that
/// took, and why it failed.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/model",
    operation_id = "session.modelHistory",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "The models of the session.", body = ModelHistory),
        Invalid, NotThere,
    )
)]
pub async fn model_history(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<ModelHistory>, Problem> {
    Ok(Json(state.sessions.model_history(&path.session).await?))
}
