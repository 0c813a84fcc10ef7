//! What concerns the whole server: its health, and all events.

pub mod event;
pub mod health;
