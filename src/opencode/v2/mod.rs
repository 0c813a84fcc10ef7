//! OpenCode 2's wire types, as the `/api` routes of its 1.18 line speak them, and what makes them of the first
//! version's: Baton stores messages in that shape only.

pub mod answer;
mod catalogue;
pub mod event;
#[cfg(test)]
pub(crate) mod fixture;
pub mod info;
pub mod live;
pub mod log;
pub mod message;
pub mod project;
pub mod shape;
