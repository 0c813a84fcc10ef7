//! `POST /vcs/apply`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::opencode::bounded;

use crate::http::error::Problem;
use crate::http::extract::{Body, Directory};
use crate::http::responses::{NotJson, TooLarge, Unpatchable};
use crate::http::state::Shared;
use crate::vcs;

/// A patch.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = VcsApplyInput)]
pub struct VcsApply {
    /// The patch, as `/vcs/diff/raw` gives it.
    #[serde(deserialize_with = "bounded::attachment")]
    #[schema(format = "bound:attachment")]
    pub patch: String,
}

/// A patch was applied.
#[derive(Debug, Serialize, ToSchema)]
pub struct VcsApplied {
    /// True.
    pub applied: bool,
}

/// Apply a patch
///
/// Changes the files of the worktree as the patch says: all of it, or nothing.
#[utoipa::path(
    post,
    path = "/vcs/apply",
    operation_id = "vcs.apply",
    tag = "vcs",
    params(Directory),
    request_body(content = VcsApply, description = "The patch."),
    responses(
        (status = 200, description = "It is applied.", body = VcsApplied),
        Unpatchable, TooLarge, NotJson,
    )
)]
pub async fn apply(
    State(state): State<Shared>,
    directory: Directory,
    Body(input): Body<VcsApply>,
) -> Result<Json<VcsApplied>, Problem> {
    vcs::apply(
        &state.settings.data_dir,
        &directory.place(&state).await,
        &input.patch,
    )
    .await?;
    Ok(Json(VcsApplied { applied: true }))
}
