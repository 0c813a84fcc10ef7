//! Where a request takes place: `?directory=`, `location[directory]`, or the header `x-opencode-directory`.

use std::io;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::ObjectBuilder;

use super::bounds::{Bound, too_large};
use super::error::{BadKind, Problem};
use super::extract::{Params, header_text, text_parameter};
use super::state::Shared;
use crate::looks;
use crate::project::{NotLocated, Place, canonical};
use crate::session::Sizes;

/// Names the working directory, percent-encoded.
pub const DIRECTORY_HEADER: &str = "x-opencode-directory";
/// The query parameter of OpenCode.
const QUERY: &str = "directory";
/// The query parameter of OpenCode 2.
const LOCATION_QUERY: &str = "location[directory]";

/// No path has a NUL, for the OpenAPI document.
pub const WITHOUT_NUL: &str = r"^[^\x00]*$";
/// What `%2F` takes in place of a byte.
const PERCENT_ENCODED_BYTES: usize = 3;

/// The directory that a request is about: `?directory=`, the header `x-opencode-directory`, or the server's
/// own working directory. It is in its one spelling, and need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory(pub String);

/// The same, not looked at yet: [`Here::place`] looks at all there is to know of it at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here(Option<String>);

/// The same for OpenCode 2, which names the directory `location[directory]` in the query. It exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location(pub String);

/// The same, with whether the request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The directory.
    pub directory: String,
    /// It is not just the server's own.
    pub is_named: bool,
}

impl FromRequestParts<Shared> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let directory = directory_of(parts, state, QUERY).await?;
        let in_query = Params::of(parts)?
            .text(QUERY)
            .is_some_and(|t| !t.is_empty());
        let in_header = header_text(&parts.headers, DIRECTORY_HEADER)?.is_some();
        Ok(Self {
            directory,
            is_named: in_query || in_header,
        })
    }
}

impl FromRequestParts<Shared> for Directory {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        Ok(Self(directory_of(parts, state, QUERY).await?))
    }
}

impl FromRequestParts<Shared> for Here {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let given = given_in(parts, state, QUERY)?;
        bounded(state, given.as_deref(), QUERY)?;
        Ok(Self(given))
    }
}

impl FromRequestParts<Shared> for Location {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let directory = directory_of(parts, state, LOCATION_QUERY).await?;
        Ok(Self(existing(directory, LOCATION_QUERY).await?))
    }
}

/// A directory that a body names, with its project. It exists.
///
/// # Errors
/// When there is no such directory; `field` is where it stands.
pub async fn named(state: &Shared, given: &str, field: &str) -> Result<Place, Problem> {
    let given = Some(given.to_owned()).filter(|g| !g.is_empty());
    located(state, given, field).await
}

async fn directory_of(parts: &Parts, state: &Shared, query: &str) -> Result<String, Problem> {
    let given = given_in(parts, state, query)?;
    spelled(state, given, query).await
}

fn given_in(parts: &Parts, state: &Shared, query: &str) -> Result<Option<String>, Problem> {
    // Checked even if the query takes precedence: a header is valid or not, whatever the query says.
    let header = from_header(parts, &state.settings.sizes)?;
    let given = match Params::of(parts)?.text(query) {
        // OpenCode decodes the parameter once more, and some clients encode it twice.
        Some(text) => Some(decoded(text).unwrap_or_else(|| text.to_owned())),
        None => header,
    };
    Ok(given.filter(|g| !g.is_empty()))
}

fn from_header(parts: &Parts, sizes: &Sizes) -> Result<Option<String>, Problem> {
    let Some(text) = header_text(&parts.headers, DIRECTORY_HEADER)? else {
        return Ok(None);
    };
    let (limit, setting) = header_bound(sizes);
    if text.len() > limit {
        let message = too_large(limit, "bytes", text.len(), setting);
        return Err(Problem::bad_at(BadKind::Headers, DIRECTORY_HEADER, message));
    }
    decoded(text).ok_or_else(not_utf8).map(Some)
}

/// A byte of a path takes up to three in the header.
fn header_bound(sizes: &Sizes) -> (usize, &'static str) {
    let (bytes, setting) = Bound::Path.of(sizes);
    (bytes.saturating_mul(PERCENT_ENCODED_BYTES), setting)
}

