//! Routes of OpenCode for features that Baton does not have. Most of them answer as OpenCode does when the
//! feature is not in use; each says why it is a stub.

use std::collections::BTreeMap;

use crate::http::error::BadKind;
use crate::http::handler::*;
use crate::http::v2::location::Location;
use crate::opencode::Session;
use crate::opencode::absent::*;
use crate::opencode::file::Symbol;
use crate::opencode::v2::answer::{
    V2IntegrationAt, V2Integrations, V2References, V2SavedPermissions, V2Skills,
};

/// List the tools of a model
///
/// Empty.
///
/// Stub: every agent brings its own tools, and ACP does not list them.
#[utoipa::path(
    get,
    path = "/experimental/tool",
    operation_id = "tool.list",
    tag = "experimental",
    params(
        ("provider" = String, Query, description = "The provider."),
        ("model" = String, Query, description = "The model."),
    ),
    responses(
        (status = 200, description = "The tools.", body = Vec<ToolListItem>),
        Invalid,
    )
)]
pub async fn tools(params: Params) -> Result<Json<Vec<ToolListItem>>, Problem> {
    for name in ["provider", "model"] {
        params.required(name)?;
    }
    Ok(Json(Vec::new()))
}

/// List available shells
///
/// Stub: Baton opens no terminals, and agents choose the shells of their tools themselves, so the list is
/// always empty. OpenCode's web UI cannot show its settings without an answer.
#[utoipa::path(
    get,
    path = "/pty/shells",
    operation_id = "pty.shells",
    tag = "config",
    params(Directory),
    responses(
        (status = 200, description = "The shells.", body = Vec<Shell>),
        Invalid,
    )
)]
pub async fn shells(_: Directory) -> Json<Vec<Shell>> {
    Json(Vec::new())
}

/// Find symbols
///
/// Stub: Baton starts no language servers, so the list is always empty, as OpenCode's is without one.
#[utoipa::path(
    get,
    path = "/find/symbol",
    operation_id = "find.symbols",
    tag = "find",
    params(Directory, ("query" = String, Query, description = "A part of the symbol's name.")),
    responses(
        (status = 200, description = "No symbols.", body = Vec<Symbol>),
        Invalid,
    )
)]
pub async fn symbols(_directory: Directory, params: Params) -> Result<Json<Vec<Symbol>>, Problem> {
    params.required("query")?;
    Ok(Json(Vec::new()))
}

/// The refusal. It names the remedy, since a UI shows it to somebody who wants to sign in.
fn refusal(provider: &str) -> Problem {
    let message = format!(
        "Baton keeps no credentials: every agent signs in by itself. Sign in to or out of \"{provider}\" with its own \
         command; `baton agents` says which one that is.\n  at [\"providerID\"]"
    );
    Problem::bad(BadKind::Params, message)
}

/// Set credentials
///
/// Always refused with a 400 that says what to do instead: Baton keeps no credentials, agents sign in themselves.
#[utoipa::path(
    put,
    path = "/auth/{providerID}",
    operation_id = "auth.set",
    tag = "provider",
    params(("providerID" = String, Path, description = "The provider.")),
    responses(
        (status = 200, description = "What OpenCode answers; Baton never does.", body = bool),
        Invalid,
    )
)]
pub async fn set_credential(PathName(provider): PathName) -> Problem {
    refusal(&provider)
}

/// Remove credentials
///
/// Always refused with a 400 that says what to do instead: Baton keeps no credentials, agents sign in themselves.
#[utoipa::path(
    delete,
    path = "/auth/{providerID}",
    operation_id = "auth.remove",
    tag = "provider",
    params(("providerID" = String, Path, description = "The provider.")),
    responses(
        (status = 200, description = "What OpenCode answers; Baton never does.", body = bool),
        Invalid,
    )
)]
pub async fn remove_credential(PathName(provider): PathName) -> Problem {
    refusal(&provider)
}

/// What is said instead of sharing.
const REFUSAL: &str = "Baton shares nothing: a session never leaves the machine that it runs on. Give others \
                       access to this server instead (--host and --password).";

/// Share a session
///
/// Always refused: a session never leaves the machine that it runs on.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/share",
    operation_id = "session.share",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "Never sent: the session with the place where it is shared.", body = Session),
        Invalid, NotThere,
    )
)]
pub async fn share(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<Session>, Problem> {
    state.sessions.info(&path.session).await?;
    Err(Problem::bad(BadKind::Params, REFUSAL))
}

/// Stop sharing a session
///
/// Stub: no session is ever shared, so the session comes back as it is. OpenCode answers the same for one
/// that is not shared.
#[utoipa::path(
    delete,
    path = "/session/{sessionID}/share",
    operation_id = "session.unshare",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "The session.", body = Session),
        Invalid, NotThere,
    )
)]
pub async fn unshare(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<Session>, Problem> {
    Ok(Json(state.sessions.info(&path.session).await?))
}

/// Get an integration
///
/// Always refused: there are none. OpenCode fails here with 500.
///
/// Stub: Baton keeps no credentials, agents sign in themselves.
#[utoipa::path(
    get,
    path = "/api/integration/{integrationID}",
    operation_id = "api.integration.get",
    tag = "provider",
    params(("integrationID" = String, Path, description = "The integration."), Location),
    responses(
        (status = 200, description = "The integration.", body = V2IntegrationAt),
        TaggedInvalid,
    )
)]
pub async fn integration(PathName(id): PathName) -> Result<Json<V2IntegrationAt>, Problem> {
    let message = format!("There is no integration {id}: agents sign in themselves");
    Err(Problem::bad(BadKind::Params, message))
}

