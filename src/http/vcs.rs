//! `/vcs`: what git says about the working directory.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::http::handler::*;
use crate::opencode::bounded;
use crate::opencode::file::{VcsFileDiff, VcsFileStatus, VcsInfo};
use crate::vcs::{self, Base};

/// Get the branch
///
/// The branch of the working directory and the default one; an empty object outside of a repository.
#[utoipa::path(
    get,
    path = "/vcs",
    operation_id = "vcs.get",
    tag = "vcs",
    params(Directory),
    responses(
        (status = 200, description = "The branches.", body = VcsInfo),
        Invalid,
    )
)]
pub async fn get(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<Json<VcsInfo>, Problem> {
    Ok(Json(vcs::info(&directory.place(&state).await).await?))
}

/// List changed files
///
/// The files below the working directory that differ from the last commit; none outside of a repository.
#[utoipa::path(
    get,
    path = "/vcs/status",
    operation_id = "vcs.status",
    tag = "vcs",
    params(Directory),
    responses(
        (status = 200, description = "The files that differ.", body = Vec<VcsFileStatus>),
        Invalid,
    )
)]
pub async fn status(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<Json<Vec<VcsFileStatus>>, Problem> {
    Ok(Json(
        vcs::status(&state.settings.data_dir, &directory.place(&state).await).await?,
    ))
}

/// The most unchanged lines around a change.
pub const CONTEXT_MAX: usize = 100_000;
const MODES: &[(&str, Base)] = &[("git", Base::Head), ("branch", Base::DefaultBranch)];

/// What files are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(as = VcsDiffMode, rename_all = "lowercase")]
pub enum Mode {
    /// The last commit.
    Git,
    /// Where the branch has left the default branch.
    Branch,
}

/// Get the changes of files
///
/// How the files below the working directory differ from the last commit (`git`), or from where the branch has left
/// the default branch (`branch`).
#[utoipa::path(
    get,
    path = "/vcs/diff",
    operation_id = "vcs.diff",
    tag = "vcs",
    params(
        Directory,
        ("mode" = Mode, Query, description = "`git` or `branch`."),
        ("context" = Option<u64>, Query, format = "range:context", description = "Unchanged lines around a change."),
    ),
    responses(
        (status = 200, description = "The files that differ.", body = Vec<VcsFileDiff>),
        Invalid,
    )
)]
pub async fn diff(
    State(state): State<Shared>,
    directory: Directory,
    params: Params,
) -> Result<Json<Vec<VcsFileDiff>>, Problem> {
    params.required("mode")?;
    let base = params.word("mode", MODES)?.unwrap_or(Base::Head);
    let context = params.between("context", 0..=CONTEXT_MAX)?;
    let place = directory.place(&state).await;
    Ok(Json(
        vcs::diff(&state.settings.data_dir, &place, base, context).await?,
    ))
}

/// Get the changes as one patch
///
/// How the files below the working directory differ from the last commit, as `git apply` takes it.
#[utoipa::path(
    get,
    path = "/vcs/diff/raw",
    operation_id = "vcs.patch",
    tag = "vcs",
    params(Directory),
    responses(
        (status = 200, description = "The patch; empty outside of a repository.", body = String,
            content_type = "text/x-diff; charset=utf-8"),
        Invalid,
    )
)]
pub async fn diff_raw(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<impl IntoResponse, Problem> {
    let diffs = vcs::diff(
        &state.settings.data_dir,
        &directory.place(&state).await,
        Base::Head,
        None,
    )
    .await?;
    let patch: String = diffs.into_iter().filter_map(|diff| diff.patch).collect();
    Ok(([(CONTENT_TYPE, "text/x-diff; charset=utf-8")], patch))
}

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
        Unpatchable,
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
