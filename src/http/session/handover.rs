//! `GET /session/{sessionID}/model/{revision}`: Baton's own route.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::RevisionPath;
use crate::http::responses::{Invalid, NotThere};
use crate::http::state::Shared;
use crate::opencode::history::ModelHandover;

/// Get the text of a handover
///
/// What the agent was given of the conversation after one change of the session's selection: the very text, with what was
/// left out of it. Nothing where the agent had the conversation itself, before the first prompt after the change, once
/// messages that it may quote were edited or deleted, and for all but the newest 32 of a session.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/model/{revision}",
    operation_id = "session.modelHandover",
    tag = "session",
    params(RevisionPath),
    responses(
        (status = 200, description = "What was given.", body = ModelHandover),
        Invalid, NotThere,
    )
)]
pub async fn handover(
    State(state): State<Shared>,
    path: RevisionPath,
) -> Result<Json<ModelHandover>, Problem> {
    let handover = state
        .sessions
        .handover(&path.session, path.revision)
        .await?;
    Ok(Json(handover))
}
