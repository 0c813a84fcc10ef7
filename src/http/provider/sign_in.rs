//! How the user of an agent is signed in: OpenCode's routes, and Baton's own.

use std::collections::BTreeMap;

use crate::http::backend::{BackendInfo, info};
use crate::http::error::BadKind;
use crate::http::global::announce;
use crate::http::handler::*;
use crate::http::read::refusal;
use crate::opencode::provider::{
    ProviderAuthAuthorization, ProviderAuthFlow, ProviderAuthKind, ProviderAuthMethod,
};
use crate::registry::{SelectError, SignInError};

/// List the ways to sign in
///
/// The ways in which an agent can sign its user in without a terminal, by provider. Baton keeps no credentials:
/// `provider.oauth.callback` or `backend.authenticate` has the agent do it; `backend.list` has the command for the other ways.
#[utoipa::path(
    get,
    path = "/provider/auth",
    operation_id = "provider.auth",
    tag = "provider",
    responses((status = 200, description = "The ways, by provider.", body = BTreeMap<String, Vec<ProviderAuthMethod>>))
)]
pub async fn auth(State(state): State<Shared>) -> Json<BTreeMap<String, Vec<ProviderAuthMethod>>> {
    let snapshot = state.registry.snapshot();
    let of = snapshot.backends.iter().map(|backend| {
        let usable = backend.sign_in.iter().filter(|m| !m.needs_terminal);
        let methods = usable.map(|method| ProviderAuthMethod {
            r#type: ProviderAuthKind::Oauth,
            label: method.name.clone(),
        });
        (backend.spec.id.clone(), methods.collect::<Vec<_>>())
    });
    Json(of.filter(|(_, methods)| !methods.is_empty()).collect())
}

/// Which way is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ProviderOauthInput)]
pub struct ProviderOauth {
    /// Its place in what `provider.auth` lists for the provider, from 0.
    #[schema(example = 0)]
    pub method: u64,
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
        Unselectable, NotThere,
    )
)]
pub async fn authorize(
    State(state): State<Shared>,
    PathName(provider): PathName,
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
        Unselectable, NotThere,
    )
)]
pub async fn callback(
    State(state): State<Shared>,
    PathName(provider): PathName,
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
        Unselectable, NotThere,
    )
)]
pub async fn authenticate(
    State(state): State<Shared>,
    PathName(backend): PathName,
    Body(input): Body<BackendAuthenticate>,
) -> Result<Json<BackendInfo>, Problem> {
    state.registry.sign_in(&backend, &input.method_id).await?;
    state.sessions.end_idle_agents();
    announce(&state);
    let snapshot = state.registry.snapshot();
    let now = snapshot.backend(&backend).map(|backend| info(backend));
    Ok(Json(now.ok_or(SignInError::UnknownBackend(backend))?))
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        let message = error.to_string();
        match error {
            SignInError::UnknownBackend(_) => Self::not_found(message),
            SignInError::NoSuchMethod { .. } => Self::bad_at(BadKind::Payload, "methodId", message),
            SignInError::Failed { backend, .. } => SelectError::NotConnected {
                provider_id: backend,
                reason: message,
            }
            .into(),
        }
    }
}
