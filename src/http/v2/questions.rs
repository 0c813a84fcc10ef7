//! `GET /api/question/request`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::location::Location;
use crate::http::responses::TaggedInvalid;
use crate::http::state::Shared;
use crate::opencode::project::LocationInfo;
use crate::opencode::request::QuestionRequest;

/// The questions at a location.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Questions {
    /// The location.
    pub location: LocationInfo,
    /// The questions.
    pub data: Vec<QuestionRequest>,
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
pub async fn list(State(state): State<Shared>, Location(location): Location) -> Json<V2Questions> {
    let data = state.sessions.questions(Some(&location.directory));
    Json(V2Questions { location, data })
}
