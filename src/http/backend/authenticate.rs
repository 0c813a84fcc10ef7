//! `POST /backend/{backendID}/authenticate`.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::list::{BackendInfo, info};
use crate::http::error::Problem;
use crate::http::extract::Body;
use crate::http::global::dispose::announce;
use crate::http::responses::{NotJson, NotThere, TooLarge, Unselectable};
use crate::http::state::Shared;
use crate::registry::SignInError;

/// How to sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = BackendAuthenticateInput)]
pub struct BackendAuthenticate {
    /// The id of one of the backend's `authMethods` that needs no terminal.
    #[serde(rename = "methodId")]
    #[schema(format = "bound:name", example = "chatgpt")]
    pub method_id: String,
}

/// Sign in to a backend
///
/// Lets the agent sign its user in, in one of the ways that it offers (`authMethods`) and that needs no terminal, as ACP's
/// `authenticate`. The agent does it in its own way, where the server runs: it may open a browser there. Answers when it
/// is done, after five minutes at most. Then the backend counts as signed in, and is probed anew; clients are told with
/// the event `global.disposed`. Baton's own route.
#[utoipa::path(
    post,
    path = "/backend/{backendID}/authenticate",
    operation_id = "backend.authenticate",
    tag = "provider",
    params(("backendID" = String, Path, description = "The backend.")),
    request_body(content = BackendAuthenticate, description = "The way."),
    responses(
        (status = 200, description = "The backend as it is now.", body = BackendInfo),
        Unselectable, NotThere, TooLarge, NotJson,
    )
)]
pub async fn authenticate(
    State(state): State<Shared>,
    Path(backend): Path<String>,
    Body(input): Body<BackendAuthenticate>,
) -> Result<Json<BackendInfo>, Problem> {
    state.registry.sign_in(&backend, &input.method_id).await?;
    state.sessions.end_idle_agents();
    announce(&state);
    let snapshot = state.registry.snapshot();
    let now = snapshot.backend(&backend).map(|backend| info(backend));
    Ok(Json(now.ok_or(SignInError::UnknownBackend(backend))?))
}
