//! What handlers take from a request. Each refusal is a [`Problem`] in JSON.

use std::ops::RangeInclusive;

use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::http::header::{CONTENT_TYPE, IF_MATCH, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

pub use super::directory::{DIRECTORY_HEADER, Directory};
use super::error::{BadKind, Problem};
use super::read::{self, INTEGER_MAX};
use super::state::Shared;
use crate::opencode::event::Source;
use crate::opencode::id::InvalidId;
use crate::opencode::{MessageId, PartId, PermissionId, QuestionId, SessionId};
use crate::repair;
use crate::session::Caller;

/// The longest `x-client-id`, in bytes.
const CLIENT_MAX_BYTES: usize = 256;
/// The longest revision in `If-Match`, in digits. JSON numbers have no more.
const REVISION_MAX_DIGITS: usize = 16;
/// Names the client in the events that its request causes.
pub const CLIENT_HEADER: &str = "x-client-id";
const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// A JSON body as [`read`](super::read) reads it; `Option` for one that may be left out. With `MERGE` it may also be an
/// `application/merge-patch+json`.
#[derive(Debug)]
pub struct Body<T, const MERGE: bool = false>(pub T);

impl<T: DeserializeOwned, const MERGE: bool> FromRequest<Shared> for Body<T, MERGE> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, Problem> {
        let content_type =
            header_text(request.headers(), CONTENT_TYPE.as_str())?.map(str::to_owned);
        let (parts, body) = request.into_parts();
        let sizes = &state.settings.sizes;
        let came = state.bodies.read(&parts.headers, body).await?;
        // Some clients send a line end, or the indent of nothing, where they have no body.
        if came.bytes.trim_ascii().is_empty() {
            return read::body(None, sizes).map(Self);
        }
        check_content_type(content_type.as_deref(), MERGE)?;
        state.bodies.check(&came.bytes)?;
        // Half a character in a text, which JavaScript can send, is taken as OpenCode takes it.
        let value: Value = serde_json::from_slice(&repair::json(&came.bytes)).map_err(|error| {
            Problem::bad(
                BadKind::Body,
                format!("The body is not valid JSON: {error}"),
            )
        })?;
        read::body(Some(&value), sizes).map(Self)
    }
}

fn check_content_type(content_type: Option<&str>, merge: bool) -> Result<(), Problem> {
    let essence = content_type.map(|t| t.split(';').next().unwrap_or(t).trim());
    let is = |wanted: &str| essence.is_some_and(|e| e.eq_ignore_ascii_case(wanted));
    if is(JSON) || (merge && is(MERGE_PATCH)) {
        return Ok(());
    }
    let expected = if merge {
        format!("{JSON} or {MERGE_PATCH}")
    } else {
        JSON.to_owned()
    };
    let got = content_type.unwrap_or("none");
    Err(Problem::bad_with(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        BadKind::Headers,
        format!("Expected content-type {expected}, got {got}"),
    ))
}

/// A header as text; the first one when there are several.
pub(super) fn header_text<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> Result<Option<&'a str>, Problem> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| {
        Problem::bad(
            BadKind::Headers,
            format!("Expected printable ASCII\n  at [\"{name}\"]"),
        )
    })?;
    Ok(Some(text))
}

