//! `[store]`: a database elsewhere, in which sessions are kept instead of the data directory.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::password::{is_readable_by_others, others_can_read};
use super::{ConfigError, Places};
use crate::store::postgres::{DEFAULT_READERS, StoreUrl, Times, without_password};

/// Says that the store is the one of the data directory, whatever the config file has.
const OWN_STORE: &str = "sqlite";
/// Connections at most: a PostgreSQL has a hundred for all of its clients, unless it is told otherwise.
const MOST_CONNECTIONS: usize = 100;
/// The longest that is waited for a database, in seconds.
const LONGEST_WAIT_S: u64 = 3_600;

/// The table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StoreTable {
    url: Option<String>,
    connections: Option<usize>,
    connect_timeout_s: Option<u64>,
    statement_timeout_s: Option<u64>,
}

/// A database that sessions are kept in.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Where it is.
    pub url: StoreUrl,
    /// Connections that read, at most.
    pub connections: usize,
    /// How long to wait for it.
    pub times: Times,
}

/// The database of these settings; none when sessions are kept in the data directory.
///
/// # Errors
/// When one of them cannot be used.
pub(super) fn of(
    given: Option<&str>,
    table: &StoreTable,
    config_file: Option<&Path>,
    places: &Places,
    warnings: &mut Vec<String>,
) -> Result<Option<StoreSettings>, ConfigError> {
    let connections = within("connections", table.connections, MOST_CONNECTIONS)?;
    let seconds = |name, value| -> Result<_, ConfigError> {
        Ok(within(name, value, LONGEST_WAIT_S)?.map(Duration::from_secs))
    };
    let default = Times::default();
    let times = Times {
        connect: seconds("connect_timeout_s", table.connect_timeout_s)?.unwrap_or(default.connect),
        statement: seconds("statement_timeout_s", table.statement_timeout_s)?
            .unwrap_or(default.statement),
    };
    let given = given.filter(|url| !url.is_empty());
    let text = given
        .or(table.url.as_deref())
        .filter(|url| *url != OWN_STORE);
    let Some(text) = text else { return Ok(None) };
    let source = match given {
        Some(_) => "--store",
        None => "[store] url",
    };
    let url = StoreUrl::parse(text).map_err(|error| ConfigError(format!("{source}: {error}")))?;
    let folder = match given {
        Some(_) => Some(places.directory.as_path()),
        None => config_file.and_then(Path::parent),
    };
    if given.is_none()
        && without_password(text).1.is_some()
        && let Some(path) = config_file
        && is_readable_by_others(path)
    {
        warnings.push(others_can_read(
            "the config file with the password of the store",
            path,
        ));
    }
    Ok(Some(StoreSettings {
        url: url.beside(folder.unwrap_or(&places.directory)),
        connections: connections.unwrap_or(DEFAULT_READERS),
        times,
    }))
}

fn within<T: PartialOrd + From<u8> + std::fmt::Display + Copy>(
    name: &str,
    value: Option<T>,
    most: T,
) -> Result<Option<T>, ConfigError> {
    match value {
        Some(value) if value < T::from(1) || value > most => Err(ConfigError(format!(
            "[store] {name}: expected 1 to {most}, got {value}"
        ))),
        value => Ok(value),
    }
}
