//! `GET /api/session/active`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::state::Shared;

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActiveType {
    /// A prompt is being answered or waits.
    Running,
}

/// A session that is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2Active {
    /// What it does.
    pub r#type: ActiveType,
}

/// The sessions that are at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2ActiveSessions {
    /// By their ids.
    pub data: BTreeMap<String, V2Active>,
}

/// List the sessions that are at work
///
/// Those that answer a prompt, or have one waiting.
#[utoipa::path(
    get,
    path = "/api/session/active",
    operation_id = "api.session.active",
    tag = "session",
    responses((status = 200, description = "The sessions.", body = V2ActiveSessions))
)]
pub async fn active(State(state): State<Shared>) -> Json<V2ActiveSessions> {
    let r#type = ActiveType::Running;
    let busy = state.sessions.statuses(None).into_keys();
    Json(V2ActiveSessions {
        data: busy.map(|id| (id, V2Active { r#type })).collect(),
    })
}
