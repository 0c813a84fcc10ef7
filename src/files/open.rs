//! Opens what is inside of a directory, and nothing else.

use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};

use super::FileError;
use super::limits::limits;
use super::rules::{Rules, Whose};
use crate::opencode::file::{FileKind, FileNode};
use crate::project::without_dots;
use crate::regular::{self, Refused};

/// Entries of one folder that are listed.
const ENTRIES_MAX: usize = 10_000;

/// A working directory, held open.
#[derive(Debug)]
pub struct Root {
    dir: Dir,
    path: PathBuf,
}

/// The bytes of a file.
#[derive(Debug)]
pub struct FileBytes {
    /// Where it really is, relative to the directory.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Root {
    /// Opens a directory.
    ///
    /// # Errors
    /// When there is no such directory, or nothing in it may be read.
    pub fn open(directory: &str) -> Result<Self, FileError> {
        let failed = |error| of_io(directory, error);
        let path = Path::new(directory).canonicalize().map_err(failed)?;
        let dir = Dir::open_ambient_dir(&path, ambient_authority()).map_err(failed)?;
        if regular::is_withheld_path(&path) || regular::is_on_pseudo_file_system(&dir) {
            return Err(FileError::Withheld(directory.to_owned()));
        }
        Ok(Self { dir, path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path that was asked for, relative to the directory, decided by its text alone. An absolute one may be
    /// given, too, when it is inside.
    fn lexical(&self, asked: &str) -> Result<PathBuf, FileError> {
        if asked.contains('\0') {
            return Err(FileError::Invalid(asked.replace('\0', "\u{fffd}")));
        }
        let tidy = without_dots(&self.path.join(asked));
        let inside = tidy.strip_prefix(&self.path).map(Path::to_path_buf);
        inside.map_err(|_| FileError::Outside(asked.to_owned()))
    }

    /// Where a path really is, relative to the directory: without symlinks.
    fn resolve(&self, asked: &str) -> Result<PathBuf, FileError> {
        let lexical = self.lexical(asked)?;
        let real = self.path.join(lexical).canonicalize();
        let real = real.map_err(|error| of_io(asked, error))?;
        let inside = real.strip_prefix(&self.path).map(Path::to_path_buf);
        let inside = inside.map_err(|_| FileError::Outside(asked.to_owned()))?;
        match regular::is_withheld_path(&real) {
            true => Err(FileError::Withheld(asked.to_owned())),
            false => Ok(inside),
        }
    }

    /// Opens a folder of the directory.
    pub(super) fn folder(&self, relative: &Path) -> io::Result<Dir> {
        let dir = match relative.as_os_str().is_empty() {
            true => self.dir.try_clone()?,
            false => self.dir.open_dir(relative)?,
        };
        match regular::is_on_pseudo_file_system(&dir) {
            true => Err(io::ErrorKind::PermissionDenied.into()),
            false => Ok(dir),
        }
    }

    /// Opens a regular file for reading, without waiting for the other end of a pipe.
    pub(super) fn open_file(
        &self,
        relative: &Path,
        asked: &str,
    ) -> Result<std::fs::File, FileError> {
        let failed = |error| of_io(asked, error);
        let not_a_file = || FileError::NotAFile(asked.to_owned());
        if relative.as_os_str().is_empty() {
            return Err(not_a_file());
        }
        // Opening a device can have effects of its own, so it is looked at before; and since it may have become
        // one meanwhile, looked at again afterwards.
        if !self.dir.metadata(relative).map_err(failed)?.is_file() {
            return Err(not_a_file());
        }
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY);
        let file = self.dir.open_with(relative, &options).map_err(failed)?;
        let file = file.into_std();
        regular::check(&file).map_err(|refused| of_refused(asked, refused))?;
        Ok(file)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is not there, leads out, is not a regular file, or is too large.
    pub fn read(&self, asked: &str) -> Result<FileBytes, FileError> {
        let path = self.resolve(asked)?;
        let file = self.open_file(&path, asked)?;
        let bytes = regular::read_open(file, limits().file_bytes);
        let bytes = bytes.map_err(|refused| of_refused(asked, refused))?;
        Ok(FileBytes { path, bytes })
    }

    /// Whether a path is a folder inside of the directory.
    pub fn is_folder(&self, asked: &str) -> bool {
        let folder = self.resolve(asked);
        folder.is_ok_and(|folder| self.path.join(folder).is_dir())
    }

    /// Lists a folder: folders first, each kind by name. Paths have the spelling that was asked for.
    ///
    /// # Errors
    /// When it is not there, leads out, or is not a folder.
    pub fn list(&self, asked: &str) -> Result<Vec<FileNode>, FileError> {
        let failed = |error| of_io(asked, error);
        let shown = self.lexical(asked)?;
        let folder = self.resolve(asked)?;
        let dir = self.folder(&folder).map_err(failed)?;
        let real = self.path.join(&folder);
        let rules = Rules::above(&real, Whose::Git(None)).of(&real);
        let mut nodes = Vec::new();
        for entry in dir.entries().map_err(failed)?.take(ENTRIES_MAX) {
            // An entry that is gone by now is none.
            let Ok(entry) = entry else { continue };
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_dir() => FileKind::Directory,
                Ok(kind) if kind.is_file() => FileKind::File,
                _ => continue,
            };
            let name = entry.file_name();
            let is_folder = kind == FileKind::Directory;
            let path = path_text(&shown.join(&name), kind);
            nodes.push(FileNode {
                ignored: rules.ignore_or_above(&real.join(&name), is_folder),
                absolute: self
                    .path
                    .join(&shown)
                    .join(&name)
                    .to_string_lossy()
                    .into_owned(),
                name: name.to_string_lossy().into_owned(),
                r#type: kind,
                path,
            });
        }
        nodes.sort_by_cached_key(|node| (node.r#type, node.name.to_lowercase(), node.name.clone()));
        Ok(nodes)
    }
}

/// A path as clients get it: that of a folder ends in `/`.
pub(super) fn path_text(path: &Path, kind: FileKind) -> String {
    let text = path.to_string_lossy();
    match kind {
        FileKind::Directory => format!("{text}/"),
        FileKind::File => text.into_owned(),
    }
}

fn of_refused(path: &str, refused: Refused) -> FileError {
    let path = path.to_owned();
    match refused {
        Refused::NotRegular => FileError::NotAFile(path),
        Refused::Withheld => FileError::Withheld(path),
        Refused::TooLarge(max_bytes) => FileError::TooLarge { path, max_bytes },
        Refused::Io(error) => of_io(&path, error),
    }
}

fn of_io(path: &str, error: io::Error) -> FileError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => FileError::NotFound(path),
        io::ErrorKind::NotADirectory => FileError::NotADirectory(path),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => FileError::Invalid(path),
        _ => FileError::Io { path, error },
    }
}