/// Operations that take nothing, and answer that there is nothing.
macro_rules! empty {
    ($($(#[doc = $doc:tt])+ $name:ident = $path:tt, $id:tt, $tag:tt, $what:tt ($($body:tt)+);)+) => {$(
        $(#[doc = $doc])+
        #[utoipa::path(
            get,
            path = $path,
            operation_id = $id,
            tag = $tag,
            responses((status = 200, description = $what, body = $($body)+))
        )]
        pub async fn $name() -> Json<$($body)+> {
            Json(Default::default())
        }
    )+};
}

/// Operations that list what there is at a location: nothing.
macro_rules! empty_at {
    ($($(#[doc = $doc:tt])+ $name:ident = $path:tt, $id:tt, $tag:tt, $what:tt ($body:ident);)+) => {$(
        $(#[doc = $doc])+
        #[utoipa::path(
            get,
            path = $path,
            operation_id = $id,
            tag = $tag,
            params(Location),
            responses((status = 200, description = $what, body = $body), TaggedInvalid)
        )]
        pub async fn $name(Location(location): Location) -> Json<$body> {
            let data = Vec::new();
            Json($body { location, data })
        }
    )+};
}

empty_at! {
    /// List references
    ///
    /// Empty, as OpenCode answers when none is configured.
    ///
    /// Stub: agents look into the folders that their own configuration names; ACP does not tell which ones.
    references = "/api/reference", "api.reference.list", "project", "The references." (V2References);

    /// List skills
    ///
    /// Empty, as OpenCode answers when there is none.
    ///
    /// Stub: agents find their skills by themselves. Those that an agent announces over ACP are slash commands.
    skills_at = "/api/skill", "api.skill.list", "config", "The skills." (V2Skills);

    /// List integrations
    ///
    /// Empty: there is nothing that credentials could be given for.
    ///
    /// Stub: Baton keeps no credentials, agents sign in themselves.
    integrations = "/api/integration", "api.integration.list", "provider", "The integrations." (V2Integrations);
}

empty! {
    /// List permissions that were given for good
    ///
    /// Empty, as OpenCode answers when none was given.
    ///
    /// Stub: a permission that was given for good belongs to one session, and ends with it; a project keeps none.
    saved_permissions = "/api/permission/saved", "api.permission.saved.list", "permission", "The permissions." (V2SavedPermissions);

    /// Get experimental capabilities
    ///
    /// None.
    ///
    /// Stub: they are features of OpenCode's own agent.
    capabilities = "/experimental/capabilities", "experimental.capabilities.get", "experimental", "The capabilities." (ExperimentalCapabilities);

    /// Get the console's state
    ///
    /// Empty, as OpenCode answers without an account.
    ///
    /// Stub: Baton has no accounts, agents sign in themselves.
    console = "/experimental/console", "experimental.console.get", "experimental", "The state." (ConsoleState);

    /// List the console's organisations
    ///
    /// Empty, as OpenCode answers without an account.
    ///
    /// Stub: Baton has no accounts, agents sign in themselves.
    console_orgs = "/experimental/console/orgs", "experimental.console.listOrgs", "experimental", "The organisations." (ConsoleOrgs);

    /// List MCP resources
    ///
    /// Empty, as OpenCode answers without MCP servers.
    ///
    /// Stub: each agent has MCP servers of its own, and ACP does not tell which ones.
    resources = "/experimental/resource", "experimental.resource.list", "experimental", "The resources, by name." (BTreeMap<String, McpResource>);

    /// List the ids of tools
    ///
    /// Empty.
    ///
    /// Stub: every agent brings its own tools, and ACP does not list them.
    tool_ids = "/experimental/tool/ids", "tool.ids", "experimental", "The ids." (Vec<String>);

    /// List workspaces
    ///
    /// Empty, as OpenCode answers when none was made.
    ///
    /// Stub: Baton's sessions run in directories of this machine, which the client names.
    workspaces = "/experimental/workspace", "experimental.workspace.list", "experimental", "The workspaces." (Vec<Workspace>);

    /// List the states of workspaces
    ///
    /// Empty, as there are no workspaces.
    ///
    /// Stub: Baton's sessions run in directories of this machine, which the client names.
    workspace_states = "/experimental/workspace/status", "experimental.workspace.status", "experimental", "The states." (Vec<WorkspaceStatus>);

    /// List kinds of workspaces
    ///
    /// Empty.
    ///
    /// Stub: Baton makes no workspaces. Its sessions run in directories of this machine, which the client names.
    workspace_adapters = "/experimental/workspace/adapter", "experimental.workspace.adapter.list", "experimental", "The kinds." (Vec<WorkspaceAdapter>);

    /// List worktrees
    ///
    /// Empty, as OpenCode answers when it has made none.
    ///
    /// Stub: a session works in the directory that its client names, and that may be a worktree that the user has made.
    worktrees = "/experimental/worktree", "worktree.list", "experimental", "The directories of the worktrees." (Vec<String>);

    /// List formatters
    ///
    /// Empty, as OpenCode answers when none is there.
    ///
    /// Stub: files are written by the agents, which format them as their own configuration says; ACP does not tell how.
    formatters = "/formatter", "formatter.status", "config", "The formatters." (Vec<FormatterStatus>);

    /// List language servers
    ///
    /// Empty, as OpenCode answers when none runs.
    ///
    /// Stub: each agent runs the language servers that it wants, and ACP does not tell which ones.
    language_servers = "/lsp", "lsp.status", "config", "The language servers." (Vec<LspStatus>);

    /// List skills
    ///
    /// Empty, as OpenCode answers when there is none.
    ///
    /// Stub: agents find their skills by themselves. Those that an agent announces over ACP are slash commands.
    skills = "/skill", "app.skills", "config", "The skills." (Vec<Skill>);
}
