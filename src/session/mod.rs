//! Sessions: what clients see, what is running, and how the two are kept together.

pub mod handoff;
