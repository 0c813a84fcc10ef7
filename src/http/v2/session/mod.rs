//! `/api/session`: sessions, as OpenCode 2 sees them.

pub mod act;
pub mod create;
pub mod event;
pub mod list;
pub mod prompt;
pub mod read;

use serde::Serialize;
use utoipa::ToSchema;

use crate::opencode::v2::info::V2Session;

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2SessionAnswer {
    /// The session.
    pub data: V2Session,
}
