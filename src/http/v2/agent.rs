//! `POST /api/session/{sessionID}/agent`.

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

/// The agent to go on with.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SwitchAgentInput {
    /// `build`, `plan`, a backend's id (its default model), or the id of a mode that the backend advertises.
    #[schema(format = "bound:name", example = "plan")]
    pub agent: String,
}

/// Switch a session's agent
///
/// OpenCode 2's way to do what `session.update` does.
#[utoipa::path(
    post,
    path = "/api/session/{sessionID}/agent",
    operation_id = "api.session.switchAgent",
    tag = "session",
    params(SessionPath, Client),
    request_body(content = SwitchAgentInput, description = "The agent to go on with."),
    responses(
        (status = 204, description = "It is selected."),
        TaggedInvalid, TaggedNotThere, TaggedTooLarge, TaggedNotJson, TaggedStopping,
    )
)]
pub async fn agent(
    State(state): State<Shared>,
    path: SessionPath,
    client: Client,
    Body(input): Body<SwitchAgentInput>,
) -> Result<StatusCode, Problem> {
    let wish = selection::of_v2(None, Some(input.agent));
    switch(&state, path.session, wish, client).await
}