async fn spelled(state: &Shared, given: Option<String>, field: &str) -> Result<String, Problem> {
    let (base, directory) = bounded(state, given.as_deref(), field)?;
    let (lane, path) = (directory.clone(), directory);
    let looked = looks::at(lane, move || canonical(&base, &path)).await;
    let looked = looked.map_err(|error| Problem::not_now(&error))?;
    looked.map_err(|error| no_directory(given.as_deref(), &error, field))
}

/// The same with its project; it has to exist.
async fn located(state: &Shared, given: Option<String>, field: &str) -> Result<Place, Problem> {
    let (base, directory) = bounded(state, given.as_deref(), field)?;
    let located = state.projects.locate_named(&base, &directory).await;
    located.map_err(|error| match error {
        NotLocated::NotNow(error) => Problem::not_now(&error),
        NotLocated::Spelling(error) => no_directory(given.as_deref(), &error, field),
        NotLocated::NotThere(directory) => not_there(directory, field),
    })
}

/// A directory that is named, or the server's own, and what it is relative to.
fn bounded(state: &Shared, given: Option<&str>, field: &str) -> Result<(String, String), Problem> {
    let exceeded = |text: &str| Bound::Path.exceeded(&state.settings.sizes, text);
    if let Some(message) = given.and_then(exceeded) {
        return Err(Problem::bad_at(BadKind::Query, field, message));
    }
    if given.is_some_and(|given| given.contains('\0')) {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "it contains a NUL");
        return Err(no_directory(given, &error, field));
    }
    let own = &state.settings.directory;
    Ok(match given {
        Some(given) => (own.clone(), given.to_owned()),
        None => ("/".to_owned(), own.clone()),
    })
}

fn no_directory(given: Option<&str>, error: &io::Error, field: &str) -> Problem {
    let got = Value::from(given);
    let message = format!("Expected a directory, got {got}: {error}");
    Problem::bad_at(BadKind::Query, field, message)
}

fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    Some(text.into_owned())
}

fn not_utf8() -> Problem {
    let message = "Expected percent-encoded UTF-8";
    Problem::bad_at(BadKind::Headers, DIRECTORY_HEADER, message)
}

async fn existing(directory: String, query: &str) -> Result<String, Problem> {
    match looks::is_directory(&directory).await {
        Err(error) => Err(Problem::not_now(&error)),
        Ok(true) => Ok(directory),
        Ok(false) => Err(not_there(directory, query)),
    }
}

fn not_there(directory: String, query: &str) -> Problem {
    let got = Value::from(directory);
    let message = format!("Expected a directory that exists on the server, got {got}");
    Problem::bad_at(BadKind::Query, query, message)
}

impl Directory {
    /// The directory, when agents can work in it.
    ///
    /// # Errors
    /// When there is no such directory.
    pub async fn existing(self) -> Result<String, Problem> {
        existing(self.0, QUERY).await
    }

    /// The directory with its project.
    pub async fn place(&self, state: &Shared) -> Place {
        state.projects.locate(&self.0).await
    }
}

impl IntoParams for Directory {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        parameters(QUERY)
    }
}

impl Here {
    /// The directory with its project, when agents can work in it.
    ///
    /// # Errors
    /// When there is no such directory.
    pub async fn place(self, state: &Shared) -> Result<Place, Problem> {
        located(state, self.0, QUERY).await
    }
}

impl IntoParams for Here {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        parameters(QUERY)
    }
}

impl IntoParams for Location {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        parameters(LOCATION_QUERY)
    }
}

fn parameters(query: &str) -> Vec<Parameter> {
    let text = "The working directory, as a path on the server's machine; the server's own when there is none.";
    let sizes = Sizes::default();
    let in_query = |text: ObjectBuilder| {
        let (most, _) = Bound::Path.of(&sizes);
        text.max_length(Some(most)).pattern(Some(WITHOUT_NUL))
    };
    let in_header = |text: ObjectBuilder| text.max_length(Some(header_bound(&sizes).0));
    let header = "The same, percent-encoded. The query parameter takes precedence.";
    vec![
        text_parameter(query, ParameterIn::Query, text, in_query),
        text_parameter(DIRECTORY_HEADER, ParameterIn::Header, header, in_header),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_percent_encoded_utf8() {
        assert_eq!(decoded("/a%20b/%C3%A9").as_deref(), Some("/a b/é"));
        assert_eq!(decoded("/a%zz").as_deref(), Some("/a%zz"));
        assert_eq!(decoded("/%FF"), None);
    }
}
