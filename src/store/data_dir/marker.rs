//! What a data directory knows about itself, and what that says about the database that lies in it.

use serde::{Deserialize, Serialize};

/// The marker: the file `baton-data.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The database that belongs here.
    pub id: String,
    /// The version of its tables.
    pub schema: u64,
    /// How often a server was started on it.
    pub starts: u64,
    /// The last start, in milliseconds since the Unix epoch.
    pub started: u64,
    /// When this was written, in milliseconds since the Unix epoch.
    pub written: u64,
    /// The server ended cleanly: everything is in the database's own file.
    pub clean: bool,
    /// The size of that file then. It never becomes smaller.
    pub database_bytes: u64,
}

/// What a database says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Which it is.
    pub id: String,
    /// How often a server was started on it.
    pub starts: u64,
}

/// The files that were found, with their sizes in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// The database.
    pub database: Option<u64>,
    /// Its log (`-wal`).
    pub log: Option<u64>,
}

/// Why a database is not opened as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// It is not there, although there was one.
    #[error("the database is gone, although there was one at the last start")]
    Gone,
    /// It has no content, although it had some.
    #[error("the database is empty (0 bytes), although it was not")]
    Empty,
    /// The server was killed, and what it had not brought into the file is not there.
    #[error(
        "the last server on it was killed, and the log with its last changes (baton.sqlite-wal) is missing. A program \
         that has opened the database meanwhile, such as sqlite3, may have brought the log back into it"
    )]
    LogGone,
    /// There is a log of a database that is not there.
    #[error(
        "there is a log (baton.sqlite-wal), but the database that it belongs to is gone or empty"
    )]
    LogAlone,
    /// It is smaller than it was; Baton never makes it smaller.
    #[error("the database has shrunk from {was} to {is} bytes, so that something is missing")]
    Shrunk {
        /// Its size by the marker.
        was: u64,
        /// Its size.
        is: u64,
    },
    /// It is another one.
    #[error("the database is another one than the one that belongs here")]
    Other,
    /// It is an older copy.
    #[error(
        "the database is an older copy: {is} servers were started on it, and {was} on the one that belongs here"
    )]
    Older {
        /// Starts by the marker.
        was: u64,
        /// Starts by the database.
        is: u64,
    },
}

/// What the files alone say.
///
/// # Errors
/// When the database is not the whole of what it was.
pub fn judge_files(marker: Option<&Marker>, found: Found) -> Result<(), Doubt> {
    let (database, log) = (found.database.unwrap_or(0), found.log.unwrap_or(0));
    if let Some(marker) = marker {
        match found.database {
            None => return Err(Doubt::Gone),
            Some(0) if marker.database_bytes > 0 => return Err(Doubt::Empty),
            Some(is) if is < marker.database_bytes => {
                return Err(Doubt::Shrunk {
                    was: marker.database_bytes,
                    is,
                });
            }
            Some(_) if !marker.clean && found.log.is_none() => return Err(Doubt::LogGone),
            Some(_) => {}
        }
    }
    match database == 0 && log > 0 {
        true => Err(Doubt::LogAlone),
        false => Ok(()),
    }
}

/// What the database itself says. One without an identity is from before there were any.
///
/// # Errors
/// When it is another one, or an older copy.
pub fn judge_identity(marker: Option<&Marker>, identity: Option<&Identity>) -> Result<(), Doubt> {
    let (Some(marker), Some(identity)) = (marker, identity) else {
        return match marker {
            Some(marker) if marker.starts > 0 => Err(Doubt::Other),
            _ => Ok(()),
        };
    };
    if marker.id != identity.id {
        return Err(Doubt::Other);
    }
    match identity.starts < marker.starts {
        true => Err(Doubt::Older {
            was: marker.starts,
            is: identity.starts,
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(clean: bool) -> Marker {
        Marker {
            id: "one".to_owned(),
            schema: 4,
            starts: 3,
            started: 1,
            written: 2,
            clean,
            database_bytes: 100,
        }
    }

    fn found(database: Option<u64>, log: Option<u64>) -> Found {
        Found { database, log }
    }

    #[test]
    fn a_new_directory_and_one_from_before_are_taken() {
        assert_eq!(judge_files(None, found(None, None)), Ok(()));
        assert_eq!(judge_files(None, found(Some(0), None)), Ok(()));
        assert_eq!(judge_files(None, found(Some(4_096), Some(32))), Ok(()));
        assert_eq!(judge_identity(None, None), Ok(()));
    }

    #[test]
    fn what_is_missing_is_told() {
        let clean = Some(marker(true));
        let killed = Some(marker(false));
        for (marker, database, log, expected) in [
            (&clean, None, None, Err(Doubt::Gone)),
            (&clean, Some(0), None, Err(Doubt::Empty)),
            (&killed, Some(0), Some(50), Err(Doubt::Empty)),
            (
                &clean,
                Some(99),
                None,
                Err(Doubt::Shrunk { was: 100, is: 99 }),
            ),
            (&killed, Some(100), None, Err(Doubt::LogGone)),
            (&None, None, Some(5), Err(Doubt::LogAlone)),
            (&None, Some(0), Some(5), Err(Doubt::LogAlone)),
            (&killed, Some(100), Some(0), Ok(())),
            (&clean, Some(200), None, Ok(())),
        ] {
            let judged = judge_files(marker.as_ref(), found(database, log));
            assert_eq!(judged, expected, "{marker:?} {database:?} {log:?}");
        }
    }

    #[test]
    fn another_database_and_an_older_copy_are_known() {
        let marker = marker(true);
        let identity = |id: &str, starts| Identity {
            id: id.to_owned(),
            starts,
        };
        let judge = |identity: Option<Identity>| judge_identity(Some(&marker), identity.as_ref());
        assert_eq!(judge(None), Err(Doubt::Other));
        assert_eq!(judge(Some(identity("two", 3))), Err(Doubt::Other));
        assert_eq!(
            judge(Some(identity("one", 2))),
            Err(Doubt::Older { was: 3, is: 2 })
        );
        assert_eq!(judge(Some(identity("one", 3))), Ok(()));
        assert_eq!(judge(Some(identity("one", 4))), Ok(()));
    }
}
