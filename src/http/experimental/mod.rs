//! `/experimental`: what OpenCode's clients ask about features that Baton does not have.
//!
//! The terminal UI and the web UI read these at their start. Most are stubs that answer as OpenCode
//! does where the feature is not in use, and say why.

pub mod capabilities;
pub mod console;
pub mod resource;
pub mod session;
pub mod tool;
pub mod workspace;
pub mod worktree;
