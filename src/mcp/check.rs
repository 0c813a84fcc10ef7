//! Whether a server answers.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use super::Transport;
use crate::environment::Environment;
use crate::process::{Group, Ledger, leader};

/// A server has this long to answer. One that `npx` has to download first takes a while.
const PATIENCE: Duration = Duration::from_secs(10);
/// At most this much of what a server says is looked at, in bytes.
const ANSWER_MAX_BYTES: u64 = 1024 * 1024;
/// The version of MCP that is offered; a server answers with the one that it speaks.
const PROTOCOL_VERSION: &str = "2025-06-18";

/// The program of a command, where it lies.
///
/// # Errors
/// A part of a sentence: it is not there.
pub(super) fn program(command: &[String]) -> Result<String, String> {
    let program = command.first().map(String::as_str).unwrap_or_default();
    match which::which(program) {
        Ok(path) => Ok(path.to_string_lossy().into_owned()),
        Err(_) => Err(format!("its program \"{program}\" was not found")),
    }
}

/// Whether it answers Baton.
///
/// # Errors
/// Why it does not, as a sentence.
pub(super) async fn answers(
    name: &str,
    transport: &Transport,
    ledger: &Arc<dyn Ledger>,
) -> Result<(), String> {
    let looked = match transport {
        Transport::Stdio {
            command,
            environment,
        } => timeout(PATIENCE, shakes_hands(name, command, environment, ledger)).await,
        Transport::Http(remote) | Transport::Sse(remote) => {
            timeout(PATIENCE, takes_connections(&remote.url)).await
        }
    };
    looked.unwrap_or_else(|_| {
        Err(format!(
            "It has not answered within {} s",
            PATIENCE.as_secs()
        ))
    })
}

/// The first half of MCP's handshake with a program, which is ended then.
async fn shakes_hands(
    name: &str,
    command: &[String],
    environment: &BTreeMap<String, String>,
    ledger: &Arc<dyn Ledger>,
) -> Result<(), String> {
    let program = program(command)?;
    let environment = Environment {
        set: environment.clone(),
        ..Environment::default()
    };
    let mut start: Command = leader(&program, environment.variables());
    start.args(command.get(1..).unwrap_or_default());
    start
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = start
        .spawn()
        .map_err(|error| format!("It cannot be started: {error}"))?;
    // Killed when this is left, whatever has come.
    let _group = Group::led_by(&child).on_record(ledger, name);
    let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("It cannot be talked to".to_owned());
    };
    let hello = json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {
            "protocolVersion": PROTOCOL_VERSION, "capabilities": {},
            "clientInfo": { "name": "baton", "version": env!("CARGO_PKG_VERSION") },
        },
    });
    let gone = |error: std::io::Error| format!("It has ended: {error}");
    to.write_all(format!("{hello}\n").as_bytes())
        .await
        .map_err(gone)?;
    to.flush().await.map_err(gone)?;
    let mut lines = BufReader::new(from.take(ANSWER_MAX_BYTES)).lines();
    while let Some(line) = lines.next_line().await.map_err(gone)? {
        // Some print something for people first.
        let Ok(said) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        match (said.get("result"), said.get("error")) {
            (Some(result), _) if result.get("protocolVersion").is_some() => return Ok(()),
            (_, Some(error)) => return Err(format!("It has refused the handshake: {error}")),
            _ => {}
        }
    }
    Err("It has ended without an answer".to_owned())
}

/// Whether somebody listens at an address.
async fn takes_connections(url: &str) -> Result<(), String> {
    let uri: hyper::Uri = url
        .parse()
        .map_err(|error| format!("{url} is no URL: {error}"))?;
    let (Some(host), Some(scheme)) = (uri.host(), uri.scheme_str()) else {
        return Err(format!("{url} names no host"));
    };
    let port = uri
        .port_u16()
        .unwrap_or(if scheme == "https" { 443 } else { 80 });
    let host = host.trim_matches(['[', ']']);
    let connected = TcpStream::connect((host, port)).await;
    connected
        .map(drop)
        .map_err(|error| format!("{host}:{port} cannot be reached: {error}"))
}
