//! `GET /provider/auth`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::state::Shared;

/// How a provider takes credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderAuthKind {
    /// In the browser.
    Oauth,
    /// As a key.
    Api,
}

/// A way to sign in to a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProviderAuthMethod {
    /// How.
    pub r#type: ProviderAuthKind,
    /// Its name.
    pub label: String,
}

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
