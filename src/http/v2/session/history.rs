//! `GET /api/session/{sessionID}/history`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::{Params, SessionPath};
use crate::http::responses::{TaggedInvalid, TaggedNotThere};
use crate::http::state::Shared;
use crate::http::v2::cursor::PAGE_MAX;
use crate::opencode::SessionId;
use crate::opencode::v2::event::V2Event;
use crate::opencode::v2::log;

/// Events of a page when the request does not say.
pub const PAGE: usize = 100;

/// A page of a session's log.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2History {
    /// The events, oldest first.
    pub data: Vec<V2Event>,
    /// There are more behind them.
    #[serde(rename = "hasMore")]
    pub has_more: bool,
}

/// Get a session's log
///
/// The events of the session that last, from its beginning or after a number. They are made from the stored
/// conversation: complete, with the same numbers at any time, also after a restart. What was deleted from the
/// conversation is not in them, and a prompt that came during another one's answer stands behind it.
#[utoipa::path(
    get,
    path = "/api/session/{sessionID}/history",
    operation_id = "api.session.history",
    tag = "event",
    params(
        SessionPath,
        ("after" = Option<u64>, Query, description = "Only events with a higher number."),
        ("limit" = Option<u64>, Query, format = "range:page", description = "At most so many events, up to 10,000; 100 when it is left out."),
    ),
    responses(
        (status = 200, description = "The events.", body = V2History),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn history(
    State(state): State<Shared>,
    path: SessionPath,
    params: Params,
) -> Result<Json<V2History>, Problem> {
    let limit = params.between("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE);
    let mut data = after(&state, &path.session, params.unsigned("after")?).await?;
    let has_more = data.len() > limit;
    data.truncate(limit);
    Ok(Json(V2History { data, has_more }))
}

/// The events of a session's log behind a number.
pub(super) async fn after(
    state: &Shared,
    session: &SessionId,
    after: Option<u64>,
) -> Result<Vec<V2Event>, Problem> {
    let from_turn = after.map(log::turn_of);
    let recorded = state.sessions.recorded(session, from_turn).await?;
    let is_later = |event: &V2Event| {
        after.is_none_or(|after| event.durable.as_ref().is_some_and(|d| d.seq > after))
    };
    Ok(log::events(session, &recorded)
        .into_iter()
        .filter(is_later)
        .collect())
}
