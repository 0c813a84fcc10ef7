//! The integration tests: one binary, so that they link once.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic; not every build of the tests has an unwrap"
)]

mod asks;
mod client;
mod concurrency;
mod durability;
mod events;
mod files;
mod handoff;
mod harness;
mod history;
mod http;
mod ladder;
mod messages;
mod mock_agent;
mod openapi;
mod places;
mod processes;
mod prompts;
mod quirks;
mod readme;
mod recovery;
mod surface;
mod switch;
mod turns;
