//! What is done to a session without a prompt.

use axum::http::StatusCode;
use axum::response::Response;

use crate::http::handler::*;
use crate::http::selection::{self, V2ModelInput};
use crate::http::session::end::telling;
use crate::http::v2::switch;
use crate::registry::ModelWish;

/// Compact a session
///
/// Has the selected model write a summary of the conversation, from which the session goes on: the same as
/// `session.summarize` with that model. Answers when the summary is in the queue; `api.session.wait` waits for it.
/// (OpenCode 1.18 has the route and answers that it is not available yet.)
#[utoipa::path(
    post,
    path = "/api/session/{sessionID}/compact",
    operation_id = "api.session.compact",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 204, description = "It will be written, or there is nothing to summarize."),
        TaggedInvalid, TaggedSpent, TaggedNotThere, TaggedQueueFull, TaggedFull,
    )
)]
pub async fn compact(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<StatusCode, Problem> {
    let session = state.sessions.info(&path.session).await?;
    let model = match session.model {
        Some(model) => ModelWish {
            provider_id: model.provider_id,
            model_id: model.id,
        },
        None => state.registry.snapshot().default_selection()?,
    };
    // Not awaited: the summary is written even if the client goes away.
    let _summary = state
        .sessions
        .summarize(&path.session, model, false)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Interrupt a session
///
/// The same as `session.abort`: stops the answer that is being written, and takes the prompts that wait out of the queue.
#[utoipa::path(
    post,
    path = "/api/session/{sessionID}/interrupt",
    operation_id = "api.session.interrupt",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 204, description = "It was told to stop."),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn interrupt(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Response, Problem> {
    let aborted = state.sessions.abort(&path.session, None).await?;
    Ok(telling(&aborted, StatusCode::NO_CONTENT))
}

/// Wait for a session
///
/// Answers when the session has nothing left to do: at once when it is idle. (OpenCode 1.18 has the route and
/// answers that waiting is not available yet.)
#[utoipa::path(
    post,
    path = "/api/session/{sessionID}/wait",
    operation_id = "api.session.wait",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 204, description = "It is idle."),
        TaggedInvalid, TaggedNotThere, TaggedFull,
    )
)]
pub async fn wait(State(state): State<Shared>, path: SessionPath) -> Result<StatusCode, Problem> {
    let mut stopping = state.stopping.clone();
    // Before the first look, so that no end of a turn is missed between the two.
    let mut events = state.bus.subscribe(None);
    while state.sessions.is_busy(&path.session).await? {
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return Err(Problem::shutting_down()),
            _ = events.next() => {}
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The agent to continue with.
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
    request_body(content = SwitchAgentInput, description = "The agent to continue with."),
    responses(
        (status = 204, description = "It is selected."),
        TaggedInvalid, TaggedNotThere, TaggedFull,
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

/// The model to continue with.
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
        description = "The model to continue with.",
        example = json!({"model": {"providerID": "claude", "id": "opus", "variant": "high"}}),
    ),
    responses(
        (status = 204, description = "It is selected."),
        TaggedInvalid, TaggedNotThere, TaggedFull,
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
