//! Which of the changed files a snapshot takes in.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::HASH_CHARS;
use crate::regular::{self, Links};
use crate::snapshot::SnapshotError;

/// A new file that is larger than this is not in a snapshot, in bytes.
pub(super) const NEW_FILE_MAX_BYTES: u64 = 2 * 1024 * 1024;
/// A file that has been in a snapshot before may grow to this, in bytes.
const KNOWN_FILE_MAX_BYTES: u64 = 32 * 1024 * 1024;
/// What one snapshot may add, in bytes.
const ADDED_MAX_BYTES: u64 = 512 * 1024 * 1024;

/// What a snapshot takes in.
pub(super) struct Chosen {
    /// Entries of files that are gone, as `update-index --index-info` reads them.
    pub(super) gone: Vec<u8>,
    /// Names of files that are new or have changed, each ended by a zero byte.
    pub(super) input: Vec<u8>,
    pub(super) left_out: BTreeSet<String>,
}

impl Chosen {
    fn remove(&mut self, name: &[u8]) {
        self.gone.extend(no_entry().as_bytes());
        self.gone.push(b'\t');
        self.gone.extend(name);
        self.gone.push(0);
    }
}

/// Stands for a file that is not to be there.
pub(super) fn no_entry() -> String {
    format!("0 {}", "0".repeat(HASH_CHARS))
}

/// Goes through a list of `ls-files -t -z`: which files are taken in, and which are too large.
pub(super) fn choose(root: &Path, listed: &[u8]) -> Result<Chosen, SnapshotError> {
    let mut chosen = Chosen {
        gone: Vec::new(),
        input: Vec::new(),
        left_out: BTreeSet::new(),
    };
    let mut added: u64 = 0;
    for line in listed.split(|byte| *byte == 0) {
        let [tag, _space, name @ ..] = line else {
            continue;
        };
        // A repository inside of this one: its files are its own business.
        if name.is_empty() || name.ends_with(b"/") {
            continue;
        }
        let path = root.join(std::ffi::OsStr::from_bytes(name));
        let limit = if *tag == b'?' {
            NEW_FILE_MAX_BYTES
        } else {
            KNOWN_FILE_MAX_BYTES
        };
        match std::fs::symlink_metadata(&path) {
            Ok(file) if file.is_file() => {
                let readable = regular::open(&path, Links::Refuse).is_ok();
                if file.len() > limit || !readable {
                    let name = String::from_utf8_lossy(name).into_owned();
                    chosen.left_out.insert(name);
                    continue;
                }
                added += file.len();
            }
            Ok(file) if file.is_dir() => {
                chosen.remove(name);
                continue;
            }
            Ok(_) => {}
            // The latter: a part of the path is a file now.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                chosen.remove(name);
                continue;
            }
            Err(_) => continue,
        }
        chosen.input.extend(name);
        chosen.input.push(0);
    }
    if added > ADDED_MAX_BYTES {
        return Err(SnapshotError::TooLarge(added));
    }
    Ok(chosen)
}
