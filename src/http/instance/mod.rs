//! `/instance`: what runs for a directory.

pub mod dispose;
