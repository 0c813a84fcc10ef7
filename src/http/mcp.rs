//! `/mcp`: the MCP servers that agents are given.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer;

use crate::http::handler::*;
use crate::http::read::refusal;
use crate::mcp::{Server, State as Known, Transport, check_name};

/// What is known of an MCP server. Agents connect to it themselves; how that went, ACP does not tell.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = McpServerStatus)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum McpStatus {
    /// Agents are given it, and it has answered Baton: a program its handshake, an address a connection.
    Connected {},
    /// Agents are not given it.
    Disabled {},
    /// It did not answer Baton.
    Failed {
        /// Why.
        error: String,
    },
}

impl From<Known> for McpStatus {
    fn from(state: Known) -> Self {
        match state {
            Known::Works => Self::Connected {},
            Known::Disabled => Self::Disabled {},
            Known::Fails(error) => Self::Failed { error },
        }
    }
}

/// A server to add.
#[derive(Debug, Deserialize, ToSchema)]
pub struct McpAddInput {
    /// Its name, which agents put in front of the names of its tools: letters, digits, - and _.
    #[schema(
        pattern = "^[A-Za-z0-9_-]+$",
        min_length = 1,
        max_length = 64,
        example = "everything"
    )]
    pub name: String,
    /// How agents reach it.
    pub config: McpConfigInput,
}

/// How agents reach a server.
#[derive(Debug, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum McpConfigInput {
    /// A program that they start.
    Local(McpLocalInput),
    /// One at an address.
    Remote(McpRemoteInput),
}

/// How it is read (see [`PartInput`](crate::opencode::prompt::PartInput)).
#[derive(Deserialize)]
#[serde(remote = "McpConfigInput", rename = "tagged", rename_all = "lowercase")]
enum Tagged {
    Local(McpLocalInput),
    Remote(McpRemoteInput),
}

impl<'de> Deserialize<'de> for McpConfigInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Tagged::deserialize(deserializer)
    }
}

/// A server that is a program.
#[derive(Deserialize, ToSchema)]
pub struct McpLocalInput {
    /// Program and arguments.
    #[schema(min_items = 1, example = json!(["npx", "-y", "@modelcontextprotocol/server-everything"]))]
    pub command: Vec<String>,
    /// Variables that are set for it. They are not shown again.
    pub environment: Option<BTreeMap<String, String>>,
    /// Whether agents are given it; they are if left out.
    pub enabled: Option<bool>,
}

/// A server at an address.
#[derive(Deserialize, ToSchema)]
pub struct McpRemoteInput {
    /// The address. One that ends with `/sse` is spoken to with server-sent events, any other with MCP's streamable HTTP.
    pub url: String,
    /// Headers of each request. They are not shown again.
    pub headers: Option<BTreeMap<String, String>>,
    /// Whether agents are given it; they are if left out.
    pub enabled: Option<bool>,
}

impl fmt::Debug for McpLocalInput {
    /// Without the environment: some of it are keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.command)
    }
}

impl fmt::Debug for McpRemoteInput {
    /// Without the headers: some of them are keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl McpConfigInput {
    fn into_server(self) -> Result<Server, Problem> {
        let (transport, enabled) = match self {
            Self::Local(local) => {
                let environment = local.environment.unwrap_or_default();
                let transport = Transport::local(local.command, environment)
                    .map_err(|message| refusal(&["config", "command"], message))?;
                (transport, local.enabled)
            }
            Self::Remote(it) => {
                let headers = it.headers.unwrap_or_default();
                (Transport::remote(it.url, headers), it.enabled)
            }
        };
        let enabled = enabled.unwrap_or(true);
        Ok(Server { transport, enabled })
    }
}

async fn enable(
    state: &Shared,
    directory: &str,
    name: &str,
    enabled: bool,
) -> Result<Json<bool>, Problem> {
    state.sessions.read_place(directory).await;
    match state.sessions.mcp().enable(directory, name, enabled).await {
        true => Ok(Json(true)),
        false => Err(Problem::not_found(format!(
            "There is no MCP server \"{name}\". GET /mcp lists what there is."
        ))),
    }
}

async fn all(state: &Shared, directory: &str) -> Json<BTreeMap<String, McpStatus>> {
    state.sessions.read_place(directory).await;
    let states = state.sessions.mcp().states(directory).await.into_iter();
    let told = states.map(|(name, state)| (name, McpStatus::from(state)));
    Json(told.collect())
}

/// List MCP servers
///
/// The servers of the config file (`[mcp.NAME]`), those that were added since, and the `mcp` entries of OpenCode's own
/// configuration: of its user's folder, and of the directory and its worktree. The agents of all backends are given them,
/// before and after a switch; what a project brings along is `disabled` until it is connected. Those that an agent has in
/// a configuration of its own are not here: ACP does not tell them. The first request after a change looks whether they
/// answer, which takes up to ten seconds.
#[utoipa::path(
    get,
    path = "/mcp",
    operation_id = "mcp.status",
    tag = "config",
    params(Directory),
    responses((status = 200, description = "The MCP servers, by name.", body = BTreeMap<String, McpStatus>), Invalid)
)]
pub async fn status(
    State(state): State<Shared>,
    asked: Directory,
) -> Json<BTreeMap<String, McpStatus>> {
    all(&state, &asked.0).await
}

/// Add an MCP server
///
/// Agents are given it in every native session that is opened from then on; one that is open is opened again with the next
/// prompt, with what it knows. It is forgotten when the server ends: put it into the config file to keep it.
#[utoipa::path(
    post,
    path = "/mcp",
    operation_id = "mcp.add",
    tag = "config",
    params(Directory),
    request_body(content = McpAddInput, description = "The server."),
    responses((status = 200, description = "The MCP servers, by name.", body = BTreeMap<String, McpStatus>), Invalid)
)]
pub async fn add(
    State(state): State<Shared>,
    asked: Directory,
    Body(input): Body<McpAddInput>,
) -> Result<Json<BTreeMap<String, McpStatus>>, Problem> {
    check_name(&input.name).map_err(|message| refusal(&["name"], message))?;
    let server = input.config.into_server()?;
    let added = state.sessions.mcp().add(&input.name, server);
    added.map_err(|message| refusal(&["name"], message))?;
    Ok(all(&state, &asked.0).await)
}

/// Give an MCP server to agents
///
/// From then on, as if it had just been added.
#[utoipa::path(
    post,
    path = "/mcp/{name}/connect",
    operation_id = "mcp.connect",
    tag = "config",
    params(("name" = String, Path, description = "The server's name."), Directory),
    responses((status = 200, description = "It is given to agents.", body = bool), Invalid, NotThere)
)]
pub async fn connect(
    State(state): State<Shared>,
    PathName(name): PathName,
    asked: Directory,
) -> Result<Json<bool>, Problem> {
    enable(&state, &asked.0, &name, true).await
}

/// Take an MCP server away from agents
///
/// It stays in the list, and is given to no agent until it is connected again.
#[utoipa::path(
    post,
    path = "/mcp/{name}/disconnect",
    operation_id = "mcp.disconnect",
    tag = "config",
    params(("name" = String, Path, description = "The server's name."), Directory),
    responses((status = 200, description = "It is given to none.", body = bool), Invalid, NotThere)
)]
pub async fn disconnect(
    State(state): State<Shared>,
    PathName(name): PathName,
    asked: Directory,
) -> Result<Json<bool>, Problem> {
    enable(&state, &asked.0, &name, false).await
}
