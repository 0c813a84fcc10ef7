//! The HTTP surface: OpenCode's API at the root and below `/opencode`, and a few routes of Baton's own.
//!
//! [`router`] has the one list of routes; it feeds the router and the OpenAPI document. A
//! handler reads its request into typed values ([`extract`], [`read`]), calls one function of
//! [`Sessions`](crate::session::Sessions) or [`Registry`](crate::registry::Registry), and shapes the
//! answer. What can go wrong becomes a response in [`error`], and nowhere else.

pub mod agent;
pub mod auth;
pub mod backend;
pub mod body;
pub mod bounds;
pub mod command;
pub mod config;
pub mod cors;
pub mod directory;
pub mod docs;
pub mod error;
pub mod event;
pub mod extract;
pub mod file;
pub mod find;
pub mod front;
#[cfg(test)]
mod fuzz;
pub mod global;
pub mod guard;
mod handler;
pub mod headers;
pub mod hops;
pub mod known;
pub mod log;
pub mod mcp;
pub mod message;
pub mod metrics;
pub mod native;
pub mod nodes;
mod opaque;
#[allow(
    clippy::indexing_slicing,
    reason = "makes a document of JSON that no client sends, when it is built"
)]
pub mod openapi;
pub mod page;
pub mod permission;
pub mod project;
pub mod provider;
pub mod question;
pub mod read;
pub mod request_id;
pub mod responses;
mod route;
pub mod router;
pub mod selection;
pub mod serve;
pub mod session;
pub mod sse;
pub mod state;
pub mod stub;
pub mod tui;
pub mod v2;
pub mod vcs;
