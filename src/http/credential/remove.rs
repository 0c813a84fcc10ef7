//! `DELETE /auth/{providerID}`.

use axum::extract::Path;

use super::refusal;
use crate::http::error::Problem;
use crate::http::responses::Invalid;

/// Remove credentials
///
/// Always refused with a 400 that says what to do instead: Baton keeps no credentials, agents sign in themselves.
#[utoipa::path(
    delete,
    path = "/auth/{providerID}",
    operation_id = "auth.remove",
    tag = "provider",
    params(("providerID" = String, Path, description = "The provider.")),
    responses(
        (status = 200, description = "What OpenCode answers; Baton never does.", body = bool),
        Invalid,
    )
)]
pub async fn remove(Path(provider): Path<String>) -> Problem {
    refusal(&provider)
}