/// The query, by name.
#[derive(Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn of(parts: &Parts) -> Result<Self, Problem> {
        // Otherwise every byte that is no text would become U+FFFD, and another file or directory be meant.
        let query = parts.uri.query().unwrap_or_default();
        percent_decode_str(query).decode_utf8().map_err(|_| {
            Problem::bad(
                BadKind::Query,
                "Expected UTF-8 in the query, percent-encoded",
            )
        })?;
        let Query(pairs) = Query::try_from_uri(&parts.uri)
            .map_err(|_| Problem::bad(BadKind::Query, "The query cannot be read"))?;
        Ok(Self(pairs))
    }

    /// A parameter's text; an empty one counts as absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|v| !v.is_empty())
    }

    /// A parameter's text, which may be empty.
    ///
    /// # Errors
    /// When there is none.
    pub fn required(&self, name: &str) -> Result<&str, Problem> {
        let missing = || Problem::bad(BadKind::Query, format!("Missing key\n  at [\"{name}\"]"));
        self.raw(name).ok_or_else(missing)
    }

    /// The parameter as it stands, also when it is empty.
    fn raw(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// One of a few words.
    ///
    /// # Errors
    /// When it is something else.
    pub fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.raw(name) else {
            return Ok(None);
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*value));
        }
        let expected: Vec<_> = words
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        Err(Self::refuse(name, &expected.join(" | "), text))
    }

    /// A whole number between two bounds.
    ///
    /// # Errors
    /// When it is something else.
    pub fn between(
        &self,
        name: &str,
        bounds: RangeInclusive<usize>,
    ) -> Result<Option<usize>, Problem> {
        let Some(text) = self.raw(name) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|n| bounds.contains(n));
        let (from, to) = bounds.into_inner();
        let expected = format!("a whole number from {from} to {to}");
        number
            .map(Some)
            .ok_or_else(|| Self::refuse(name, &expected, text))
    }

    fn refuse(name: &str, expected: &str, got: &str) -> Problem {
        let got = Value::from(got);
        Problem::bad(
            BadKind::Query,
            format!("Expected {expected}, got {got}\n  at [\"{name}\"]"),
        )
    }

    /// A whole number of at least zero that a JSON number holds exactly.
    ///
    /// # Errors
    /// When it is something else.
    pub fn unsigned(&self, name: &str) -> Result<Option<u64>, Problem> {
        let number = self.between(name, 0..=INTEGER_MAX as usize)?;
        Ok(number.map(|number| number as u64))
    }

    /// `true` or `false`; absent counts as false.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        self.choice(name).map(Option::unwrap_or_default)
    }

    /// The same, where leaving it out is something else than `false`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn choice(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.raw(name) {
            None => Ok(None),
            Some("false" | "0") => Ok(Some(false)),
            Some("true" | "1") => Ok(Some(true)),
            Some(other) => Err(Self::refuse(name, "\"true\" | \"false\"", other)),
        }
    }

    /// The same, where the bare name stands for `true`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn choice_or_bare(&self, name: &str) -> Result<bool, Problem> {
        match self.raw(name) {
            Some("") => Ok(true),
            _ => self.flag(name),
        }
    }

    /// An id.
    ///
    /// # Errors
    /// When it cannot be such an id.
    pub fn id<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, InvalidId>,
    ) -> Result<Option<T>, Problem> {
        let text = self.raw(name);
        text.map(|text| {
            parse(text).map_err(|error| {
                Problem::bad(BadKind::Query, format!("{error}\n  at [\"{name}\"]"))
            })
        })
        .transpose()
    }
}

impl FromRequestParts<Shared> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        Self::of(parts)
    }
}

/// An optional text parameter of the OpenAPI document; `bounded` says how its schema is bounded.
pub(super) fn text_parameter(
    name: &str,
    place: ParameterIn,
    description: &str,
    bounded: impl FnOnce(ObjectBuilder) -> ObjectBuilder,
) -> Parameter {
    let text = bounded(ObjectBuilder::new().schema_type(Type::String));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(text))
        .build()
}

/// Who a request is from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// Its `x-client-id`.
    id: Option<String>,
    /// Its `user-agent`, the beginning of it.
    program: Option<String>,
}

impl Client {
    /// The client as the caller of an operation.
    pub fn by(self, source: Source) -> Caller {
        Caller {
            source,
            client: self.id,
            program: self.program,
            reason: None,
        }
    }
}

impl IntoParams for Client {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = "Names the client in the events that this request causes; at most 256 bytes.";
        let bounded = |text: ObjectBuilder| text.max_length(Some(CLIENT_MAX_BYTES));
        vec![text_parameter(
            CLIENT_HEADER,
            ParameterIn::Header,
            text,
            bounded,
        )]
    }
}

impl FromRequestParts<Shared> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        let text = header_text(&parts.headers, CLIENT_HEADER)?;
        if text.is_some_and(|t| t.len() > CLIENT_MAX_BYTES) {
            return Err(Problem::bad(
                BadKind::Headers,
                format!("Expected at most {CLIENT_MAX_BYTES} bytes\n  at [\"{CLIENT_HEADER}\"]"),
            ));
        }
        // It only helps to tell clients apart: one that cannot be read is none.
        let program = parts.headers.get(USER_AGENT);
        let program = program.and_then(|p| p.to_str().ok());
        let program = program.map(|p| p.chars().take(CLIENT_MAX_BYTES).collect());
        Ok(Self {
            id: text.filter(|t| !t.is_empty()).map(str::to_owned),
            program: program.filter(|p: &String| !p.is_empty()),
        })
    }
}

/// The revision in `If-Match`, when one is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(pub Option<u64>);

