//! Room on the disk that is given up when it is full, so that sessions can still be deleted.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{FallocateFlags, fallocate};

use crate::store::Change;

/// The file that takes the room.
const FILE: &str = "baton-reserve";
/// Its size in bytes. Deleting writes the pages that lead to what is deleted, and little else.
const BYTES: i64 = 4 * 1024 * 1024;
/// How often it is tried to have it again.
const PAUSE: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Reserve {
    path: PathBuf,
    given_up: Option<Instant>,
}

impl Reserve {
    /// A reserve in the directory of the database. Without room for it there is none.
    pub(super) fn beside(database: &Path) -> Self {
        let reserve = Self {
            path: database.with_file_name(FILE),
            given_up: None,
        };
        if let Err(error) = reserve.take() {
            tracing::debug!("no room is kept for the case of a full disk: {error}");
        }
        reserve
    }

    /// Gives the room up for a batch that makes room itself. False if it was no such batch, or there is none left.
    pub(super) fn give_up_for(&mut self, batch: &[Change]) -> bool {
        let makes_room = batch.iter().any(|change| {
            matches!(
                change,
                Change::DeleteSession { .. }
                    | Change::DeleteMessage { .. }
                    | Change::DeletePart { .. }
            )
        });
        if !makes_room {
            return false;
        }
        self.given_up = Some(Instant::now());
        fs::remove_file(&self.path).is_ok()
    }

    /// Takes the room again, some time after it was given up.
    pub(super) fn renew(&mut self) {
        if self.given_up.is_some_and(|at| at.elapsed() >= PAUSE) {
            self.given_up = match self.take() {
                Ok(()) => None,
                Err(_still_full) => Some(Instant::now()),
            };
        }
    }

    fn take(&self) -> io::Result<()> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&self.path)?;
        // Blocks that are really there; a file with a hole would keep nothing.
        let taken = fallocate(&file, FallocateFlags::empty(), 0, BYTES);
        taken.map_err(|errno| {
            let _gone = fs::remove_file(&self.path);
            io::Error::from(errno)
        })
    }
}
