//! `GET /api/session/{sessionID}/message`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::{Params, SessionPath};
use crate::http::responses::{TaggedInvalid, TaggedNotThere};
use crate::http::state::Shared;
use crate::http::v2::cursor::{Cursors, Order, Page};
use crate::opencode::SessionId;
use crate::opencode::v2::message::SessionMessage;
use crate::opencode::v2::project::conversation;

/// A page of messages.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Messages {
    /// The messages.
    pub data: Vec<SessionMessage>,
    /// Where other pages are.
    pub cursor: Cursors,
}

/// List a session's messages
///
/// The conversation in OpenCode 2's shape, in pages: prompts, answers, and the changes of model and agent between them.
#[utoipa::path(
    get,
    path = "/api/session/{sessionID}/message",
    operation_id = "api.session.messages",
    tag = "message",
    params(
        SessionPath,
        ("limit" = Option<u64>, Query, format = "range:page", description = "At most so many messages, up to 10,000; 50 when it is left out."),
        ("order" = Option<Order>, Query, description = "`desc`, the newest first, when it is left out."),
        ("cursor" = Option<String>, Query, description = "A cursor of the answer before; it brings its order along."),
    ),
    responses(
        (status = 200, description = "A page of messages.", body = V2Messages),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    path: SessionPath,
    params: Params,
) -> Result<Json<V2Messages>, Problem> {
    let page = Page::of(&params)?;
    let all = all(&state, &path.session).await?;
    let (data, cursor) = page.cut(all, |message| message.id().to_string())?;
    Ok(Json(V2Messages { data, cursor }))
}

/// The whole conversation, oldest first.
pub(super) async fn all(
    state: &Shared,
    session: &SessionId,
) -> Result<Vec<SessionMessage>, Problem> {
    let recorded = state.sessions.recorded(session, None).await?;
    let messages: Vec<_> = recorded.messages.into_iter().map(|(_, m)| m).collect();
    Ok(conversation(session, &messages, &recorded.switches))
}
