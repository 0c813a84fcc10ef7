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

use super::error::etag;
use crate::opencode::Session;

/// A session with its revision as `ETag`.
fn with_etag(session: &Session) -> Response {
    ([(ETAG, etag(session.revision))], Json(session)).into_response()
}
