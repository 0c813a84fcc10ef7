//! `GET /api/location`, and the location that requests of OpenCode 2 are about.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::http::error::Problem;
use crate::http::extract::{Directory, Params, text_parameter};
use crate::http::responses::TaggedInvalid;
use crate::http::state::Shared;
use crate::opencode::project_id;
use crate::opencode::v2::info::{LocationInfo, LocationProject};

/// The query parameter that names the directory.
const DIRECTORY: &str = "location[directory]";

/// The location that a request is about: `?location[directory]=`, or what the first version takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location(pub LocationInfo);

impl FromRequestParts<Shared> for Location {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let params = Params::from_request_parts(parts, state).await?;
        let directory = match params.text(DIRECTORY) {
            Some(named) => Directory::named(named),
            None => Directory::from_request_parts(parts, state).await?,
        };
        Ok(Self(info(directory.0)))
    }
}

/// What there is to say about a directory.
pub fn info(directory: String) -> LocationInfo {
    LocationInfo {
        project: LocationProject {
            id: project_id(&directory),
            directory: directory.clone(),
        },
        directory,
    }
}

impl IntoParams for Location {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = "The working directory, as an absolute path on the server's machine; the server's own when there is none.";
        vec![text_parameter(DIRECTORY, ParameterIn::Query, text)]
    }
}

/// Get the location
///
/// The directory that requests with this query are about, and its project.
#[utoipa::path(
    get,
    path = "/api/location",
    operation_id = "v2.location.get",
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
