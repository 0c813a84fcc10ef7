//! `/config`: what OpenCode's clients ask before they start.

pub mod get;
pub mod providers;
pub mod update;
