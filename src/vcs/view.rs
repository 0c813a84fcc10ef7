//! A git directory of Baton's own over a repository of the user's, for everything that looks at its files.
//!
//! What a repository configures can name programs: filters, drivers of diffs, a monitor of files, and whatever git
//! will have next. A view has the repository's objects and its index, and of its configuration only a few values
//! that are known to be no programs; neither the user's nor the system's is read. Attributes come from a commit, and
//! name filters and drivers that are not configured, which git ignores.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::folder;
use crate::git::{Git, GitError};
use crate::project::Place;

/// The folder of all views, in Baton's data directory.
const FOLDER: &str = "view";
/// What counts of a repository's configuration, in git's spelling: what decides how its files compare.
const KEPT: [&str; 12] = [
    "core.autocrlf",
    "core.bigfilethreshold",
    "core.checkstat",
    "core.eol",
    "core.filemode",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.sparsecheckout",
    "core.sparsecheckoutcone",
    "core.symlinks",
    "core.trustctime",
    OBJECT_FORMAT,
];
const OBJECT_FORMAT: &str = "extensions.objectformat";
/// The names of the files that an index may be split into begin like this.
const SHARED_INDEX: &str = "sharedindex.";
/// Such files that are brought along.
const SHARED_INDEXES_MAX: usize = 100;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// A view. Its folder goes with it.
#[derive(Debug)]
pub(super) struct View {
    git_dir: PathBuf,
    worktree: PathBuf,
    objects: PathBuf,
    index: PathBuf,
    attributes: Option<String>,
}

/// Removes the views that a killed server has left behind.
pub fn clear(data_dir: &Path) {
    // None is there after an orderly end.
    let _nothing_there = std::fs::remove_dir_all(data_dir.join(FOLDER));
}

impl View {
    /// Makes a view of a place's worktree, with the attributes of a commit or tree.
    ///
    /// # Errors
    /// When git does not work in the repository, such as one that belongs to somebody else.
    pub(super) async fn of(
        place: &Place,
        data_dir: &Path,
        attributes: Option<&str>,
    ) -> Result<Self, GitError> {
        // This is where git refuses a repository that is not safe: with a git directory named, it trusts.
        let asked = Git::new(&place.worktree, "rev-parse")
            .args(["--path-format=absolute", "--git-dir", "--git-common-dir"])
            .text()
            .await?;
        let mut lines = asked.lines().map(PathBuf::from);
        let (Some(own), Some(common)) = (lines.next(), lines.next()) else {
            return Err(io::Error::other("git does not say where its directory is").into());
        };
        let configuration = kept_configuration(place).await?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let view = Self {
            git_dir: data_dir.join(FOLDER).join(number.to_string()),
            worktree: PathBuf::from(&place.worktree),
            objects: common.join("objects"),
            index: own.join("index"),
            attributes: attributes.map(str::to_owned),
        };
        let git_dir = view.git_dir.clone();
        let made = tokio::task::spawn_blocking(move || make(&git_dir, &configuration, &own));
        made.await.map_err(io::Error::other)??;
        Ok(view)
    }

    /// A call of git in a folder of the worktree.
    pub(super) fn git(&self, directory: &str, command: &str) -> Git {
        let git = Git::new(directory, command)
            .repository(&self.git_dir, &self.worktree)
            .isolated()
            .setting("core.attributesFile=/dev/null")
            .env("GIT_OBJECT_DIRECTORY", &self.objects)
            .env("GIT_INDEX_FILE", &self.index)
            .env("GIT_NO_REPLACE_OBJECTS", "1");
        match &self.attributes {
            // Those of the worktree could be a pipe, or have no end.
            Some(tree) => git.env("GIT_ATTR_SOURCE", tree),
            None => git,
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let _removed_at_the_next_start = std::fs::remove_dir_all(&self.git_dir);
    }
}

fn make(git_dir: &Path, configuration: &str, own: &Path) -> io::Result<()> {
    folder::make(&git_dir.join("refs"))?;
    std::fs::write(git_dir.join("HEAD"), "ref: refs/heads/none\n")?;
    std::fs::write(git_dir.join("config"), configuration)?;
    // The parts of a split index are next to the index, which git expects in its directory.
    let names = own.read_dir()?.flatten().map(|entry| entry.file_name());
    let shared = names.filter(|name| name.to_string_lossy().starts_with(SHARED_INDEX));
    for name in shared.take(SHARED_INDEXES_MAX) {
        std::os::unix::fs::symlink(own.join(&name), git_dir.join(&name))?;
    }
    Ok(())
}

/// The configuration of a view: what is kept of that which holds for the repository.
async fn kept_configuration(place: &Place) -> Result<String, GitError> {
    let names = KEPT.map(|name| name.replace('.', "\\.")).join("|");
    let asked = Git::new(&place.worktree, "config")
        .args(["--null", "--get-regexp", &format!("^({names})$")])
        .run()
        .await;
    let printed = match asked {
        Ok(printed) => String::from_utf8_lossy(&printed).into_owned(),
        // None of them is set.
        Err(GitError::Failed { code: Some(1), .. }) => String::new(),
        Err(error) => return Err(error),
    };
    Ok(configuration(&printed))
}

fn configuration(printed: &str) -> String {
    let mut text = "[core]\n\trepositoryformatversion = 1\n\tbare = false\n".to_owned();
    for entry in printed.split('\0') {
        // A key alone is true.
        let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
        let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if let Some((section, name)) = key.split_once('.')
            && KEPT.contains(&key)
            && plain
        {
            text.push_str(&format!("[{section}]\n\t{name} = {value}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_plain_values_is_kept() {
        let text = configuration(
            "core.autocrlf\ninput\0core.filemode\0core.eol\nlf\n[filter \"x\"]\0core.fsmonitor\ntrue\0\
             extensions.objectformat\nsha256\0",
        );
        assert_eq!(
            text,
            "[core]\n\trepositoryformatversion = 1\n\tbare = false\n[core]\n\tautocrlf = input\n\
             [core]\n\tfilemode = true\n[extensions]\n\tobjectformat = sha256\n"
        );
    }
}
