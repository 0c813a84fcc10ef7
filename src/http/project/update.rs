//! `PATCH /project/{projectID}`.

use axum::Json;
use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::request::Parts;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::http::bounds::Bound;
use crate::http::error::{BadKind, Problem};
use crate::http::extract::{Body, Directory};
use crate::http::fields::Fields;
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
    #[schema(format = "bound:metadata")]
    pub url: Option<String>,
    /// A picture that the user has chosen in place of it.
    #[schema(format = "bound:metadata")]
    pub r#override: Option<String>,
    /// A colour.
    #[schema(format = "bound:metadata")]
    pub color: Option<String>,
}

/// Commands of a project; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ProjectCommandsInput {
    /// Prepares a new worktree.
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
    body: Body,
) -> Result<Json<Project>, Problem> {
    let update = parse(&body.fields(&["name", "icon", "commands"])?)?;
    let before = state.projects.find(&path.project);
    let Some(project) = state.projects.update(&path.project, update).await? else {
        return Err(Problem::no_project(&path.project));
    };
    if before.as_ref() != Some(&project) {
        // Of no directory: a project may have several.
        let event = EventPayload::ProjectUpdated(project.clone());
        state.bus.publish(&"".into(), &[event]);
    }
    Ok(Json(project))
}

fn parse(body: &Fields<'_>) -> Result<ProjectUpdate, Problem> {
    let text = |fields: &Fields<'_>, name| -> Result<Option<String>, Problem> {
        Ok(fields.text(name, Bound::Metadata)?.map(str::to_owned))
    };
    let icon = match body.object("icon", &["url", "override", "color"])? {
        None => None,
        Some(icon) => Some(ProjectIcon {
            url: text(&icon, "url")?,
            r#override: text(&icon, "override")?,
            color: text(&icon, "color")?,
        }),
    };
    let commands = match body.object("commands", &["start"])? {
        None => None,
        Some(commands) => Some(ProjectCommands {
            start: text(&commands, "start")?,
        }),
    };
    Ok(ProjectUpdate {
        name: text(body, "name")?,
        icon,
        commands,
    })
}
