//! Baton hands a live coding session from one model to another.

pub mod agent;
pub mod event;
pub mod opencode;
pub mod registry;
pub mod session;
pub mod store;
