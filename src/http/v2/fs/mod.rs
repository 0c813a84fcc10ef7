//! `/api/fs`: OpenCode 2's files.

pub mod find;
pub mod list;
pub mod read;

use serde::Serialize;
use utoipa::ToSchema;

use crate::opencode::file::FileSystemEntry;
use crate::opencode::project::LocationInfo;

/// Entries, with the place that they were asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = V2FileEntries)]
pub struct Entries {
    /// The place.
    pub location: LocationInfo,
    /// The entries; paths are relative to the location's directory.
    pub data: Vec<FileSystemEntry>,
}
