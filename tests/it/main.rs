//! The integration tests: one binary, so that they link once.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic; not every build of the tests has an unwrap"
)]

mod asks;
mod browser;
mod catalogue;
mod client;
mod commands;
mod compact;
mod concurrency;
mod connections;
mod data_dir;
mod denied;
mod durability;
mod edits;
mod events;
mod failures;
mod files;
mod fork;
mod fronts;
mod full_disk;
mod guesses;
mod handoff;
mod hanging;
mod harness;
mod history;
mod hostile;
mod hostile_git;
mod http;
mod install;
mod kills;
mod ladder;
mod late;
mod leftovers;
mod malformed;
mod media;
mod messages;
mod metrics;
mod mock_agent;
mod notice;
mod openapi;
mod passwords;
mod pin;
mod places;
mod places_of_agents;
mod processes;
mod prompts;
mod quirks;
mod readme;
mod recovery;
mod refused;
mod reopen;
mod revert;
#[path = "../core/random/rng.rs"]
mod rng;
mod root;
mod rules;
mod scripted;
mod second;
mod second_events;
mod secrets;
mod shell;
mod sign_in;
mod sizes;
mod stubborn;
mod surface;
mod switch;
mod taken_back;
mod toasts;
mod turns;