impl IfMatch {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "*" {
            return Some(Self(None));
        }
        let strong = text.strip_prefix("W/").unwrap_or(text);
        let quoted = strong.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        // A bare number is what people type; a weak prefix belongs to a quoted one only.
        let digits = quoted.or((strong == text).then_some(text))?;
        let only_digits = (1..=REVISION_MAX_DIGITS).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit());
        only_digits
            .then(|| digits.parse().ok())?
            .map(|n| Self(Some(n)))
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = "The revision that the session has to have, as its `ETag`: `\"8\"`. Any other is refused with 412.";
        let pattern = format!(
            "^(\\*|[0-9]{{1,{m}}}|(W/)?\"[0-9]{{1,{m}}}\")$",
            m = REVISION_MAX_DIGITS
        );
        let bounded = |text: ObjectBuilder| text.pattern(Some(pattern));
        vec![text_parameter(
            "If-Match",
            ParameterIn::Header,
            text,
            bounded,
        )]
    }
}

impl FromRequestParts<Shared> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        let several = parts.headers.get_all(IF_MATCH).iter().count() > 1;
        let text = header_text(&parts.headers, IF_MATCH.as_str())?;
        let parsed = match text {
            None => Some(Self(None)),
            Some(text) => Self::parse(text),
        };
        parsed.filter(|_| !several).ok_or_else(|| {
            let message =
                "Expected one revision, like \"8\" with its quotes, or *\n  at [\"if-match\"]";
            Problem::bad(BadKind::Headers, message)
        })
    }
}

/// An id in the path.
///
/// # Errors
/// When it is none.
pub(super) async fn path_id<T>(
    parts: &mut Parts,
    state: &Shared,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, InvalidId>,
) -> Result<T, Problem> {
    let refuse =
        |message: String| Problem::bad(BadKind::Params, format!("{message}\n  at [\"{name}\"]"));
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| refuse("Expected UTF-8".to_owned()))?;
    let text = params.iter().find(|(key, _)| *key == name);
    let (_, text) = text.ok_or_else(|| refuse("Missing key".to_owned()))?;
    parse(text).map_err(|error| refuse(error.to_string()))
}

macro_rules! path_ids {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $id:ident = $wire:literal),+ $(,)? }) => {
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
    };
}

path_ids! {
    /// A session in the path.
    SessionPath {
        /// The session's id.
        session: SessionId = "sessionID",
    }
}
path_ids! {
    /// A message in the path.
    MessagePath {
        /// The session's id.
        session: SessionId = "sessionID",
        /// The message's id.
        message: MessageId = "messageID",
    }
}
path_ids! {
    /// A part of a message in the path.
    PartPath {
        /// The session's id.
        session: SessionId = "sessionID",
        /// The message's id.
        message: MessageId = "messageID",
        /// The part's id.
        part: PartId = "partID",
    }
}
path_ids! {
    /// A permission request in the path.
    PermissionPath {
        /// The permission request's id.
        request: PermissionId = "requestID",
    }
}
path_ids! {
    /// A permission request below its session.
    SessionPermissionPath {
        /// The session's id.
        session: SessionId = "sessionID",
        /// The permission request's id.
        permission: PermissionId = "permissionID",
    }
}
path_ids! {
    /// A permission request below its session, as OpenCode 2 names it.
    V2PermissionPath {
        /// The session's id.
        session: SessionId = "sessionID",
        /// The permission request's id.
        request: PermissionId = "requestID",
    }
}
path_ids! {
    /// A question below its session.
    V2QuestionPath {
        /// The session's id.
        session: SessionId = "sessionID",
        /// The question's id.
        request: QuestionId = "requestID",
    }
}
path_ids! {
    /// A question in the path.
    QuestionPath {
        /// The question's id.
        request: QuestionId = "requestID",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_takes_a_revision_in_its_usual_spellings() {
        for (text, revision) in [
            ("\"8\"", Some(8)),
            ("W/\"8\"", Some(8)),
            (" 8 ", Some(8)),
            ("*", None),
        ] {
            assert_eq!(IfMatch::parse(text), Some(IfMatch(revision)), "{text}");
        }
        for garbage in [
            "",
            "\"",
            "\"\"",
            "W/8",
            "\"8",
            "-1",
            "+8",
            "\"+8\"",
            "8.0",
            "\"8\", \"9\"",
            "abc",
            "99999999999999999999",
        ] {
            assert_eq!(IfMatch::parse(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn content_types_are_compared_without_their_parameters() {
        for good in ["application/json", "Application/JSON; charset=utf-8"] {
            assert!(check_content_type(Some(good), false).is_ok(), "{good}");
        }
        assert!(check_content_type(Some("application/merge-patch+json"), true).is_ok());
        for bad in [
            None,
            Some("text/plain"),
            Some("application/merge-patch+json"),
            Some("application/jsonx"),
        ] {
            assert!(check_content_type(bad, false).is_err(), "{bad:?}");
        }
    }
}
