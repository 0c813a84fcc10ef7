//! `/node`: the servers that share a store, and what they ask each other.

pub mod forward;
pub mod growth;
pub mod peers;

use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};

use crate::http::handler::*;
use crate::nodes::Placement;
use crate::session::is_directory;
use crate::store::shared::SeenNode;
use peers::FromNode;

/// The servers that share a store.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeOverview {
    /// The one that answers; null where a store has one server.
    #[schema(required)]
    pub own: Option<String>,
    /// Which server takes a new session: `local`, the one that was asked, or `spread`, the one with the least to do.
    pub placement: NodePlacement,
    /// All that are known, by their ids; none where a store has one server.
    pub nodes: Vec<NodeInfo>,
}

/// Which server takes a new session.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodePlacement {
    /// The one that was asked.
    Local,
    /// The one with the least to do.
    Spread,
}

/// A server, as the store knows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeInfo {
    /// The name of its data directory.
    pub id: String,
    /// Where the others reach it.
    pub url: String,
    /// Its version.
    pub version: String,
    /// When it was started, in milliseconds since the Unix epoch.
    pub started: u64,
    /// It was heard of within the time of a lease.
    pub alive: bool,
    /// It takes no new work.
    pub draining: bool,
    /// Sessions whose lease it holds.
    pub leases: u64,
    /// What it said last that it does.
    pub load: NodeLoad,
}

/// What a server does.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct NodeLoad {
    /// Sessions that are at work, or ask something.
    pub sessions: u64,
    /// Turns in flight.
    pub turns: u64,
    /// Prompts that wait.
    pub prompts: u64,
    /// Agent processes that can be used.
    pub agents: u64,
}

impl From<SeenNode> for NodeInfo {
    fn from(seen: SeenNode) -> Self {
        Self {
            id: seen.node.id,
            url: seen.node.url,
            version: seen.node.version,
            started: seen.started_ms,
            alive: seen.alive.is_some(),
            draining: seen.node.drains,
            leases: seen.leases,
            load: serde_json::from_str(&seen.node.load).unwrap_or_default(),
        }
    }
}

/// List the servers that share the sessions
///
/// Where several servers use one PostgreSQL: which there are, which of them are alive, and how much each does.
#[utoipa::path(
    get,
    path = "/node",
    operation_id = "node.list",
    tag = "node",
    responses((status = 200, description = "The servers.", body = NodeOverview))
)]
pub async fn list(State(state): State<Shared>) -> Result<Json<NodeOverview>, Problem> {
    let nodes = state.sessions.nodes();
    let all = nodes.all().await?;
    let placement = nodes.settings().map_or(Placement::Local, |it| it.placement);
    Ok(Json(NodeOverview {
        own: nodes.id().map(str::to_owned),
        placement: match placement {
            Placement::Local => NodePlacement::Local,
            Placement::Spread => NodePlacement::Spread,
        },
        nodes: all.into_iter().map(NodeInfo::from).collect(),
    }))
}

/// Whether a server can be given work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `true`.
    pub ready: bool,
}

/// Ask whether the server can be given work
///
/// For whoever distributes requests: 503 while the store cannot be reached, and while the server drains. Whether it lives at all,
/// `/global/health` tells.
#[utoipa::path(
    get,
    path = "/node/ready",
    operation_id = "node.ready",
    tag = "node",
    responses((status = 200, description = "It can.", body = Readiness))
)]
pub async fn ready(State(state): State<Shared>) -> Result<Json<Readiness>, Problem> {
    if state.sessions.nodes().drains() {
        return Err(Problem::not_now(&"this node takes no new work"));
    }
    state.sessions.reach_store().await?;
    Ok(Json(Readiness { ready: true }))
}

/// How far a server is with draining.
#[derive(Debug, Serialize, ToSchema)]
pub struct Draining {
    /// Sessions that are still at work here.
    pub sessions: usize,
}

/// Have the server take no new work
///
/// Where several servers use one PostgreSQL: the server goes on with the turns that are in flight, gives back all other sessions, and
/// sends requests about them on. Stop it when nothing is at work any more; SIGTERM does both.
#[utoipa::path(
    post,
    path = "/node/drain",
    operation_id = "node.drain",
    tag = "node",
    responses(
        (status = 200, description = "It drains.", body = Draining),
        NotThere,
    )
)]
pub async fn drain(State(state): State<Shared>) -> Result<Json<Draining>, Problem> {
    let nodes = state.sessions.nodes();
    if !nodes.is_shared() {
        let message = "There is no other server to go on with the sessions ([nodes] secret)";
        return Err(Problem::not_found(message));
    }
    let sessions = state.sessions.drain().await;
    Ok(Json(Draining { sessions }))
}

/// What servers ask each other. It is in no document.
pub fn between() -> Router<Shared> {
    Router::new()
        .route(forward::ASKS, get(asks))
        .route(forward::DIRECTORY, get(directory))
        .route(forward::GROWTH, get(grows))
}

/// What this server's agents ask now, by ids: for other servers.
async fn asks(
    State(state): State<Shared>,
    node: Option<Extension<FromNode>>,
) -> Result<Json<Vec<String>>, Problem> {
    for_nodes(node)?;
    Ok(Json(state.sessions.asks_now()))
}

/// Whether this server has a directory: for other servers.
async fn directory(
    Directory(directory): Directory,
    node: Option<Extension<FromNode>>,
) -> Result<Json<bool>, Problem> {
    for_nodes(node)?;
    Ok(Json(is_directory(directory).await))
}

/// What grows at this server: for other servers.
async fn grows(
    State(state): State<Shared>,
    node: Option<Extension<FromNode>>,
) -> Result<Response, Problem> {
    for_nodes(node)?;
    growth::respond(&state)
}

fn for_nodes(node: Option<Extension<FromNode>>) -> Result<(), Problem> {
    let refused = || Problem::forbidden("This is for the nodes that share the store");
    node.map(drop).ok_or_else(refused)
}
