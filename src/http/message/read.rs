//! `GET /session/{sessionID}/message`, and one of them.

use axum::extract::OriginalUri;
use axum::http::header::{CONTENT_TYPE, LINK};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use serde_json::{Value, json};

use crate::http::handler::*;
use crate::http::opaque;
use crate::opencode::id::InvalidId;
use crate::opencode::message::Message;
use crate::opencode::{MessageId, MessageWithParts};
use crate::session::StoredMessage;

/// Where an answer says how to get older messages.
pub const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// List a session's messages
///
/// Prompts and answers with their parts, oldest first. With a `limit` only the newest; if there are older
/// ones, the header `X-Next-Cursor` has the value of `before` that continues with them.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/message",
    operation_id = "session.messages",
    tag = "message",
    params(
        SessionPath,
        ("limit" = Option<u64>, Query, description = "Only this many messages, the newest; 0 for all."),
        ("before" = Option<String>, Query, description = "Only messages before this one: a cursor, or a message's id."),
    ),
    responses(
        (status = 200, description = "The messages.", body = Vec<MessageWithParts>,
            headers(
                ("X-Next-Cursor" = String, description = "The cursor for older messages; absent when there are none."),
                ("Link" = String, description = "The address of older messages, with `rel=\"next\"`; absent when there are none."),
            )),
        Invalid, NotThere,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    path: SessionPath,
    params: Params,
    OriginalUri(uri): OriginalUri,
) -> Result<(HeaderMap, String), Problem> {
    let limit = params.unsigned("limit")?.filter(|limit| *limit > 0);
    let before = params.id("before", read_cursor)?;
    // One more, to see whether there are older ones.
    let asked = limit.map(|limit| limit.saturating_add(1));
    let messages = state
        .sessions
        .messages(&path.session, asked, before.as_ref());
    let mut messages = messages.await?;
    let mut headers = HeaderMap::new();
    if let Some(limit) = limit
        && messages.len() as u64 > limit
    {
        messages.remove(0);
        if let Some(oldest) = messages.first() {
            headers = next(&oldest.read()?.info, limit, &uri);
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok((headers, list_of(&messages)))
}

fn list_of(messages: &[StoredMessage]) -> String {
    let mut json = String::from("[");
    for (at, message) in messages.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        message.write_to(&mut json);
    }
    json.push(']');
    json
}

/// The headers that lead on to what is older than a message.
fn next(oldest: &Message, limit: u64, uri: &Uri) -> HeaderMap {
    let cursor = cursor_of(oldest);
    let query = format!("limit={limit}&before={cursor}");
    leading_on(cursor, &query, uri)
}

/// The headers with a cursor, and with the address that it leads to.
pub fn leading_on(cursor: String, query: &str, uri: &Uri) -> HeaderMap {
    let link = format!("<{}?{query}>; rel=\"next\"", uri.path());
    let values = [(NEXT_CURSOR, cursor), (LINK, link)];
    values
        .into_iter()
        .filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?)))
        .collect()
}

/// A message's place as OpenCode writes it.
fn cursor_of(message: &Message) -> String {
    let time = match message {
        Message::User(m) => m.time.created,
        Message::Assistant(m) => m.time.created,
    };
    let place = json!({ "id": message.id(), "time": time });
    opaque::write(&place)
}

fn read_cursor(text: &str) -> Result<MessageId, InvalidId> {
    let place: Option<Value> = opaque::read(text);
    let id = place.as_ref().and_then(|place| place.get("id")?.as_str());
    MessageId::parse(id.unwrap_or(text))
}

/// Get a message
///
/// A prompt or an answer with its parts.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/message/{messageID}",
    operation_id = "session.message",
    tag = "message",
    params(MessagePath),
    responses(
        (status = 200, description = "The message.", body = MessageWithParts),
        Invalid, NotThere,
    )
)]
pub async fn get(
    State(state): State<Shared>,
    path: MessagePath,
) -> Result<Json<MessageWithParts>, Problem> {
    let message = state.sessions.message(&path.session, &path.message).await?;
    Ok(Json(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_opencodes_or_a_messages_id() {
        let opencodes =
            "eyJpZCI6Im1zZ18yMDMzMmFkMTUwMDFvaWhhcnBZMTY3ZXJnViIsInRpbWUiOjE3OTUzNDk5ODI0ODV9";
        let id = "msg_20332ad15001oiharpY167ergV";
        for text in [opencodes, id] {
            assert_eq!(read_cursor(text).expect("valid").as_str(), id);
        }
        for wrong in ["xx", "ses_1", "e30", "eyJpZCI6MX0"] {
            assert!(read_cursor(wrong).is_err(), "{wrong}");
        }
    }
}
