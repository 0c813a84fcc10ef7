//! What concerns the whole server: its health, and all events.

pub mod config;
pub mod dispose;
pub mod event;
pub mod health;
