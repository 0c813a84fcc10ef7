//! `/api/provider` and `/api/model`: the backends and their models.

use crate::http::error::tagged::{Fields, Tag};
use crate::http::handler::*;
use crate::http::provider::{connected, settled};
use crate::http::v2::location::Location;
use crate::opencode::v2::answer::{V2DefaultModel, V2Models, V2ProviderAt, V2Providers};
use crate::opencode::v2::info::{V2Model, V2Provider};

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
    let data = providers.into_iter().map(V2Provider::from).collect();
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
pub async fn provider_at(
    State(state): State<Shared>,
    PathName(id): PathName,
    Location(location): Location,
) -> Result<Json<V2ProviderAt>, Problem> {
    let mut providers = connected(&settled(&state).await.at(&location.directory)).into_iter();
    let found = providers.find(|provider| provider.id == id);
    let missing = || {
        let fields = Fields {
            provider_id: Some(id.clone()),
            ..Fields::default()
        };
        let message = format!("Provider not found: {id}");
        Problem::missing(message, Tag::ProviderNotFoundError, fields)
    };
    let data = V2Provider::from(found.ok_or_else(missing)?);
    Ok(Json(V2ProviderAt { location, data }))
}

/// List models
///
/// The models of all backends that can run, in order of preference.
#[utoipa::path(
    get,
    path = "/api/model",
    operation_id = "api.model.list",
    tag = "provider",
    params(Location),
    responses(
        (status = 200, description = "The models.", body = V2Models),
        TaggedInvalid,
    )
)]
pub async fn list_models(
    State(state): State<Shared>,
    Location(location): Location,
) -> Json<V2Models> {
    let data = all(&state, &location.directory).await;
    Json(V2Models { location, data })
}

/// Get the default model
///
/// The model of a session that names none. OpenCode's web UI asks for it; the document of OpenCode 1.18 does not have it.
#[utoipa::path(
    get,
    path = "/api/model/default",
    operation_id = "api.model.default",
    tag = "provider",
    params(Location),
    responses(
        (status = 200, description = "The model.", body = V2DefaultModel),
        TaggedInvalid,
    )
)]
pub async fn default_model(
    State(state): State<Shared>,
    Location(location): Location,
) -> Json<V2DefaultModel> {
    let chosen = settled(&state)
        .await
        .at(&location.directory)
        .default_selection()
        .ok();
    let is_it = |model: &V2Model| {
        chosen
            .as_ref()
            .is_some_and(|c| c.provider_id == model.provider_id && c.model_id == model.id)
    };
    let data = all(&state, &location.directory)
        .await
        .into_iter()
        .find(is_it);
    Json(V2DefaultModel { location, data })
}

async fn all(state: &Shared, directory: &str) -> Vec<V2Model> {
    let providers = connected(&settled(state).await.at(directory));
    let models = providers.into_iter().flat_map(|p| p.models.into_values());
    models.map(V2Model::from).collect()
}
