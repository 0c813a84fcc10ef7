//! OpenCode's projects, and where a request takes place.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The id of the project of all directories that are in no repository, or in one without a commit.
pub const GLOBAL_PROJECT: &str = "global";

/// When a project was first used and last changed, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectTime {
    /// First used.
    pub created: u64,
    /// Last changed.
    pub updated: u64,
}

/// How a project is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectIcon {
    /// A picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub url: Option<String>,
    /// A picture that the user has chosen in place of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub r#override: Option<String>,
    /// A colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub color: Option<String>,
}

/// Commands of a project. Baton keeps them for its clients and does not run them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectCommands {
    /// Prepares a new worktree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub start: Option<String>,
}

/// A project: a git repository with all its worktrees, or everything that is in none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Project {
    /// The hash of the repository's first commit, or `global`.
    #[schema(example = "701b4e1a46d490e86f1c8942d5a429ae4fe36ee7")]
    pub id: String,
    /// The root of the repository's main worktree; `/` where there is no repository.
    pub worktree: String,
    /// `git`, where there is a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub vcs: Option<String>,
    /// Its name, when a client has given it one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
    /// How it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub icon: Option<ProjectIcon>,
    /// Its commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub commands: Option<ProjectCommands>,
    /// When it was used.
    pub time: ProjectTime,
    /// The roots of its further worktrees, as far as they were used.
    pub sandboxes: Vec<String>,
}

/// A root of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProjectDirectory {
    /// Where.
    pub directory: String,
    /// `git_worktree` for a further worktree of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub strategy: Option<String>,
}

/// The project of a location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LocationProject {
    /// Its id.
    pub id: String,
    /// The root of the worktree that the directory is in.
    pub directory: String,
}

/// Where a request of OpenCode 2 takes place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LocationInfo {
    /// The working directory.
    pub directory: String,
    /// The project that it belongs to.
    pub project: LocationProject,
}
