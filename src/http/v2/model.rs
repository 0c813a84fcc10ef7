//! `POST /api/session/{sessionID}/model`.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::switch;
use crate::http::error::Problem;
use crate::http::extract::{Body, Client, SessionPath};
use crate::http::responses::{
    TaggedInvalid, TaggedNotJson, TaggedNotThere, TaggedStopping, TaggedTooLarge,
};
use crate::http::selection;
use crate::http::state::Shared;

/// The model to go on with.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SwitchModelInput {
    /// The model.
    pub model: V2ModelInput,
}

/// A model in a request of OpenCode 2.
#[derive(Debug, Deserialize, ToSchema)]
pub struct V2ModelInput {
    /// The model's id, verbatim as the backend advertises it.
    #[schema(format = "bound:name", example = "opus")]
    pub id: String,
    /// The backend's id.
    #[serde(rename = "providerID")]
    #[schema(format = "bound:name", example = "claude")]
    pub provider_id: String,
    /// The reasoning effort; left out, the model's default.
    #[schema(format = "bound:name", example = "high")]
    pub variant: Option<String>,
}

/// Switch a session's model
///
/// OpenCode 2's way to do what `session.update` does. No variant means the model's default.
#[utoipa::path(
    post,
    path = "/api/session/{sessionID}/model",
    operation_id = "api.session.switchModel",
    tag = "session",
    params(SessionPath, Client),
    request_body(
        content = SwitchModelInput,
        description = "The model to go on with.",
        example = json!({"model": {"providerID": "claude", "id": "opus", "variant": "high"}}),
    ),
    responses(
        (status = 204, description = "It is selected."),
        TaggedInvalid, TaggedNotThere, TaggedTooLarge, TaggedNotJson, TaggedStopping,
    )
)]
pub async fn model(
    State(state): State<Shared>,
    path: SessionPath,
    client: Client,
    body: Body,
) -> Result<StatusCode, Problem> {
    let wish = selection::of_switch(&body.fields(&["model"])?)?;
    switch(&state, path.session, wish, client).await
}
