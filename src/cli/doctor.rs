//! `baton doctor`: where everything is, and which backends can be used.

use std::path::Path;

use clap::Args;
use serde::Deserialize;

use super::failure::Failure;
use super::server::{Home, Server, ServerArgs};
use super::table::{NOTHING, paragraph, table};
use super::terminal::{Terminal, one_line};
use super::words;
use crate::config::{BackendArgs, BackendSettings, Places};
use crate::store::data_dir::store_elsewhere;

/// The indent of what goes on in a further line.
const INDENT: usize = 2;
/// The column that the facts begin in.
const FACT_CHARS: usize = 8;

/// What `baton doctor` takes.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Of which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// A backend, as `GET /backend` has it.
#[derive(Debug, Deserialize)]
struct Backend {
    id: String,
    status: String,
    reason: Option<String>,
    version: Option<String>,
    install: String,
    #[serde(default)]
    probe: Option<Probe>,
}

#[derive(Debug, Deserialize)]
struct Probe {
    time: u64,
    #[serde(rename = "durationMs")]
    duration_ms: u64,
}

#[derive(Debug, Deserialize)]
struct Health {
    version: String,
}

/// Looks at everything.
///
/// # Errors
/// When no server runs: then the report says what one would have.
pub async fn run(
    args: &DoctorArgs,
    password: Option<&str>,
    terminal: Terminal,
) -> Result<(), Failure> {
    let server = match Server::find(&args.server, password) {
        Ok(server) => server,
        Err(failure) => {
            if args.server.url.is_none() {
                without_server(args, terminal)?;
            }
            return Err(failure);
        }
    };
    let health: Health = server.get("/global/health").await?;
    let fact = |name: &str, text: &str| terminal.line(&format!("{name:FACT_CHARS$}  {text}"));
    let pid = server.home.as_ref().and_then(|home| home.running.pid);
    let pid = pid.map_or_else(String::new, |pid| format!(", pid {pid}"));
    fact(
        "server",
        &format!(
            "{} · Baton {}{pid}",
            server.url(),
            one_line(&health.version)
        ),
    )?;
    if let Some(Home { data_dir, running }) = &server.home {
        fact("data", &data_dir.display().to_string())?;
        if let Some(store) = store_elsewhere(data_dir) {
            fact("store", &one_line(&store))?;
        }
        fact("config", &config_of(running.config_file.as_deref()))?;
        if let Some(started) = running.started {
            fact("started", &words::clock(started))?;
        }
    }
    let backends: Vec<Backend> = server.get("/backend").await?;
    terminal.line("")?;
    list(&backends, terminal)
}

fn config_of(file: Option<&Path>) -> String {
    match file {
        Some(file) if file.exists() => file.display().to_string(),
        Some(file) => format!("{} (not there: the defaults hold)", file.display()),
        None => "none: the defaults hold".to_owned(),
    }
}

fn list(backends: &[Backend], terminal: Terminal) -> Result<(), Failure> {
    let is_there = |backend: &&Backend| backend.status != "not-installed";
    let (there, missing): (Vec<_>, Vec<_>) = backends.iter().partition(is_there);
    let row = |backend: &&Backend| {
        let probe = backend.probe.as_ref();
        let probe = probe.map(|probe| {
            format!(
                "{}, {}",
                words::millis(probe.duration_ms),
                words::ago(probe.time)
            )
        });
        vec![
            one_line(&backend.id),
            in_words(&backend.status).to_owned(),
            backend
                .version
                .as_deref()
                .map_or_else(|| NOTHING.to_owned(), one_line),
            probe.unwrap_or_else(|| NOTHING.to_owned()),
        ]
    };
    let rows: Vec<_> = there.iter().map(row).collect();
    terminal.line(&table(
        &["BACKEND", "STATUS", "VERSION", "PROBED"],
        &rows,
        Some(2),
    ))?;
    for backend in &there {
        if let Some(reason) = &backend.reason {
            let line = format!("{}: {}", one_line(&backend.id), one_line(reason));
            terminal.line(&format!("\n{}", paragraph(&line, INDENT)))?;
        }
    }
    if !missing.is_empty() {
        terminal.line("\nNot installed. To install one:")?;
    }
    for backend in missing {
        let line = format!(
            "  {}: {}",
            one_line(&backend.id),
            one_line(&backend.install)
        );
        terminal.line(&line)?;
    }
    Ok(())
}

fn in_words(status: &str) -> &str {
    match status {
        "ready" => "found, can be used",
        "starting" => "being probed",
        "not-signed-in" => "not signed in",
        "failed" => "found, does not run",
        other => other,
    }
}

/// What a server would use, and what keeps it from starting.
fn without_server(args: &DoctorArgs, terminal: Terminal) -> Result<(), Failure> {
    let usage = |error: crate::config::ConfigError| Failure::Usage(error.to_string());
    let places = Places::of_this_process().map_err(usage)?;
    let data_dir = places
        .data_dir(args.server.data.data_dir.as_deref())
        .map_err(usage)?;
    let fact = |name: &str, text: &str| terminal.line(&format!("{name:FACT_CHARS$}  {text}"));
    let there = if data_dir.is_dir() {
        ""
    } else {
        " (not there yet)"
    };
    fact("server", "none")?;
    fact("data", &format!("{}{there}", data_dir.display()))?;
    if let Some(store) = store_elsewhere(&data_dir) {
        fact("store", &one_line(&store))?;
    }
    let of_environment = std::env::var_os("BATON_CONFIG").filter(|file| !file.is_empty());
    let backends = BackendArgs {
        config: of_environment.map(Into::into),
        ..BackendArgs::default()
    };
    let file = places.config_file(backends.config.as_deref());
    fact("config", &config_of(file.as_deref()))?;
    if let Err(error) = BackendSettings::load(&backends, &places, &data_dir, &data_dir) {
        terminal.warn(&format!("baton: {error}"));
    }
    Ok(())
}
