//! `GET /api/location`, and the location that requests of OpenCode 2 are about.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::http::directory;
use crate::http::handler::*;
use crate::opencode::project::LocationInfo;

/// The location that a request is about: `?location[directory]=`, or what the first version takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location(pub LocationInfo);

impl FromRequestParts<Shared> for Location {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let named = directory::Location::from_request_parts(parts, state).await?;
        Ok(Self(state.projects.locate(&named.0).await.location()))
    }
}

impl IntoParams for Location {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        directory::Location::into_params(place)
    }
}

/// Get the location
///
/// The directory that requests with this query are about, and its project.
#[utoipa::path(
    get,
    path = "/api/location",
    operation_id = "api.location.get",
    tag = "project",
    params(Location),
    responses(
        (status = 200, description = "The location.", body = LocationInfo),
        TaggedInvalid,
    )
)]
pub async fn get(Location(location): Location) -> Json<LocationInfo> {
    Json(location)
}
