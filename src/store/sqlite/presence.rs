//! Whether the database is still where it was: a file that was removed can still be written, and all of it is lost at
//! the end.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// The files of an open database.
pub(super) struct Presence {
    files: [(PathBuf, Option<FileId>); 2],
}

/// Which file it is: device and number.
type FileId = (u64, u64);

impl Presence {
    /// Notes which files they are now. Called once the database is open.
    pub(super) fn of(database: &Path) -> Self {
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        let noted = |path: PathBuf| {
            let id = file_id(&path);
            (path, id)
        };
        Self {
            files: [noted(database.to_owned()), noted(log.into())],
        }
    }

    /// Where they lie.
    pub(super) fn directory(&self) -> String {
        let directory = self.files[0].0.parent().unwrap_or(Path::new("."));
        directory.display().to_string()
    }

    /// Asks the system, which takes about a microsecond.
    ///
    /// # Errors
    /// When one of them is gone, or another file has taken its place.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (path, noted) in &self.files {
            if noted.is_some() && file_id(path) != *noted {
                return Err(StoreError::Unavailable(format!(
                    "{} was removed or replaced while Baton runs. Put it back, or stop Baton and start it again",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

fn file_id(path: &Path) -> Option<FileId> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}
