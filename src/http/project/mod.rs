//! `/project`: one file per verb.

pub mod current;
pub mod directories;
pub mod git_init;
pub mod list;
pub mod update;
