//! `/question`: what agents ask.

pub mod list;
pub mod reject;
pub mod reply;
