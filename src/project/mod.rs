//! Projects: which one a directory belongs to, and what clients have set about each.
//!
//! As in OpenCode, a project is a git repository, known by its first commit, with all its worktrees; all
//! directories that are in no repository share the project `global`. Finding the worktree takes a few `stat`
//! calls and is done each time; the first commit is asked of git once per repository.

mod place;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use crate::git::{Git, GitError};
use crate::json;
use crate::lanes::Lanes;
use crate::looks;
use crate::opencode::now_ms;
use crate::opencode::project::{
    GLOBAL_PROJECT, Project, ProjectCommands, ProjectDirectory, ProjectIcon, ProjectTime,
};
use crate::store::{Change, Store, StoreError};

pub use place::{Place, canonical, without_dots, worktree_root};

/// A repository without a commit may get one at any moment: it is looked at again after this time.
const UNBORN_FOR: Duration = Duration::from_secs(2);
/// Walking to the first commit of a very large repository takes longer than other calls of git.
const FIRST_COMMIT_TIMEOUT: Duration = Duration::from_secs(60);
/// Projects that are remembered because somebody has asked for them.
const SEEN_MAX: usize = 1_000;
/// Repositories whose first commit is kept in memory.
const REPOSITORIES_MAX: usize = 1_000;

/// What a client changes about a project; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct ProjectUpdate {
    /// A name.
    pub name: Option<String>,
    /// How it is shown.
    pub icon: Option<ProjectIcon>,
    /// Commands.
    pub commands: Option<ProjectCommands>,
}

/// A repository that was asked before.
#[derive(Debug, Clone)]
struct Repository {
    /// Device and inode of its `.git`: another one is another repository.
    identity: (u64, u64),
    project_id: String,
    main_worktree: String,
    /// When to ask again.
    until: Option<Instant>,
}

/// All projects.
pub struct Projects {
    store: Arc<dyn Store>,
    repositories: Mutex<HashMap<PathBuf, Repository>>,
    /// Those that are stored.
    known: Mutex<BTreeMap<String, Project>>,
    /// Those that somebody has only asked for, as they would be stored.
    seen: Mutex<BTreeMap<String, Project>>,
    /// A repository is asked by one at a time, so that a burst of requests asks it once; one that does not answer
    /// holds up no other.
    asking: Lanes<PathBuf>,
    /// Changes of a project are stored in the order in which they are made.
    changing: tokio::sync::Mutex<()>,
}

/// Why it is not known where a named directory is.
#[derive(Debug)]
pub enum NotLocated {
    /// Its file system does not answer.
    NotNow(io::Error),
    /// It cannot be a directory.
    Spelling(io::Error),
    /// There is no such directory; in its one spelling.
    NotThere(String),
}

/// A directory, and the root of the repository around it with what tells that from another in its place.
struct Around {
    directory: String,
    root: Option<(PathBuf, (u64, u64))>,
}

impl Around {
    /// Blocks.
    fn of(directory: String) -> Self {
        let root = || {
            let root = worktree_root(Path::new(&directory))?;
            let metadata = root.join(".git").symlink_metadata().ok()?;
            Some((root, (metadata.dev(), metadata.ino())))
        };
        let root = root();
        Self { directory, root }
    }
}

impl std::fmt::Debug for Projects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Projects").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Maps are valid between any two steps, and nothing that can panic runs under these locks.
    mutex.lock()
}

