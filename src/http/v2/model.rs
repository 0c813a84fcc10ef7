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
use crate::http::selection::{self, V2ModelInput};
use crate::http::state::Shared;

/// The model to go on with.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SwitchModelInput {
    /// The model.
    pub model: V2ModelInput,
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
    Body(input): Body<SwitchModelInput>,
) -> Result<StatusCode, Problem> {
    let wish = selection::of_v2(Some(input.model), None);
    switch(&state, path.session, wish, client).await
}
