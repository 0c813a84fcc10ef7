//! Parameters of the query.

use std::ops::RangeInclusive;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::http::error::{BadKind, Problem};
use crate::http::read::INTEGER_MAX;
use crate::http::state::Shared;
use crate::opencode::id::InvalidId;

/// The query, by name.
#[derive(Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    pub(in crate::http) fn of(parts: &Parts) -> Result<Self, Problem> {
        // Otherwise every byte that is not UTF-8 would become U+FFFD and name another file or directory.
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
        let missing = || Problem::bad_at(BadKind::Query, name, "Missing key");
        self.raw(name).ok_or_else(missing)
    }

    /// The raw parameter, even when it is empty.
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
        let message = format!("Expected {expected}, got {got}");
        Problem::bad_at(BadKind::Query, name, message)
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

    /// The same, where the bare name means `true`.
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
        text.map(parse)
            .transpose()
            .map_err(|error| Problem::bad_at(BadKind::Query, name, error))
    }
}

impl FromRequestParts<Shared> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        Self::of(parts)
    }
}
