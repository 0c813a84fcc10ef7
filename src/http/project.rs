//! `/project` and `/path`: where work is done.

use std::convert::Infallible;
use std::path::Path;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::git::Git;
use crate::http::extract::path_id;
use crate::http::handler::*;
use crate::opencode::project::{Project, ProjectCommands, ProjectDirectory, ProjectIcon};
use crate::opencode::provider::Paths;
use crate::opencode::{EventPayload, bounded};
use crate::project::ProjectUpdate;

/// List projects
///
/// The projects that were used, in the order of their first use. That of the working directory is always listed.
#[utoipa::path(
    get,
    path = "/project",
    operation_id = "project.list",
    tag = "project",
    params(Directory),
    responses(
        (status = 200, description = "The projects.", body = Vec<Project>),
        Invalid,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<Json<Vec<Project>>, Problem> {
    let place = directory.place(&state).await;
    Ok(Json(state.projects.list(&place)))
}

/// Get the current project
///
/// The project of the working directory: the git repository that it is in, known by its first commit, or
/// `global` where there is none. It is listed once a session was made there.
#[utoipa::path(
    get,
    path = "/project/current",
    operation_id = "project.current",
    tag = "project",
    params(Directory),
    responses(
        (status = 200, description = "The project.", body = Project),
        Invalid,
    )
)]
pub async fn current(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<Json<Project>, Problem> {
    let place = directory.place(&state).await;
    Ok(Json(state.projects.current(&place)))
}

/// List a project's directories
///
/// The roots of its worktrees, as far as they were used; empty for `global` and for unknown projects.
#[utoipa::path(
    get,
    path = "/project/{projectID}/directories",
    operation_id = "project.directories",
    tag = "project",
    params(ProjectPath, Directory),
    responses(
        (status = 200, description = "The directories.", body = Vec<ProjectDirectory>),
        Invalid,
    )
)]
pub async fn directories(
    State(state): State<Shared>,
    path: ProjectPath,
    _directory: Directory,
) -> Result<Json<Vec<ProjectDirectory>>, Problem> {
    Ok(Json(state.projects.directories(&path.project)))
}

/// Make a git repository
///
/// Makes one in the working directory, unless that is in a repository already, and answers with its project.
#[utoipa::path(
    post,
    path = "/project/git/init",
    operation_id = "project.initGit",
    tag = "project",
    params(Directory),
    responses(
        (status = 200, description = "The project.", body = Project),
        Invalid,
    )
)]
pub async fn git_init(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<Json<Project>, Problem> {
    let place = directory.place(&state).await;
    if place.git {
        state.projects.note(&place).await?;
        return Ok(Json(state.projects.current(&place)));
    }
    let directory = directory.existing().await?;
    Git::new(&directory, "init").arg("--quiet").run().await?;
    state.projects.forget(&directory);
    let place = state.projects.locate(&directory).await;
    state.projects.note(&place).await?;
    Ok(Json(state.projects.current(&place)))
}

/// A project in the path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ProjectPath {
    /// The project's id.
    #[param(rename = "projectID")]
    pub project: String,
}

impl FromRequestParts<Shared> for ProjectPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let text = |text: &str| Ok::<_, Infallible>(text.to_owned());
        let project = path_id(parts, state, "projectID", text).await?;
        Ok(Self { project })
    }
}

/// What changes about a project; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ProjectUpdateInput)]
pub struct ProjectPatch {
    /// Its name.
    #[serde(default, deserialize_with = "bounded::metadata")]
    #[schema(format = "bound:metadata")]
    pub name: Option<String>,
    /// How it is shown.
    pub icon: Option<ProjectIconInput>,
    /// Its commands.
    pub commands: Option<ProjectCommandsInput>,
}

/// How a project is shown; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ProjectIconInput {
    /// A picture.
    #[serde(default, deserialize_with = "bounded::metadata")]
    #[schema(format = "bound:metadata")]
    pub url: Option<String>,
    /// A picture that the user has chosen in place of it.
    #[serde(default, deserialize_with = "bounded::metadata")]
    #[schema(format = "bound:metadata")]
    pub r#override: Option<String>,
    /// A colour.
    #[serde(default, deserialize_with = "bounded::metadata")]
    #[schema(format = "bound:metadata")]
    pub color: Option<String>,
}

/// Commands of a project; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ProjectCommandsInput {
    /// Prepares a new worktree.
    #[serde(default, deserialize_with = "bounded::metadata")]
    #[schema(format = "bound:metadata")]
    pub start: Option<String>,
}

/// Update a project
///
/// Sets what clients show of it. Baton keeps it and does nothing with it.
#[utoipa::path(
    patch,
    path = "/project/{projectID}",
    operation_id = "project.update",
    tag = "project",
    params(ProjectPath, Directory),
    request_body(content = ProjectPatch, description = "What changes."),
    responses(
        (status = 200, description = "The project.", body = Project),
        Invalid, NotThere,
    )
)]
pub async fn update(
    State(state): State<Shared>,
    path: ProjectPath,
    _directory: Directory,
    Body(patch): Body<ProjectPatch>,
) -> Result<Json<Project>, Problem> {
    let before = state.projects.find(&path.project);
    let Some(project) = state
        .projects
        .update(&path.project, patch.into_update())
        .await?
    else {
        return Err(Problem::no_project(&path.project));
    };
    if before.as_ref() != Some(&project) {
        // Of no directory: a project may have several.
        let event = EventPayload::ProjectUpdated(project.clone());
        state.sessions.tell(String::new(), event);
    }
    Ok(Json(project))
}

impl ProjectPatch {
    fn into_update(self) -> ProjectUpdate {
        ProjectUpdate {
            name: self.name,
            icon: self.icon.map(|icon| ProjectIcon {
                url: icon.url,
                r#override: icon.r#override,
                color: icon.color,
            }),
            commands: self.commands.map(|commands| ProjectCommands {
                start: commands.start,
            }),
        }
    }
}

/// Get paths
///
/// Where things are on the server's machine.
#[utoipa::path(
    get,
    path = "/path",
    operation_id = "path.get",
    tag = "project",
    params(Directory),
    responses(
        (status = 200, description = "The paths.", body = Paths),
        Invalid,
    )
)]
pub async fn paths(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<Json<Paths>, Problem> {
    let settings = &state.settings;
    let place = directory.place(&state).await;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    Ok(Json(Paths {
        home: text(&settings.home),
        state: text(&settings.data_dir),
        config: text(&settings.config_dir),
        worktree: place.worktree,
        directory: place.directory,
    }))
}
