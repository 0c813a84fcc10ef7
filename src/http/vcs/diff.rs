//! `GET /vcs/diff`.

use axum::Json;
use axum::extract::State;
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::{Directory, Params};
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::file::VcsFileDiff;
use crate::vcs::{self, Base};

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
