//! Baton hands a live coding session from one model to another.

pub mod agent;
pub mod session;
