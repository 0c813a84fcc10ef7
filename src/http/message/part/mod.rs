//! `/session/{sessionID}/message/{messageID}/part/{partID}`: one file per verb.

pub mod delete;
pub mod update;
