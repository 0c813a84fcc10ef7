//! `[nodes]`: other servers on the same store.

use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use crate::nodes::{DEFAULT_DRAIN, DEFAULT_LEASE, NodeSettings, Placement};

/// The shortest lease, in seconds: the database is told four times in it.
const LEASE_LEAST_S: u64 = 2;
/// The longest lease, in seconds: so long nobody goes on with what a server that is gone was at.
const LEASE_MOST_S: u64 = 300;
/// The longest that turns have to end, in seconds.
const DRAIN_MOST_S: u64 = 86_400;
/// The shortest secret, in bytes: whoever has it is any user.
const SECRET_LEAST: usize = 16;

/// The table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NodesTable {
    secret: Option<String>,
    url: Option<String>,
    home: Option<String>,
    lease_s: Option<u64>,
    drain_s: Option<u64>,
    placement: Option<Placement>,
}

/// What is configured about other servers; none where no secret is.
///
/// # Errors
/// When one of them cannot be used.
pub(super) fn of(
    url: Option<String>,
    table: &NodesTable,
    has_database: bool,
) -> Result<Option<NodeSettings>, ConfigError> {
    let Some(secret) = table.secret.clone().filter(|secret| !secret.is_empty()) else {
        return Ok(None);
    };
    let wrong = |message: &str| Err(ConfigError(format!("[nodes] {message}")));
    if !has_database {
        return wrong(
            "secret: servers share sessions in a PostgreSQL: set [store] url, or leave it out",
        );
    }
    if secret.len() < SECRET_LEAST || !secret.bytes().all(|b| b.is_ascii_graphic()) {
        return wrong("secret: expected at least 16 printable ASCII characters without spaces");
    }
    let url = url.filter(|url| !url.is_empty()).or(table.url.clone());
    let url = url.map(|url| url.trim_end_matches('/').to_owned());
    if let Some(url) = &url
        && !url
            .strip_prefix("http://")
            .is_some_and(|host| !host.is_empty() && !host.contains('/'))
    {
        return wrong("url: expected http://HOST:PORT, where the other nodes reach this one");
    }
    let seconds = |name, value: Option<u64>, least, most, default| match value {
        Some(value) if value < least || value > most => Err(ConfigError(format!(
            "[nodes] {name}: expected {least} to {most}, got {value}"
        ))),
        value => Ok(value.map_or(default, Duration::from_secs)),
    };
    Ok(Some(NodeSettings {
        lease: seconds(
            "lease_s",
            table.lease_s,
            LEASE_LEAST_S,
            LEASE_MOST_S,
            DEFAULT_LEASE,
        )?,
        drain: seconds("drain_s", table.drain_s, 0, DRAIN_MOST_S, DEFAULT_DRAIN)?,
        placement: table.placement.unwrap_or_default(),
        home: table.home.clone().filter(|home| !home.is_empty()),
        secret,
        url,
    }))
}
