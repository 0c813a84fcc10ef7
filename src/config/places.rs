//! Where this process runs.

use std::path::{Path, PathBuf};

use super::ConfigError;

/// Where this process runs, as far as settings depend on it.
#[derive(Debug, Clone)]
pub struct Places {
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_DATA_HOME`.
    pub data_home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`.
    pub config_home: Option<PathBuf>,
    /// The working directory.
    pub directory: PathBuf,
    /// The running `baton`, which is its own mock agent.
    pub program: PathBuf,
}

impl Places {
    /// Those of this process.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn of_this_process() -> Result<Self, ConfigError> {
        let unknown = |what: &str, error: std::io::Error| ConfigError(format!("{what}: {error}"));
        // XDG: a path in these variables that is not absolute has to be ignored.
        let var = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|p| p.is_absolute())
        };
        Ok(Self {
            home: var("HOME"),
            data_home: var("XDG_DATA_HOME"),
            config_home: var("XDG_CONFIG_HOME"),
            directory: std::env::current_dir()
                .map_err(|e| unknown("the working directory is not known", e))?,
            program: std::env::current_exe()
                .map_err(|e| unknown("the path of baton itself is not known", e))?,
        })
    }

    /// The data directory: the one that was given, or the default.
    ///
    /// # Errors
    /// When none was given and there is no default.
    pub fn data_dir(&self, given: Option<&Path>) -> Result<PathBuf, ConfigError> {
        match given {
            Some(given) => Ok(self.directory.join(given)),
            None => self.default_data_dir(),
        }
    }

    fn default_data_dir(&self) -> Result<PathBuf, ConfigError> {
        let base = self
            .data_home
            .clone()
            .or_else(|| Some(self.home.as_ref()?.join(".local/share")));
        base.map(|base| base.join("baton")).ok_or_else(|| {
            ConfigError("neither XDG_DATA_HOME nor HOME is set: give --data-dir".to_owned())
        })
    }

    /// Where programs keep their configuration.
    pub(super) fn config_home(&self) -> Option<PathBuf> {
        let default = || Some(self.home.as_ref()?.join(".config"));
        self.config_home.clone().or_else(default)
    }

    /// Where OpenCode keeps its own.
    pub(super) fn opencode_config(&self) -> Option<PathBuf> {
        Some(self.config_home()?.join("opencode"))
    }

    fn default_config_file(&self) -> Option<PathBuf> {
        Some(self.config_home()?.join("baton/baton.toml"))
    }

    /// The config file: the one that was given, or where one is looked for.
    pub fn config_file(&self, given: Option<&Path>) -> Option<PathBuf> {
        match given {
            Some(given) => Some(self.directory.join(given)),
            None => self.default_config_file(),
        }
    }
}
