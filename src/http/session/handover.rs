//! `GET /session/{sessionID}/model/{revision}`: Baton's own route.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::http::extract::path_id;
use crate::http::handler::*;
use crate::http::read::INTEGER_MAX;
use crate::opencode::SessionId;
use crate::opencode::history::ModelHandover;

/// A change of a session's selection in the path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct RevisionPath {
    /// The session's id.
    #[param(rename = "sessionID")]
    pub session: SessionId,
    /// The revision that the change has made.
    pub revision: u64,
}

impl FromRequestParts<Shared> for RevisionPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let session = path_id(parts, state, "sessionID", SessionId::parse).await?;
        let number = |text: &str| {
            let number = text.parse().ok().filter(|number| *number <= INTEGER_MAX);
            number.ok_or("Expected a revision, a whole number from 0 on")
        };
        let revision = path_id(parts, state, "revision", number).await?;
        Ok(Self { session, revision })
    }
}

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
