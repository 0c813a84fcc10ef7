//! `GET /experimental/console` and its organisations.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// What OpenCode's hosted console manages here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConsoleState {
    /// Providers that it manages; none.
    #[serde(rename = "consoleManagedProviders")]
    pub console_managed_providers: Vec<String>,
    /// Organisations to switch between; 0.
    #[serde(rename = "switchableOrgCount")]
    pub switchable_org_count: u64,
}

/// An organisation of OpenCode's hosted console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConsoleOrg {
    /// The account.
    #[serde(rename = "accountID")]
    pub account_id: String,
    /// The organisation.
    #[serde(rename = "orgID")]
    pub org_id: String,
    /// The organisation's name.
    #[serde(rename = "orgName")]
    pub org_name: String,
}

/// The organisations of OpenCode's hosted console.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConsoleOrgs {
    /// The organisations; none.
    pub orgs: Vec<ConsoleOrg>,
}

/// Get the console's state
///
/// Empty, as OpenCode answers without an account.
///
/// Stub: Baton has no accounts, agents sign in themselves.
#[utoipa::path(
    get,
    path = "/experimental/console",
    operation_id = "experimental.console.get",
    tag = "experimental",
    responses((status = 200, description = "The state.", body = ConsoleState))
)]
pub async fn get() -> Json<ConsoleState> {
    Json(ConsoleState::default())
}

/// List the console's organisations
///
/// Empty, as OpenCode answers without an account.
///
/// Stub: Baton has no accounts, agents sign in themselves.
#[utoipa::path(
    get,
    path = "/experimental/console/orgs",
    operation_id = "experimental.console.listOrgs",
    tag = "experimental",
    responses((status = 200, description = "The organisations.", body = ConsoleOrgs))
)]
pub async fn orgs() -> Json<ConsoleOrgs> {
    Json(ConsoleOrgs::default())
}
