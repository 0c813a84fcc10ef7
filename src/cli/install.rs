//! `baton install`: a built-in agent with its own package manager, below the data directory.
//!
//! Each install gets a folder of its own next to the earlier ones, `DATA/agents/NAME/VERSION-NUMBER`, and is used from the
//! moment when the link `current` points to it. A Python environment could not be moved afterwards, and so nothing that
//! is half installed is ever found, whatever ends the install.

mod manager;
mod programs;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use rand::RngExt;

use super::DataDirArgs;
use crate::agent::installed::{self, CURRENT, PROGRAMS, VERSION};
use crate::agent::quirks::{self, Packages};
use crate::agent::spec::AgentSpec;

pub use manager::newest;

/// Held by the one who installs.
const LOCK_FILE: &str = "lock";

/// What `baton install` takes.
#[derive(Debug, Clone, Args)]
pub struct InstallArgs {
    /// The id of a built-in agent: `baton agents` lists them
    #[arg(value_name = "NAME")]
    pub name: String,

    /// The newest version, instead of the one that was tested with Baton
    #[arg(long)]
    pub latest: bool,

    /// Into which data directory.
    #[command(flatten)]
    pub data: DataDirArgs,
}

/// Why an agent was not installed. What was installed before is as it was.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// No built-in agent has this name.
    #[error("there is no built-in agent \"{0}\"; there are {1}")]
    Unknown(String, String),
    /// Baton has no way to install it.
    #[error("baton cannot install {0}: {1}")]
    Elsewhere(String, String),
    /// Another `baton install` is at work.
    #[error("another `baton install {0}` is at work; wait until it is over")]
    Busy(String),
    /// The package manager, or what it runs on, is missing.
    #[error("{0}")]
    Missing(String),
    /// The package manager has failed; its own words were printed.
    #[error("{0}")]
    Failed(String),
    /// A package has not brought the program.
    #[error("the packages of {agent} brought no program \"{program}\", so it was not installed")]
    NoProgram {
        /// The agent.
        agent: String,
        /// Its program.
        program: String,
    },
    /// Something on the disk.
    #[error("{0}: {1}")]
    Disk(String, #[source] io::Error),
}

fn disk(what: impl Into<String>) -> impl FnOnce(io::Error) -> InstallError {
    let what = what.into();
    move |error| InstallError::Disk(what, error)
}

/// Installs an agent. Returns what to tell the user.
///
/// # Errors
/// When it cannot be installed; then nothing has changed.
pub async fn run(data_dir: &Path, name: &str, latest: bool) -> Result<String, InstallError> {
    let packages = installable(name)?;
    let folder = installed::folder(data_dir, name);
    let made = fs::create_dir_all(&folder);
    made.map_err(disk(format!("{} cannot be made", folder.display())))?;
    let _lock = lock(&folder, name)?;
    let spec = spec_of(name);
    let new = New::make(&folder)?;
    manager::install(&packages, &new.path, latest).await?;
    let program = spec.command.first().map_or("", String::as_str);
    programs::link(&packages, program, &new.path)
        .map_err(disk(format!("{} cannot be read", new.path.display())))?;
    if !new.path.join(PROGRAMS).join(program).is_file() {
        return Err(InstallError::NoProgram {
            agent: name.to_owned(),
            program: program.to_owned(),
        });
    }
    let version = manager::version(&packages, &new.path).await?;
    let written = fs::write(new.path.join(VERSION), format!("{version}\n"));
    written.map_err(disk(format!("{} cannot be written", new.path.display())))?;
    let new = new.keep(&folder)?;
    Ok(format!(
        "{} {version} is installed in {}.\nTo sign in, unless you have: {}. `baton agents --agents {name}` tries it.",
        spec.name,
        new.display(),
        spec.login,
    ))
}

fn installable(name: &str) -> Result<Packages, InstallError> {
    match quirks::packages(name) {
        Some(Packages::Elsewhere(how)) => {
            Err(InstallError::Elsewhere(name.to_owned(), how.to_owned()))
        }
        Some(packages) => Ok(packages),
        None => {
            let known: Vec<_> = quirks::ids().collect();
            Err(InstallError::Unknown(name.to_owned(), known.join(", ")))
        }
    }
}

#[expect(clippy::expect_used, reason = "the names come from the same table")]
fn spec_of(name: &str) -> AgentSpec {
    let all = quirks::builtins("", Path::new(""), Path::new(""));
    let found = all.into_iter().find(|spec| spec.id == name);
    found.expect("its packages are in the same table")
}

fn lock(folder: &Path, name: &str) -> Result<File, InstallError> {
    let path = folder.join(LOCK_FILE);
    let file = File::create(&path).map_err(disk(format!("{} cannot be made", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(InstallError::Busy(name.to_owned())),
        Err(fs::TryLockError::Error(error)) => {
            Err(disk(format!("{} cannot be locked", path.display()))(error))
        }
    }
}

/// The folder of an install that is not over; gone again, unless it is kept.
struct New {
    path: PathBuf,
    is_kept: bool,
}

impl New {
    fn make(folder: &Path) -> Result<Self, InstallError> {
        let number: u32 = rand::rng().random();
        let path = folder.join(format!("{number:08x}"));
        let made = fs::create_dir(&path);
        made.map_err(disk(format!("{} cannot be made", path.display())))?;
        let is_kept = false;
        Ok(Self { path, is_kept })
    }

    /// Makes it the current one. The one before stays, for processes that still run from it; what is older goes.
    fn keep(mut self, folder: &Path) -> Result<PathBuf, InstallError> {
        let link = folder.join(CURRENT);
        let before = fs::read_link(&link).ok();
        let next = folder.join("next");
        let name = self.path.file_name().unwrap_or_default().to_owned();
        // A link that a kill has left.
        let _none = fs::remove_file(&next);
        std::os::unix::fs::symlink(&name, &next)
            .and_then(|()| fs::rename(&next, &link))
            .map_err(disk(format!("{} cannot be made", link.display())))?;
        self.is_kept = true;
        remove_others(folder, &[Some(PathBuf::from(name)), before]);
        Ok(self.path.clone())
    }
}

impl Drop for New {
    fn drop(&mut self) {
        if !self.is_kept {
            remove(&self.path);
        }
    }
}

fn remove_others(folder: &Path, kept: &[Option<PathBuf>]) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = PathBuf::from(entry.file_name());
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && !kept.contains(&Some(name)) {
            remove(&entry.path());
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path) {
        tracing::warn!("{} could not be removed: {error}", path.display());
    }
}
