//! `/session`: one file per verb.

pub mod abort;
pub mod children;
pub mod command;
pub mod create;
pub mod delete;
pub mod diff;
pub mod fork;
pub mod get;
pub mod handover;
pub mod init;
pub mod list;
pub mod model_history;
pub mod permissions;
pub mod revert;
pub mod share;
pub mod shell;
pub mod status;
pub mod summarize;
pub mod todo;
pub mod unrevert;
pub mod update;

use axum::Json;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::bounds::Bound;
use super::error::{Problem, etag};
use super::fields::Fields;
use crate::opencode::Session;
use crate::opencode::session::{PermissionAction, PermissionRule};

const RULE_FIELDS: &[&str] = &["permission", "pattern", "action"];
const ACTIONS: &[(&str, PermissionAction)] = &[
    ("allow", PermissionAction::Allow),
    ("deny", PermissionAction::Deny),
    ("ask", PermissionAction::Ask),
];

/// A session's model in a request: `modelID` or, as OpenCode writes it in a session, `id`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SessionModelInput {
    /// The backend's id.
    #[serde(rename = "providerID")]
    #[schema(format = "bound:name", example = "claude")]
    pub provider_id: String,
    /// The model's id, verbatim as the backend advertises it.
    #[serde(rename = "modelID")]
    #[schema(format = "bound:name", example = "opus")]
    pub model_id: Option<String>,
    /// Another name for `modelID`; one of the two is needed.
    #[schema(format = "bound:name")]
    pub id: Option<String>,
    /// The reasoning effort; `default` or null for the model's default.
    #[schema(format = "bound:name", example = "high")]
    pub variant: Option<String>,
}

/// A session with its revision as `ETag`.
fn with_etag(session: &Session) -> Response {
    ([(ETAG, etag(session.revision))], Json(session)).into_response()
}

/// The rules of a body.
fn rules_of(body: &Fields<'_>) -> Result<Vec<PermissionRule>, Problem> {
    let most = body.sizes().permission_rules;
    let rules = body.list_within("permission", most, Some("limits.permission_rules"))?;
    let rules = rules.unwrap_or_default();
    rules
        .into_iter()
        .map(|rule| {
            let rule = rule.object(RULE_FIELDS)?;
            Ok(PermissionRule {
                permission: rule.required_string("permission")?.to_owned(),
                pattern: rule.required_text("pattern", Bound::Pattern)?.to_owned(),
                action: rule.required_word("action", ACTIONS)?,
            })
        })
        .collect()
}
