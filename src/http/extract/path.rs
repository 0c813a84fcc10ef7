//! Ids in the path.

use std::fmt::Display;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use utoipa::IntoParams;

use crate::http::error::{BadKind, Problem};
use crate::http::state::Shared;
use crate::opencode::{MessageId, PartId, PermissionId, QuestionId, SessionId};

/// An id in the path.
///
/// # Errors
/// When it is not such an id.
pub(in crate::http) async fn path_id<T, E: Display>(
    parts: &mut Parts,
    state: &Shared,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Problem> {
    let refuse = |message: String| Problem::bad_at(BadKind::Params, name, message);
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| refuse("Expected UTF-8".to_owned()))?;
    let text = params.iter().find(|(key, _)| *key == name);
    let (_, text) = text.ok_or_else(|| refuse("Missing key".to_owned()))?;
    parse(text).map_err(|error| refuse(error.to_string()))
}

/// The name in the path of an operation that has one there, whatever it is.
#[derive(Debug)]
pub struct PathName(pub String);

impl FromRequestParts<Shared> for PathName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let refuse = |message| Problem::bad_at(BadKind::Params, "path", message);
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| refuse("Expected UTF-8".to_owned()))?;
        let name = params.iter().next().map(|(_, name)| Self(name.to_owned()));
        name.ok_or_else(|| refuse("Missing key".to_owned()))
    }
}

macro_rules! path_ids {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $id:ident = $wire:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, IntoParams)]
        #[into_params(parameter_in = Path)]
        pub struct $name {
            $($(#[$field_doc])* #[param(rename = $wire)] pub $field: $id,)+
        }

        impl FromRequestParts<Shared> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
                Ok(Self { $($field: path_id(parts, state, $wire, $id::parse).await?,)+ })
            }
        }
    )+};
}

path_ids! {
    /// A session in the path.
    SessionPath {
        /// The session's id.
        session: SessionId = "sessionID",
    }

    /// A message in the path.
    MessagePath {
        /// The session's id.
        session: SessionId = "sessionID",
        /// The message's id.
        message: MessageId = "messageID",
    }

    /// A part of a message in the path.
    PartPath {
        /// The session's id.
        session: SessionId = "sessionID",
        /// The message's id.
        message: MessageId = "messageID",
        /// The part's id.
        part: PartId = "partID",
    }

    /// A permission request in the path.
    PermissionPath {
        /// The permission request's id.
        request: PermissionId = "requestID",
    }

    /// A permission request below its session.
    SessionPermissionPath {
        /// The session's id.
        session: SessionId = "sessionID",
        /// The permission request's id.
        permission: PermissionId = "permissionID",
    }

    /// A permission request below its session, as OpenCode 2 names it.
    V2PermissionPath {
        /// The session's id.
        session: SessionId = "sessionID",
        /// The permission request's id.
        request: PermissionId = "requestID",
    }

    /// A question below its session.
    V2QuestionPath {
        /// The session's id.
        session: SessionId = "sessionID",
        /// The question's id.
        request: QuestionId = "requestID",
    }

    /// A question in the path.
    QuestionPath {
        /// The question's id.
        request: QuestionId = "requestID",
    }
}
