//! The session core in one process: what a store that fails, agents that misbehave and requests that race may
//! not do to it.

#![allow(clippy::expect_used, reason = "a test may panic")]

mod beat;
mod documents;
mod ends;
mod evidence;
mod fallback;
mod group;
mod handoff;
mod import;
mod last_write;
mod late;
mod late_asks;
mod layers;
mod many;
mod mcp;
mod pending;
mod profiles;
mod random;
mod sizes;
mod spending;
mod store_fails;
mod supply;
mod support;
mod switch;
mod taken;
mod worker;
