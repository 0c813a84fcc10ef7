//! Shapes of features that Baton does not have. Most are never sent with anything in them; the document has them, as
//! clients read them.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Which experiments the server takes part in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExperimentalCapabilities {
    /// `false`: subagents run inside their agent, which ends its turn when they are done.
    #[serde(rename = "backgroundSubagents")]
    pub background_subagents: bool,
}

/// What OpenCode's hosted console manages here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConsoleState {
    /// Providers that it manages; none.
    #[serde(rename = "consoleManagedProviders")]
    pub console_managed_providers: Vec<String>,
    /// Organisations to switch between; 0.
    #[serde(rename = "switchableOrgCount")]
    pub switchable_org_count: u64,
}

/// An organisation of OpenCode's hosted console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConsoleOrg {
    /// The account.
    #[serde(rename = "accountID")]
    pub account_id: String,
    /// The organisation.
    #[serde(rename = "orgID")]
    pub org_id: String,
    /// The organisation's name.
    #[serde(rename = "orgName")]
    pub org_name: String,
}

/// The organisations of OpenCode's hosted console.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConsoleOrgs {
    /// The organisations; none.
    pub orgs: Vec<ConsoleOrg>,
}

/// A resource of an MCP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct McpResource {
    /// Its name.
    pub name: String,
    /// Its address.
    pub uri: String,
    /// The MCP server that has it.
    pub client: String,
}

/// A tool that a model can call.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ToolListItem {
    /// Its id.
    pub id: String,
    /// What it does.
    pub description: String,
    /// The JSON schema of its arguments.
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
}

/// A workspace of OpenCode: another place where a session can run.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Workspace {
    /// Its id, `wrk…`.
    pub id: String,
    /// Its kind.
    pub r#type: String,
    /// Its name.
    pub name: String,
    /// Its project.
    #[serde(rename = "projectID")]
    pub project_id: String,
    /// When it was used last, in milliseconds since the Unix epoch.
    #[serde(rename = "timeUsed")]
    pub time_used: u64,
}

/// Whether a workspace can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkspaceStatus {
    /// The workspace.
    #[serde(rename = "workspaceID")]
    pub workspace_id: String,
    /// `connected`, `connecting`, `disconnected` or `error`.
    pub status: String,
}

/// A kind of workspace that can be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkspaceAdapter {
    /// The kind.
    pub r#type: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
}

/// A code formatter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = FormatterInfo)]
pub struct FormatterStatus {
    /// Its name.
    pub name: String,
    /// The file name extensions that it formats.
    pub extensions: Vec<String>,
    /// Whether it is switched on.
    pub enabled: bool,
}

/// Whether a language server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LspState {
    /// It runs.
    Connected,
    /// It has failed.
    Error,
}

/// A language server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LspServerStatus)]
pub struct LspStatus {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The folder that it works in, relative to the project.
    pub root: String,
    /// Whether it runs.
    pub status: LspState,
}

/// A shell for terminals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ShellProgram)]
pub struct Shell {
    /// Its program.
    pub path: String,
    /// Its name.
    pub name: String,
    /// OpenCode can use it for its tools, too.
    pub acceptable: bool,
}

/// A skill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Skill {
    /// Its name.
    pub name: String,
    /// When to use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub description: Option<String>,
    /// The file that it is in.
    pub location: String,
    /// Its text.
    pub content: String,
}

/// A folder or repository that agents may look into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2Reference {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub path: String,
}

/// A service that credentials can be given for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2Integration {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}
