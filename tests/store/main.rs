//! What every store has to do, tried on each of them, and what the one on SQLite does beyond that.

mod conversations;
mod flaky;
mod full;
mod lists;
mod measure;
mod old;
mod support;
mod upkeep;
mod writes;
