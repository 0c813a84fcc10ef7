//! `PATCH /project/{projectID}`.

use axum::Json;
use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::request::Parts;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::opencode::bounded;

use crate::http::error::{BadKind, Problem};
use crate::http::extract::{Body, Directory};
use crate::http::responses::{Invalid, NotJson, NotThere, TooLarge};
use crate::http::state::Shared;
use crate::opencode::EventPayload;
use crate::opencode::project::{Project, ProjectCommands, ProjectIcon};
use crate::project::ProjectUpdate;

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
        let refuse = |_| Problem::bad(BadKind::Params, "Expected UTF-8\n  at [\"projectID\"]");
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(refuse)?;
        let id = params.iter().find(|(key, _)| *key == "projectID");
        let project = id.map(|(_, id)| id.to_owned()).unwrap_or_default();
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
        Invalid, NotThere, TooLarge, NotJson,
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
        state.bus.publish(&"".into(), &[event]);
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
