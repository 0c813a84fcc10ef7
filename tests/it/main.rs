//! The integration tests: one binary, so that they link once.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic; not every build of the tests has an unwrap"
)]

mod harness;
mod http;
mod mock_agent;
mod openapi;
mod switch;
