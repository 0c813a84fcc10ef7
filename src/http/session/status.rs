//! `GET /session/status`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::event::SessionStatus;

/// The sessions that are busy, by id.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionStatuses(BTreeMap<String, SessionStatus>);

/// Get the status of a directory's sessions
///
/// Those that are busy, by id. A session that is not in it is idle.
#[utoipa::path(
    get,
    path = "/session/status",
    operation_id = "session.status",
    tag = "session",
    params(Directory),
    responses(
        (status = 200, description = "Busy sessions by id.", body = SessionStatuses),
        Invalid,
    )
)]
pub async fn status(
    State(state): State<Shared>,
    Directory(directory): Directory,
) -> Result<Json<SessionStatuses>, Problem> {
    let busy = state.sessions.statuses(Some(&directory));
    Ok(Json(SessionStatuses(busy)))
}
