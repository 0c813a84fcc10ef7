//! What handlers take from a request. Each refusal is a [`Problem`] in JSON.

mod params;
mod path;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_TYPE, IF_MATCH, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

pub use self::params::Params;
pub use self::path::*;
pub use super::directory::{DIRECTORY_HEADER, Directory};
use super::error::{BadKind, Problem};
use super::read;
use super::state::Shared;
use crate::opencode::event::Source;
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
    let text = value
        .to_str()
        .map_err(|_| Problem::bad_at(BadKind::Headers, name, "Expected printable ASCII"))?;
    Ok(Some(text))
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
            let message = format!("Expected at most {CLIENT_MAX_BYTES} bytes");
            return Err(Problem::bad_at(BadKind::Headers, CLIENT_HEADER, message));
        }
        // It only helps to tell clients apart, so an unreadable one is ignored.
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
            let message = "Expected one revision, like \"8\" with its quotes, or *";
            Problem::bad_at(BadKind::Headers, "if-match", message)
        })
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
