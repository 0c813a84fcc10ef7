//! Baton hands a live coding session from one model to another.

// What comes from outside is never the reason for a panic. The parts below that are exempt index lists of their own.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

#[allow(
    clippy::indexing_slicing,
    reason = "indexes lines that it has measured, and JSON that it has made"
)]
pub mod agent;
pub mod app;
#[allow(
    clippy::indexing_slicing,
    reason = "indexes rows of its own tables, and JSON for people"
)]
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
pub mod mcp;
pub mod metrics;
pub mod nodes;
pub mod opencode;
pub mod private;
pub mod process;
pub mod profile;
pub mod project;
pub mod registry;
pub mod regular;
#[allow(
    clippy::indexing_slicing,
    reason = "indexes bytes at places that it has found in them"
)]
pub mod repair;
pub mod secret;
#[allow(
    clippy::indexing_slicing,
    reason = "indexes the parts of an answer and the words of a command by places found in them"
)]
pub mod session;
pub mod shell;
pub mod snapshot;
pub mod store;
pub mod supervise;
pub mod vcs;
