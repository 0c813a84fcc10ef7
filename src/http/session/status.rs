//! `GET /session/status`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::state::Shared;
use crate::opencode::event::SessionStatus;

/// The sessions that are busy, by id.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionStatuses(BTreeMap<String, SessionStatus>);

/// Get the status of all sessions
///
/// The sessions that are busy, by id. A session that is not in it is idle.
#[utoipa::path(
    get,
    path = "/session/status",
    operation_id = "session.status",
    tag = "session",
    responses((status = 200, description = "Busy sessions by id.", body = SessionStatuses))
)]
pub async fn status(State(state): State<Shared>) -> Json<SessionStatuses> {
    Json(SessionStatuses(state.sessions.statuses().await))
}
