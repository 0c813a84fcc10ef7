//! `baton mcp`: the MCP servers that agents of all backends are given.

use std::collections::BTreeMap;

use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::failure::Failure;
use super::import::{directory, encoded};
use super::server::{Server, ServerArgs};
use super::table::{NOTHING, table};
use super::terminal::{Terminal, one_line};

/// The column that gives way.
const WHY: usize = 2;

/// What `baton mcp` takes.
#[derive(Debug, Clone, Args)]
#[command(mut_args = |arg: clap::Arg| arg.global(true))]
pub struct McpArgs {
    /// What is done; they are listed when it is left out
    #[command(subcommand)]
    pub action: Option<McpAction>,

    /// The directory whose project may bring some along [default: the working directory]
    #[arg(long, value_name = "DIR")]
    pub directory: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Of which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What is done to an MCP server.
#[derive(Debug, Clone, Subcommand)]
pub enum McpAction {
    /// Give a server to agents again
    Connect(McpNameArgs),
    /// Take a server away from agents; it stays in the list
    Disconnect(McpNameArgs),
    /// Add a server until Baton ends: an address, or behind -- a program with its arguments
    Add(McpAddArgs),
}

/// Which MCP server.
#[derive(Debug, Clone, Args)]
pub struct McpNameArgs {
    /// The server's name
    pub name: String,
}

/// A new MCP server.
#[derive(Debug, Clone, Args)]
pub struct McpAddArgs {
    /// Its name, which agents put in front of the names of its tools: letters, digits, - and _
    pub name: String,

    /// The address of one that speaks MCP's streamable HTTP; one that ends with /sse is spoken to with server-sent events
    #[arg(
        value_name = "URL",
        required_unless_present = "command",
        conflicts_with = "command"
    )]
    pub address: Option<String>,

    /// The program that agents start, with its arguments
    #[arg(last = true)]
    pub command: Vec<String>,
}

/// Lists them, or changes one and shows what it is now.
///
/// # Errors
/// When there is no server, or it refuses.
pub async fn run(args: &McpArgs, server: &Server, terminal: Terminal) -> Result<(), Failure> {
    let place = format!(
        "?directory={}",
        encoded(&directory(args.directory.as_deref())?)
    );
    let Some(action) = &args.action else {
        let servers: Servers = server.get(&format!("/mcp{place}")).await?;
        return list(&servers, args.json, terminal);
    };
    let (name, servers) = match action {
        McpAction::Connect(args) => (
            &args.name,
            turned(&args.name, "connect", &place, server).await?,
        ),
        McpAction::Disconnect(args) => (
            &args.name,
            turned(&args.name, "disconnect", &place, server).await?,
        ),
        McpAction::Add(args) => (&args.name, added(args, &place, server).await?),
    };
    let own: Servers = servers.into_iter().filter(|(it, _)| it == name).collect();
    list(&own, args.json, terminal)
}

/// What is known of each, by name.
type Servers = BTreeMap<String, Value>;

async fn turned(name: &str, verb: &str, place: &str, server: &Server) -> Result<Servers, Failure> {
    let path = format!("/mcp/{}/{verb}{place}", encoded(name));
    let _done: Value = server.ask(Method::POST, &path, None).await?;
    Ok(server.get(&format!("/mcp{place}")).await?)
}

async fn added(args: &McpAddArgs, place: &str, server: &Server) -> Result<Servers, Failure> {
    let config = match &args.address {
        Some(url) => json!({ "type": "remote", "url": url }),
        None => json!({ "type": "local", "command": args.command }),
    };
    let body = json!({ "name": args.name, "config": config });
    Ok(server
        .ask(Method::POST, &format!("/mcp{place}"), Some(body))
        .await?)
}

fn list(servers: &Servers, as_json: bool, terminal: Terminal) -> Result<(), Failure> {
    if as_json {
        let json = serde_json::to_string_pretty(servers).map_err(Failure::of)?;
        return Ok(terminal.line(&json)?);
    }
    if servers.is_empty() {
        terminal.say("no MCP servers");
        return Ok(());
    }
    let row = |(name, status): (&String, &Value)| {
        let text = |field: &str| {
            status[field]
                .as_str()
                .map_or_else(|| NOTHING.to_owned(), one_line)
        };
        vec![one_line(name), text("status"), text("error")]
    };
    let rows: Vec<_> = servers.iter().map(row).collect();
    let gives_way = terminal.is_screen().then_some(WHY);
    terminal.line(&table(&["NAME", "STATUS", "WHY"], &rows, gives_way))?;
    Ok(())
}
