//! `GET /formatter`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// A code formatter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = FormatterInfo)]
pub struct FormatterStatus {
    /// Its name.
    pub name: String,
    /// The file name extensions that it formats.
    pub extensions: Vec<String>,
    /// Whether it is switched on.
    pub enabled: bool,
}

/// List formatters
///
/// Empty, as OpenCode answers when none is there.
///
/// Stub: files are written by the agents, which format them as their own configuration says; ACP does not tell how.
#[utoipa::path(
    get,
    path = "/formatter",
    operation_id = "formatter.status",
    tag = "config",
    responses((status = 200, description = "The formatters.", body = Vec<FormatterStatus>))
)]
pub async fn status() -> Json<Vec<FormatterStatus>> {
    Json(Vec::new())
}
