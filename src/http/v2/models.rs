//! `GET /api/model` and `GET /api/model/default`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Map;
use utoipa::ToSchema;

use super::location::Location;
use crate::http::provider::{connected, settled};
use crate::http::responses::TaggedInvalid;
use crate::http::state::Shared;
use crate::opencode::project::LocationInfo;
use crate::opencode::provider::Model;
use crate::opencode::v2::info::{
    V2ApiType, V2Capabilities, V2Cost, V2Limit, V2Model, V2ModelApi, V2ModelTime, V2Request,
    V2Variant,
};

/// The models at a location.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Models {
    /// The location.
    pub location: LocationInfo,
    /// The models.
    pub data: Vec<V2Model>,
}

/// The default model at a location.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2DefaultModel {
    /// The location.
    pub location: LocationInfo,
    /// The model; null when no backend can run.
    #[schema(required)]
    pub data: Option<V2Model>,
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
pub async fn list(State(state): State<Shared>, Location(location): Location) -> Json<V2Models> {
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
pub async fn default(
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
    models.map(model).collect()
}

fn model(model: Model) -> V2Model {
    let mut input = vec!["text".to_owned()];
    if model.capabilities.input.image {
        input.push("image".to_owned());
    }
    V2Model {
        api: V2ModelApi {
            id: model.id.clone(),
            r#type: V2ApiType::Native,
            settings: Map::new(),
        },
        id: model.id,
        provider_id: model.provider_id,
        name: model.name,
        capabilities: V2Capabilities {
            tools: model.capabilities.toolcall,
            input,
            output: vec!["text".to_owned()],
        },
        request: V2Request::default(),
        variants: model
            .variants
            .into_iter()
            .map(|(id, _)| V2Variant {
                id,
                request: V2Request::default(),
            })
            .collect(),
        time: V2ModelTime { released: 0 },
        cost: vec![V2Cost::default()],
        status: model.status,
        enabled: true,
        limit: V2Limit {
            context: model.limit.context,
            output: model.limit.output,
        },
    }
}
