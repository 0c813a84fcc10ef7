//! Changing what was said: parts that are written or deleted, and messages that are deleted.

use serde_json::{Map, Value};

use crate::http::bounds::{Bound, data_exceeded};
use crate::http::error::BadKind;
use crate::http::handler::*;
use crate::opencode::Part;
use crate::session::{Sizes, fits};

/// Delete a message
///
/// Deletes a message with its parts from an idle session. Files that it has changed stay as they are.
#[utoipa::path(
    delete,
    path = "/session/{sessionID}/message/{messageID}",
    operation_id = "session.deleteMessage",
    tag = "message",
    params(MessagePath),
    responses(
        (status = 200, description = "`true`: it is gone.", body = bool),
        Invalid, NotThere, Busy,
    )
)]
pub async fn delete(State(state): State<Shared>, path: MessagePath) -> Result<Json<bool>, Problem> {
    let deleted = state.sessions.delete_message(&path.session, &path.message);
    deleted.await?;
    Ok(Json(true))
}

/// Update a part of a message
///
/// Writes the whole part in place of the one with its id, or behind all others. Agents that have seen it are
/// given the conversation anew, as it is then. The message that is being written cannot be changed.
#[utoipa::path(
    patch,
    path = "/session/{sessionID}/message/{messageID}/part/{partID}",
    operation_id = "part.update",
    tag = "message",
    params(PartPath),
    request_body(content = Part, description = "The whole part, with the ids of the path."),
    responses(
        (status = 200, description = "The part.", body = Part),
        Invalid, NotThere, Busy,
    )
)]
pub async fn update(
    State(state): State<Shared>,
    path: PartPath,
    Body(body): Body<Value>,
) -> Result<Json<Part>, Problem> {
    let part = parse(&body, &path)?;
    check(&part, &state.settings.sizes)?;
    drop(body);
    Ok(Json(state.sessions.save_part(&path.session, part).await?))
}

fn parse(body: &Value, path: &PartPath) -> Result<Part, Problem> {
    for (field, expected) in [
        ("id", path.part.as_str()),
        ("sessionID", path.session.as_str()),
        ("messageID", path.message.as_str()),
    ] {
        match body.get(field).map(Value::as_str) {
            None => return Err(Problem::bad_at(BadKind::Payload, field, "Missing key")),
            Some(given) if given == Some(expected) => {}
            Some(_) => {
                let message = format!("Expected {expected:?}, as in the path");
                return Err(Problem::bad_at(BadKind::Payload, field, message));
            }
        }
    }
    Part::deserialize(body)
        .map_err(|error| Problem::bad(BadKind::Payload, format!("Expected a whole part: {error}")))
}

/// Refuses what is too large, as in a prompt.
fn check(part: &Part, sizes: &Sizes) -> Result<(), Problem> {
    let data = |data: &Option<Map<String, Value>>| {
        let data = data.clone().map(Value::Object);
        data.and_then(|data| data_exceeded(sizes, &data))
    };
    let long = |bound: Bound, text: &str| bound.exceeded(sizes, text);
    let exceeded = match part {
        Part::Text(p) => [
            ("text", long(Bound::Text, &p.text)),
            ("metadata", data(&p.metadata)),
        ],
        Part::File(p) => [
            ("url", long(Bound::Attachment, &p.url)),
            ("source", data(&p.source)),
        ],
        Part::Agent(p) => [
            ("name", long(Bound::Name, &p.name)),
            ("source", data(&p.source)),
        ],
        Part::Subtask(p) => [
            ("prompt", long(Bound::Text, &p.prompt)),
            ("description", long(Bound::Title, &p.description)),
        ],
        other => [("type", whole_exceeded(other, sizes)), ("", None)],
    };
    let found = exceeded
        .into_iter()
        .find_map(|(field, message)| Some((field, message?)));
    match found {
        Some((field, message)) => Err(Problem::bad_at(BadKind::Payload, field, message)),
        None => Ok(()),
    }
}

/// A part of an answer shows a call's output and changes up to four times.
fn whole_exceeded(part: &Part, sizes: &Sizes) -> Option<String> {
    let most = sizes.tool_call_bytes.saturating_mul(4);
    (!fits(part, most)).then(|| {
        format!(
            "Expected at most {most} bytes in all, got more (four times limits.tool_call_bytes)"
        )
    })
}

/// Delete a part of a message
///
/// Agents that have seen it are given the conversation anew, without it. The message that is being written
/// cannot be changed.
#[utoipa::path(
    delete,
    path = "/session/{sessionID}/message/{messageID}/part/{partID}",
    operation_id = "part.delete",
    tag = "message",
    params(PartPath),
    responses(
        (status = 200, description = "`true`: it is gone.", body = bool),
        Invalid, NotThere, Busy,
    )
)]
pub async fn delete_part(
    State(state): State<Shared>,
    path: PartPath,
) -> Result<Json<bool>, Problem> {
    let deleted = state
        .sessions
        .delete_part(&path.session, &path.message, &path.part);
    deleted.await?;
    Ok(Json(true))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::http::read::any_json;
    use crate::opencode::{MessageId, PartId, SessionId};

    fn path() -> PartPath {
        PartPath {
            session: SessionId::new(),
            message: MessageId::new(),
            part: PartId::new(),
        }
    }

    #[test]
    fn the_ids_are_those_of_the_path_and_the_part_is_whole() {
        let path = path();
        let good = json!({
            "id": path.part, "sessionID": path.session, "messageID": path.message,
            "type": "text", "text": "hello", "unknown": 1,
        });
        assert!(matches!(parse(&good, &path), Ok(Part::Text(part)) if part.text == "hello"));
        for (field, value, said) in [
            ("id", json!("prt_other"), "at [\"id\"]"),
            ("id", json!(5), "at [\"id\"]"),
            ("sessionID", Value::Null, "at [\"sessionID\"]"),
            ("messageID", json!("msg_other"), "at [\"messageID\"]"),
            ("type", json!("nonsense"), "nonsense"),
            ("text", json!(5), "whole part"),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            let refused = parse(&bad, &path).expect_err(field).message();
            assert!(refused.contains(said), "{field}: {refused}");
        }
        assert!(parse(&Value::Null, &path).is_err());
    }

    proptest! {
        #[test]
        fn no_body_is_too_odd(mut body in any_json()) {
            let path = path();
            if let Some(body) = body.as_object_mut() {
                for (field, id) in [("id", path.part.as_str()), ("sessionID", path.session.as_str()), ("messageID", path.message.as_str())] {
                    body.insert(field.to_owned(), id.into());
                }
            }
            let _refused_or_not = parse(&body, &path);
        }
    }
}
