//! `GET /api/provider` and `GET /api/provider/{providerID}`.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Map;
use utoipa::ToSchema;

use super::location::Location;
use crate::http::error::Problem;
use crate::http::provider::{connected, settled};
use crate::http::responses::{TaggedInvalid, TaggedMissing};
use crate::http::state::Shared;
use crate::opencode::project::LocationInfo;
use crate::opencode::provider::Provider;
use crate::opencode::v2::info::{V2ApiType, V2Provider, V2ProviderApi, V2Request};

/// The providers at a location.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Providers {
    /// The location.
    pub location: LocationInfo,
    /// The providers.
    pub data: Vec<V2Provider>,
}

/// A provider at a location.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2ProviderAt {
    /// The location.
    pub location: LocationInfo,
    /// The provider.
    pub data: V2Provider,
}

/// List providers
///
/// The backends that can run, in order of preference.
#[utoipa::path(
    get,
    path = "/api/provider",
    operation_id = "api.provider.list",
    tag = "provider",
    params(Location),
    responses(
        (status = 200, description = "The providers.", body = V2Providers),
        TaggedInvalid,
    )
)]
pub async fn list(State(state): State<Shared>, Location(location): Location) -> Json<V2Providers> {
    let providers = connected(&settled(&state).await.at(&location.directory));
    let data = providers.into_iter().map(provider).collect();
    Json(V2Providers { location, data })
}

/// Get a provider
///
/// A backend that can run.
#[utoipa::path(
    get,
    path = "/api/provider/{providerID}",
    operation_id = "api.provider.get",
    tag = "provider",
    params(("providerID" = String, Path, description = "The provider."), Location),
    responses(
        (status = 200, description = "The provider.", body = V2ProviderAt),
        TaggedInvalid, TaggedMissing,
    )
)]
pub async fn get(
    State(state): State<Shared>,
    Path(id): Path<String>,
    Location(location): Location,
) -> Result<Json<V2ProviderAt>, Problem> {
    let mut providers = connected(&settled(&state).await.at(&location.directory)).into_iter();
    let found = providers.find(|provider| provider.id == id);
    let missing = || {
        let problem =
            Problem::missing(format!("Provider not found: {id}"), "ProviderNotFoundError");
        problem.with_tagged_field("providerID", &id)
    };
    let data = provider(found.ok_or_else(missing)?);
    Ok(Json(V2ProviderAt { location, data }))
}

fn provider(provider: Provider) -> V2Provider {
    V2Provider {
        id: provider.id,
        name: provider.name,
        api: V2ProviderApi {
            r#type: V2ApiType::Native,
            settings: Map::new(),
        },
        request: V2Request::default(),
    }
}
