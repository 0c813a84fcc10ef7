//! `POST /provider/{providerID}/oauth/authorize` and `…/callback`: OpenCode's way to what ACP calls `authenticate`.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::Body;
use crate::http::global::dispose::announce;
use crate::http::read::refusal;
use crate::http::responses::{NotJson, NotThere, TooLarge, Unselectable};
use crate::http::state::Shared;
use crate::registry::SignInError;

/// Which way is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ProviderOauthInput)]
pub struct ProviderOauth {
    /// Its place in what `provider.auth` lists for the provider, from 0.
    #[schema(example = 0)]
    pub method: u64,
}

/// How the flow goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderAuthFlow {
    /// By itself: the client calls `provider.oauth.callback` and waits.
    Auto,
}

/// What somebody who signs in has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProviderAuthAuthorization {
    /// Empty: the agent opens a browser itself, where it needs one.
    pub url: String,
    /// How it goes on.
    pub method: ProviderAuthFlow,
    /// What happens, for people.
    pub instructions: String,
}

/// Begin to sign in
///
/// Says what happens when `provider.oauth.callback` is called with the same way. Nothing is begun yet.
#[utoipa::path(
    post,
    path = "/provider/{providerID}/oauth/authorize",
    operation_id = "provider.oauth.authorize",
    tag = "provider",
    params(("providerID" = String, Path, description = "The provider.")),
    request_body(content = ProviderOauth, description = "The way."),
    responses(
        (status = 200, description = "What to do.", body = ProviderAuthAuthorization),
        Unselectable, NotThere, TooLarge, NotJson,
    )
)]
pub async fn authorize(
    State(state): State<Shared>,
    Path(provider): Path<String>,
    Body(input): Body<ProviderOauth>,
) -> Result<Json<ProviderAuthAuthorization>, Problem> {
    let (_, instructions) = way(&state, provider, input.method)?;
    Ok(Json(ProviderAuthAuthorization {
        url: String::new(),
        method: ProviderAuthFlow::Auto,
        instructions,
    }))
}

/// Sign in to a provider
///
/// The same as `backend.authenticate`, with the way's place instead of its id.
#[utoipa::path(
    post,
    path = "/provider/{providerID}/oauth/callback",
    operation_id = "provider.oauth.callback",
    tag = "provider",
    params(("providerID" = String, Path, description = "The provider.")),
    request_body(content = ProviderOauth, description = "The way."),
    responses(
        (status = 200, description = "`true`: the agent has signed its user in.", body = bool),
        Unselectable, NotThere, TooLarge, NotJson,
    )
)]
pub async fn callback(
    State(state): State<Shared>,
    Path(provider): Path<String>,
    Body(input): Body<ProviderOauth>,
) -> Result<Json<bool>, Problem> {
    let (method, _) = way(&state, provider.clone(), input.method)?;
    state.registry.sign_in(&provider, &method).await?;
    state.sessions.end_idle_agents();
    announce(&state);
    Ok(Json(true))
}

/// The id of the named way, and what it does, for people.
fn way(state: &Shared, provider: String, place: u64) -> Result<(String, String), Problem> {
    let snapshot = state.registry.snapshot();
    let Some(backend) = snapshot.backend(&provider) else {
        return Err(SignInError::UnknownBackend(provider).into());
    };
    let mut usable = backend.sign_in.iter().filter(|m| !m.needs_terminal);
    let place = usize::try_from(place).unwrap_or(usize::MAX);
    let refuse = || {
        let message = format!("\"{provider}\" has no such way to sign in");
        refusal(&["method"], message)
    };
    let method = usable.nth(place).ok_or_else(refuse)?;
    let what = method.description.as_ref().unwrap_or(&method.name);
    Ok((method.id.clone(), what.clone()))
}
