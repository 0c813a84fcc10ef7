//! `GET /vcs/diff/raw`.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::vcs::{self, Base};

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
