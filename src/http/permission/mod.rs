//! `/permission`: what agents want to be allowed.

pub mod list;
pub mod reply;