impl Projects {
    /// Reads the projects that are known from earlier runs.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(store: Arc<dyn Store>) -> Result<Arc<Self>, StoreError> {
        let mut known = BTreeMap::new();
        for (id, body) in store.projects().await? {
            match serde_json::from_str::<Project>(&body) {
                Ok(project) => drop(known.insert(id, project)),
                // It is learnt anew when its directory is used.
                Err(error) => tracing::error!("project {id} is damaged in the store: {error}"),
            }
        }
        Ok(Arc::new(Self {
            store,
            repositories: Mutex::default(),
            known: Mutex::new(known),
            seen: Mutex::default(),
            asking: Lanes::new(1, 1, 1),
            changing: tokio::sync::Mutex::default(),
        }))
    }

    /// Where a directory is. It has to be in its one spelling (see [`canonical`]); it need not exist.
    pub async fn locate(&self, directory: &str) -> Place {
        let path = directory.to_owned();
        let found = looks::at(directory, move || Around::of(path)).await;
        match found {
            Ok(around) => self.place_in(around).await,
            Err(error) => {
                tracing::warn!("the repository of a directory is not known: {error}");
                Place::outside_of_git(directory)
            }
        }
    }

    /// Where a directory is that a request names, in whatever spelling, relative to another. Looks at it once.
    ///
    /// # Errors
    /// When its file system does not answer, it cannot be a directory, or is none.
    pub async fn locate_named(&self, base: &str, given: &str) -> Result<Place, NotLocated> {
        let (lane, base, given) = (given.to_owned(), base.to_owned(), given.to_owned());
        let found = looks::at(lane, move || {
            let path = canonical(&base, &given).map_err(NotLocated::Spelling)?;
            match Path::new(&path).is_dir() {
                true => Ok(Around::of(path)),
                false => Err(NotLocated::NotThere(path)),
            }
        });
        let around = found.await.map_err(NotLocated::NotNow)??;
        Ok(self.place_in(around).await)
    }

    async fn place_in(&self, around: Around) -> Place {
        let Around { directory, root } = around;
        let in_utf8 = root.and_then(|(root, identity)| {
            let worktree = root.to_str()?.to_owned();
            Some((root, worktree, identity))
        });
        let Some((root, worktree, identity)) = in_utf8 else {
            return Place::outside_of_git(&directory);
        };
        let repository = self.repository(root, identity).await;
        Place {
            directory,
            worktree,
            main_worktree: repository.main_worktree,
            project_id: repository.project_id,
            git: true,
        }
    }

    fn remembered(&self, root: &Path, identity: (u64, u64)) -> Option<Repository> {
        let found = lock(&self.repositories).get(root).cloned()?;
        let fresh = found.until.is_none_or(|until| Instant::now() < until);
        (fresh && found.identity == identity).then_some(found)
    }

    async fn repository(&self, root: PathBuf, identity: (u64, u64)) -> Repository {
        if let Some(found) = self.remembered(&root, identity) {
            return found;
        }
        let _one_at_a_time = self.asking.place(&root).await;
        if let Some(found) = self.remembered(&root, identity) {
            return found;
        }
        let first = first_commit(&root).await;
        let until = match &first {
            // A repository that is too large, or that git refuses, stays so: asking again would cost each
            // request the same.
            Ok(Some(_)) | Err(_) => None,
            Ok(None) => Some(Instant::now() + UNBORN_FOR),
        };
        let project_id = first.unwrap_or_else(|error| {
            tracing::warn!("the project of {} is not known: {error}", root.display());
            None
        });
        let repository = Repository {
            identity,
            project_id: project_id.unwrap_or_else(|| GLOBAL_PROJECT.to_owned()),
            main_worktree: main_worktree(&root).await,
            until,
        };
        let mut repositories = lock(&self.repositories);
        if repositories.len() >= REPOSITORIES_MAX {
            repositories.clear();
        }
        repositories.insert(root, repository.clone());
        repository
    }

    /// The project of a place. Nothing is stored, since this is what a GET asks.
    pub fn current(&self, place: &Place) -> Project {
        let mut project = self.as_stored(place);
        if lock(&self.known).get(&project.id) != Some(&project) {
            let mut seen = lock(&self.seen);
            if seen.len() >= SEEN_MAX {
                seen.clear();
            }
            seen.insert(project.id.clone(), project.clone());
        }
        if project.id == GLOBAL_PROJECT && place.git {
            project.worktree.clone_from(&place.worktree);
            project.vcs = Some("git".to_owned());
        }
        project
    }

    /// Notes that a place is used: its project is listed from now on, and the worktree among the project's.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn note(&self, place: &Place) -> Result<(), StoreError> {
        if self.is_noted(place) {
            return Ok(());
        }
        let _in_order = self.changing.lock().await;
        if self.is_noted(place) {
            return Ok(());
        }
        self.keep(&self.as_stored(place)).await
    }

    fn is_noted(&self, place: &Place) -> bool {
        let known = lock(&self.known).get(&place.project_id).cloned();
        known.is_some_and(|known| known == self.as_stored(place))
    }

    /// The project of a place, as it is or would be stored.
    fn as_stored(&self, place: &Place) -> Project {
        let now = now_ms();
        let mut project = self.find(&place.project_id).unwrap_or_else(|| Project {
            id: place.project_id.clone(),
            worktree: place.main_worktree.clone(),
            vcs: place.git.then(|| "git".to_owned()),
            name: None,
            icon: None,
            commands: None,
            time: ProjectTime {
                created: now,
                updated: now,
            },
            sandboxes: Vec::new(),
        });
        if place.project_id == GLOBAL_PROJECT {
            // `global` means the same for everybody, no matter who comes first.
            (project.worktree, project.vcs) = ("/".to_owned(), None);
        } else {
            // A repository may have been moved, and its worktrees removed, since it was noted.
            project.worktree.clone_from(&place.main_worktree);
            let linked = place.worktree != place.main_worktree;
            if linked && !project.sandboxes.contains(&place.worktree) {
                project.sandboxes.push(place.worktree.clone());
            }
        }
        project
    }

    /// All projects that were used, with the one of a place, the one noted first first.
    pub fn list(&self, place: &Place) -> Vec<Project> {
        let mut all = lock(&self.known).clone();
        let here = self.as_stored(place);
        all.entry(here.id.clone()).or_insert(here);
        let mut all: Vec<_> = all.into_values().collect();
        all.sort_by(|a, b| (a.time.created, &a.id).cmp(&(b.time.created, &b.id)));
        all
    }

    /// A project that was used, or asked for.
    pub fn find(&self, id: &str) -> Option<Project> {
        // What was seen last is newer than what is stored.
        let seen = lock(&self.seen).get(id).cloned();
        seen.or_else(|| lock(&self.known).get(id).cloned())
    }

    /// The roots of a project; none for one that is not known.
    pub fn directories(&self, id: &str) -> Vec<ProjectDirectory> {
        let Some(project) = self.find(id).filter(|p| p.id != GLOBAL_PROJECT) else {
            return Vec::new();
        };
        let linked = project
            .sandboxes
            .into_iter()
            .map(|directory| ProjectDirectory {
                directory,
                strategy: Some("git_worktree".to_owned()),
            });
        let main = ProjectDirectory {
            directory: project.worktree,
            strategy: None,
        };
        linked.chain([main]).collect()
    }

    /// Changes a project; `None` when there is none with this id.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn update(
        &self,
        id: &str,
        update: ProjectUpdate,
    ) -> Result<Option<Project>, StoreError> {
        let _in_order = self.changing.lock().await;
        let Some(mut project) = self.find(id) else {
            return Ok(None);
        };
        let before = project.clone();
        let ProjectUpdate {
            name,
            icon,
            commands,
        } = update;
        project.name = name.or(project.name);
        project.icon = icon.or(project.icon);
        project.commands = commands.or(project.commands);
        if project != before {
            project.time.updated = now_ms().max(project.time.updated);
            self.keep(&project).await?;
        }
        Ok(Some(project))
    }

    /// Stores a project, and shows it once that is committed.
    async fn keep(&self, project: &Project) -> Result<(), StoreError> {
        let put = Change::PutProject {
            id: project.id.clone(),
            // A tree of strings and numbers always serialises.
            body: json::text(project),
        };
        self.store.commit(vec![put]).await?;
        lock(&self.known).insert(project.id.clone(), project.clone());
        lock(&self.seen).remove(&project.id);
        Ok(())
    }

    /// Forgets what is known about the repository at a root: somebody has just made one there.
    pub fn forget(&self, root: &str) {
        lock(&self.repositories).remove(Path::new(root));
    }
}

