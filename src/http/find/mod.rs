//! `/find`: one file per kind of search.

pub mod file;
pub mod symbol;
pub mod text;

use crate::files::Wanted;
use crate::opencode::file::FileKind;

/// What a search by name can be limited to.
pub const KINDS: &[(&str, Wanted)] = &[
    ("file", Wanted::Only(FileKind::File)),
    ("directory", Wanted::Only(FileKind::Directory)),
];
