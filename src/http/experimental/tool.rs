//! `GET /experimental/tool` and `GET /experimental/tool/ids`.

use axum::Json;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::Params;
use crate::http::responses::Invalid;

/// A tool that a model can call.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ToolListItem {
    /// Its id.
    pub id: String,
    /// What it does.
    pub description: String,
    /// The JSON schema of its arguments.
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
}

/// List the tools of a model
///
/// Empty.
///
/// Stub: every agent brings its own tools, and ACP does not list them.
#[utoipa::path(
    get,
    path = "/experimental/tool",
    operation_id = "tool.list",
    tag = "experimental",
    params(
        ("provider" = String, Query, description = "The provider."),
        ("model" = String, Query, description = "The model."),
    ),
    responses(
        (status = 200, description = "The tools.", body = Vec<ToolListItem>),
        Invalid,
    )
)]
pub async fn list(params: Params) -> Result<Json<Vec<ToolListItem>>, Problem> {
    for name in ["provider", "model"] {
        params.required(name)?;
    }
    Ok(Json(Vec::new()))
}

/// List the ids of tools
///
/// Empty.
///
/// Stub: every agent brings its own tools, and ACP does not list them.
#[utoipa::path(
    get,
    path = "/experimental/tool/ids",
    operation_id = "tool.ids",
    tag = "experimental",
    responses((status = 200, description = "The ids.", body = Vec<String>))
)]
pub async fn ids() -> Json<Vec<String>> {
    Json(Vec::new())
}