/// The hash of a repository's first commit; of several, the smallest. `None` without a commit.
async fn first_commit(root: &Path) -> Result<Option<String>, GitError> {
    let git = Git::new(root, "rev-list").args(["--max-parents=0", "HEAD"]);
    let hashes = match git.timeout(FIRST_COMMIT_TIMEOUT).text().await {
        Ok(hashes) => hashes,
        Err(GitError::Failed { stderr, .. }) if is_unborn(&stderr) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(hashes.split_whitespace().min().map(str::to_owned))
}

/// Whether git complains that HEAD names no commit.
fn is_unborn(stderr: &str) -> bool {
    stderr.contains("ambiguous argument 'HEAD'") || stderr.contains("bad revision 'HEAD'")
}

/// The root of the main worktree of the repository that a worktree belongs to.
async fn main_worktree(root: &Path) -> String {
    let common = Git::new(root, "rev-parse").args(["--path-format=absolute", "--git-common-dir"]);
    let common = common.text().await.unwrap_or_else(|error| {
        tracing::warn!(
            "the main worktree of {} is not known: {error}",
            root.display()
        );
        String::new()
    });
    match common.trim_end_matches('\n').strip_suffix("/.git") {
        Some(main) if !main.is_empty() => main.to_owned(),
        // A bare repository, or a git that does not know: this worktree counts as its own.
        _ => root.to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
mod tests;
