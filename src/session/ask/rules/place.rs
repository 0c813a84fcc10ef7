//! Where files are: the paths that rules are compared with.

use std::path::{Component, Path, PathBuf};

/// The working directory of what is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    /// The session's directory.
    pub directory: PathBuf,
    /// What relative names belong to, if that is another one.
    pub base: Option<PathBuf>,
}

/// Devices that keep nothing.
const SINKS: [&str; 6] = [
    "/dev/null",
    "/dev/stdout",
    "/dev/stderr",
    "/dev/tty",
    "/dev/fd/1",
    "/dev/fd/2",
];

impl Place {
    /// A path without `.` and `..`, absolute. Symbolic links are not followed: this reads no files.
    pub(crate) fn absolute(&self, path: &str) -> String {
        let base = self
            .base
            .as_ref()
            .map_or_else(|| self.directory.clone(), |base| self.directory.join(base));
        let mut clean = PathBuf::new();
        for piece in base.join(path).components() {
            match piece {
                Component::CurDir => {}
                Component::ParentDir => {
                    clean.pop();
                }
                piece => clean.push(piece),
            }
        }
        clean.to_string_lossy().into_owned()
    }

    /// A path below the session's directory, as seen from there.
    pub(crate) fn relative(&self, path: &str) -> Option<String> {
        let absolute = self.absolute(path);
        let below = Path::new(&absolute).strip_prefix(&self.directory).ok()?;
        (!below.as_os_str().is_empty()).then(|| below.to_string_lossy().into_owned())
    }

    /// Whether what is written there is kept nowhere.
    pub(crate) fn is_sink(path: &str) -> bool {
        SINKS.contains(&path)
    }

    /// Whether a redirection may write there without being asked about: to a file of the project that git does not run.
    pub(crate) fn may_be_written(&self, path: &str) -> bool {
        let hidden = |below: &String| {
            below
                .split('/')
                .any(|piece| piece.eq_ignore_ascii_case(".git"))
        };
        Self::is_sink(path) || self.relative(path).is_some_and(|below| !hidden(&below))
    }

    /// Whether the working directory is the session's or one below it.
    pub(crate) fn is_inside(&self) -> bool {
        Path::new(&self.absolute(".")).starts_with(&self.directory)
    }

    /// What a path can be called: absolute, and relative to the session's directory.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let mut names = vec![self.absolute(path)];
        names.extend(self.relative(path));
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_out_of_the_project_is_outside() {
        let place = Place {
            directory: "/p/a".into(),
            base: None,
        };
        for inside in ["x", "./x", "b/../x", "/p/a/x", "/dev/null", "../a/x"] {
            assert!(place.may_be_written(inside), "{inside}");
        }
        for outside in [
            "../x",
            "/p/ab",
            "/p",
            "/p/a/../b",
            ".git/hooks/x",
            "b/.GIT/config",
            "/etc/passwd",
            ".",
            "",
        ] {
            assert!(!place.may_be_written(outside), "{outside}");
        }
        let elsewhere = Place {
            base: Some("/tmp".into()),
            ..place
        };
        assert!(!elsewhere.may_be_written("x"));
    }
}
