//! `/api/session`: sessions, as OpenCode 2 sees them.

pub mod act;
pub mod create;
pub mod event;
pub mod prompt;
pub mod read;
