//! Baton hands a live coding session from one model to another.

pub mod agent;
pub mod app;
pub mod cli;
pub mod command;
pub mod config;
pub mod environment;
pub mod event;
pub mod files;
pub mod folder;
pub mod front;
#[cfg(test)]
mod fuzz;
pub mod git;
pub mod http;
pub mod json;
pub mod lanes;
pub mod listing;
pub mod looks;
pub mod metrics;
pub mod opencode;
pub mod private;
pub mod process;
pub mod project;
pub mod registry;
pub mod regular;
pub mod repair;
pub mod secret;
pub mod session;
pub mod shell;
pub mod snapshot;
pub mod store;
pub mod supervise;
pub mod vcs;
