//! Several servers on one PostgreSQL: three nodes on this machine, each with a data directory of its own, and a way to the
//! database that can be cut.
//!
//! `BATON_FAULTS=100 cargo test --test scale` lets so many things go wrong; a few without it. `BATON_GOOSE` names goose's program,
//! which then takes part as a real agent, on the stub LLM of `tests/agents`. Where PostgreSQL is not installed, that is said and the
//! tests are skipped.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may panic")]

#[path = "../database/mod.rs"]
mod database;

mod chaos;
mod cluster;
mod events;
mod figures;
mod history;
mod nodes;
mod real;
mod way;
