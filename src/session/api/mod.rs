//! What a caller can ask of sessions: one file for each thing.

mod attach;
pub(super) mod check;
pub(super) mod command;
mod compact;
mod create;
pub(super) mod delete;
mod edit;
mod fork;
mod handoff;
pub(super) mod import;
mod list;
pub(super) mod load;
mod outside;
pub(super) mod prompt;
pub(super) mod read;
mod recorded;
mod reply;
pub(super) mod restart;
mod revert;
pub(super) mod shared;
pub(super) mod shell;
mod update;
