//! `/file`: one file per verb.

pub mod content;
pub mod list;
pub mod status;
