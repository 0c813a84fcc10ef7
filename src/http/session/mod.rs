//! `/session`: what is read, begun, changed and ended.

pub mod command;
pub mod create;
pub mod end;
pub mod handoff;
pub mod handover;
pub mod init;
pub mod list;
pub mod read;
pub mod revert;
pub mod shell;
pub mod summarize;
pub mod update;

use axum::Json;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};

use serde::Serialize;

use super::error::etag;

/// A session with its revision as `ETag`.
fn with_etag(revision: u64, session: &impl Serialize) -> Response {
    ([(ETAG, etag(revision))], Json(session)).into_response()
}
