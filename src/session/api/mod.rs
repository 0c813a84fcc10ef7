//! What a caller can ask of sessions: one file for each thing.

mod attach;
pub mod check;
pub mod command;
mod compact;
mod create;
pub mod delete;
mod edit;
mod fork;
mod list;
pub mod load;
pub mod prompt;
pub mod read;
mod recorded;
mod reply;
pub mod restart;
mod revert;
pub mod shell;
mod update;
