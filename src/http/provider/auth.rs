//! `GET /provider/auth`.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

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
/// Empty, as OpenCode answers when no provider takes credentials.
///
/// Stub: Baton keeps no credentials. Agents sign in themselves, with their own commands; `baton agents` says which
/// one is missing.
#[utoipa::path(
    get,
    path = "/provider/auth",
    operation_id = "provider.auth",
    tag = "provider",
    responses((status = 200, description = "The ways, by provider.", body = BTreeMap<String, Vec<ProviderAuthMethod>>))
)]
pub async fn auth() -> Json<BTreeMap<String, Vec<ProviderAuthMethod>>> {
    Json(BTreeMap::new())
}
