//! What every store has to do, tried on each of them, and what the one on SQLite does beyond that.

#![allow(clippy::expect_used, reason = "a test may panic")]

mod conversations;
mod copy;
#[path = "../database/mod.rs"]
mod database;
mod doubt;
mod flaky;
mod full;
mod lists;
mod measure;
mod old;
mod postgres;
mod support;
mod upkeep;
mod writes;
