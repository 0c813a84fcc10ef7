//! `/vcs`: one file per verb.

pub mod apply;
pub mod diff;
pub mod diff_raw;
pub mod get;
pub mod status;
