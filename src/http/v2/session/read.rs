//! What is read of sessions.

use crate::http::error::tagged::{Fields, Tag};
use crate::http::handler::*;
use crate::http::v2::cursor::{self, Order, PAGE_MAX, Page};
use crate::opencode::SessionId;
use crate::opencode::v2::answer::{
    ActiveType, V2Active, V2ActiveSessions, V2Context, V2History, V2MessageAnswer, V2Messages,
    V2SessionAnswer, V2Sessions,
};
use crate::opencode::v2::event::V2Event;
use crate::opencode::v2::info::V2Session;
use crate::opencode::v2::log;
use crate::opencode::v2::message::SessionMessage;
use crate::opencode::v2::project::conversation;
use crate::session::{self, ListFilter};

/// List sessions
///
/// The sessions of all directories, most recently created first, in pages.
#[utoipa::path(
    get,
    path = "/api/session",
    operation_id = "api.session.list",
    tag = "session",
    params(
        ("directory" = Option<String>, Query, description = "Only sessions of this directory."),
        ("project" = Option<String>, Query, description = "Only sessions of this project."),
        ("search" = Option<String>, Query, description = "Only sessions with this text in their title, whatever its case."),
        ("limit" = Option<u64>, Query, format = "range:page", description = "At most this many sessions, up to 10,000; 50 when it is left out."),
        ("order" = Option<Order>, Query, description = "`desc`, the newest first, when it is left out."),
        ("cursor" = Option<String>, Query, description = "A cursor of the answer before."),
    ),
    responses(
        (status = 200, description = "A page of sessions.", body = V2Sessions),
        TaggedInvalid,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    params: Params,
) -> Result<Json<V2Sessions>, Problem> {
    let page = Page::of(&params)?;
    let filter = ListFilter {
        project_id: params.text("project").map(str::to_owned),
        directory: params.text("directory").map(str::to_owned),
        search: params.text("search").map(str::to_owned),
        limit: Some(page.limit()),
        ..ListFilter::default()
    };
    let (after, backwards) = page.starts_behind(SessionId::parse)?;
    let order = session::Page {
        oldest_first: page.is_oldest_first() != backwards,
        after,
    };
    let found = state.sessions.page(filter, order).await?;
    let (mut sessions, more) = found.ok_or_else(cursor::gone)?;
    if backwards {
        sessions.reverse();
    }
    let cursor = page.cursors(&sessions, more, |session| session.id.to_string());
    let data = sessions.into_iter().map(V2Session::from).collect();
    Ok(Json(V2Sessions { data, cursor }))
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

/// Get a session
///
/// The same session as `session.get` shows.
#[utoipa::path(
    get,
    path = "/api/session/{sessionID}",
    operation_id = "api.session.get",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "The session.", body = V2SessionAnswer),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn get(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<V2SessionAnswer>, Problem> {
    let data = state.sessions.info(&path.session).await?.into();
    Ok(Json(V2SessionAnswer { data }))
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
        ("limit" = Option<u64>, Query, format = "range:page", description = "At most this many messages, up to 10,000; 50 when it is left out."),
        ("order" = Option<Order>, Query, description = "`desc`, the newest first, when it is left out."),
        ("cursor" = Option<String>, Query, description = "A cursor of the answer before; it brings its order along."),
    ),
    responses(
        (status = 200, description = "A page of messages.", body = V2Messages),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn messages(
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

/// Get a message
///
/// One message of `api.session.messages`.
#[utoipa::path(
    get,
    path = "/api/session/{sessionID}/message/{messageID}",
    operation_id = "api.session.message",
    tag = "message",
    params(MessagePath),
    responses(
        (status = 200, description = "The message.", body = V2MessageAnswer),
        TaggedInvalid, TaggedMissing,
    )
)]
pub async fn message(
    State(state): State<Shared>,
    path: MessagePath,
) -> Result<Json<V2MessageAnswer>, Problem> {
    let mut messages = all(&state, &path.session).await?.into_iter();
    let found = messages.find(|message| *message.id() == path.message);
    let missing = || {
        let fields = Fields {
            session_id: Some(path.session.clone()),
            message_id: Some(path.message.clone()),
            ..Fields::default()
        };
        let message = format!("Message not found: {}", path.message);
        Problem::missing(message, Tag::MessageNotFoundError, fields)
    };
    let data = found.ok_or_else(missing)?;
    Ok(Json(V2MessageAnswer { data }))
}

/// Get the context
///
/// The messages that the model goes on from, oldest first: the conversation, or what came since its last summary,
/// with that summary.
#[utoipa::path(
    get,
    path = "/api/session/{sessionID}/context",
    operation_id = "api.session.context",
    tag = "message",
    params(SessionPath),
    responses(
        (status = 200, description = "The messages.", body = V2Context),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn context(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<V2Context>, Problem> {
    let mut data = all(&state, &path.session).await?;
    let summary = data
        .iter()
        .rposition(|m| matches!(m, SessionMessage::Compaction(_)));
    data.drain(..summary.unwrap_or(0));
    Ok(Json(V2Context { data }))
}

/// Events of a page when the request does not say.
pub const PAGE: usize = 100;

/// Get a session's log
///
/// The events of the session that last, from its beginning or after a number. They are made from the stored
/// conversation: complete, with the same numbers at any time, also after a restart. What was deleted from the
/// conversation is not in them, and a prompt that came during another one's answer comes after that answer.
#[utoipa::path(
    get,
    path = "/api/session/{sessionID}/history",
    operation_id = "api.session.history",
    tag = "event",
    params(
        SessionPath,
        ("after" = Option<u64>, Query, description = "Only events with a higher number."),
        ("limit" = Option<u64>, Query, format = "range:page", description = "At most this many events, up to 10,000; 100 when it is left out."),
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

/// The events of a session's log after a number.
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
