//! Coding agents as subprocesses that speak the Agent Client Protocol.

pub mod mock;
