//! `/command`: one file per verb.

pub mod list;
