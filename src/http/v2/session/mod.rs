//! `/api/session`: sessions, as OpenCode 2 sees them.

pub mod active;
pub mod compact;
pub mod context;
pub mod create;
pub mod event;
pub mod get;
pub mod history;
pub mod interrupt;
pub mod list;
pub mod message;
pub mod messages;
pub mod permissions;
pub mod prompt;
pub mod questions;
pub mod wait;

use serde::Serialize;
use utoipa::ToSchema;

use crate::opencode::v2::info::V2Session;

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2SessionAnswer {
    /// The session.
    pub data: V2Session,
}
