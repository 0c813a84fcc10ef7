//! What `baton agents` prints: every backend, whether it can run, and what it offers.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::RngExt;
use serde::Serialize;

use crate::agent::spec::{Found, Origin};
use crate::agent::{installed, quirks};
use crate::cli::install;
use crate::cli::table::{self as columns, NOTHING};
use crate::config::BackendSettings;
use crate::folder;
use crate::process::Ledger;
use crate::registry::{Backend, Registry, Status, SwitchMethod};
use crate::store::{SqliteStore, Store};

/// Names of models that the table shows before it only counts them.
const MODELS_SHOWN: usize = 4;
/// The columns of the table.
const HEAD: [&str; 7] = [
    "BACKEND", "STATUS", "VERSION", "MODELS", "SWITCHES", "KEEPS", "FOUND",
];
/// The column that gives way.
const MODELS: usize = 3;
/// The built-in mock agent.
const MOCK: &str = "mock";
/// The indent of what goes on in a further line.
const INDENT: usize = 2;

/// A backend in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its id, the `providerID` of requests.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Whether it is built into Baton.
    pub builtin: bool,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Whether it can run.
    pub status: EntryStatus,
    /// Why it cannot, and what to do.
    pub reason: Option<String>,
    /// Its version, as it says.
    pub version: Option<String>,
    /// The model that it starts with.
    pub default_model: Option<String>,
    /// Its models.
    pub models: Vec<EntryModel>,
    /// What can be selected as `agent`, besides `build` and the backend's id.
    pub modes: Vec<String>,
    /// How it changes its model.
    pub switch: Option<SwitchMethod>,
    /// It can load a native session.
    pub load: bool,
    /// It can resume a native session.
    pub resume: bool,
    /// Where its program was found; null when it was not.
    pub found: Option<Found>,
    /// Whether Baton's own tests run it.
    pub tested: bool,
    /// The version that `baton install` has installed.
    pub installed: Option<String>,
    /// The newest version, where it was asked for.
    pub newest: Option<String>,
    /// How to install it.
    pub install: String,
    /// How to sign in to it.
    pub login: String,
}

/// Whether a backend can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryStatus {
    /// It runs.
    Connected,
    /// It runs and wants the user to sign in.
    SignedOut,
    /// It cannot run.
    Unavailable,
}

impl EntryStatus {
    fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::SignedOut => "signed out",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A model in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryModel {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Its reasoning efforts.
    pub variants: Vec<String>,
}

/// Keeps no record: what is probed for a list ends with the list.
struct NullLedger;

impl Ledger for NullLedger {
    fn started(&self, _: u32, _: u64, _: &str) {}
    fn ended(&self, _: u32) {}
}

/// A folder that is gone afterwards.
#[derive(Debug)]
pub struct ScratchFolder(PathBuf);

impl ScratchFolder {
    /// Makes one.
    ///
    /// # Errors
    /// When the system's folder for temporary files cannot be written.
    pub fn new() -> io::Result<Self> {
        let number: u64 = rand::rng().random();
        let path = std::env::temp_dir().join(format!("baton-agents-{number:016x}"));
        folder::make_new(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!("{} could not be removed: {error}", self.0.display());
        }
    }
}

/// Probes every backend, all at the same time.
///
/// # Errors
/// When the scratch folder cannot be written.
pub async fn probe(settings: BackendSettings, scratch: &Path) -> io::Result<Vec<Entry>> {
    let store = SqliteStore::open(&scratch.join("probe.sqlite")).map_err(io::Error::other)?;
    let store = Arc::new(store);
    let registry = Registry::open(
        settings.agents,
        settings.default_model,
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::new(NullLedger),
        settings.timeouts,
        scratch.to_owned(),
    )
    .await;
    registry.probe_all().await;
    store.close();
    let snapshot = registry.snapshot();
    Ok(snapshot.backends.iter().map(|b| entry(b)).collect())
}

/// Asks the package registries for the newest versions of those agents that are there. Answers what could not be learnt.
pub async fn check_updates(entries: &mut [Entry]) -> Vec<String> {
    let mut unknown = Vec::new();
    let there = entries
        .iter_mut()
        .filter(|entry| entry.builtin && entry.found.is_some());
    for entry in there {
        let Some(packages) = quirks::packages(&entry.id) else {
            continue;
        };
        match install::newest(&packages).await {
            Ok(newest) => entry.newest = Some(newest),
            Err(reason) => unknown.push(format!("{}: {reason}", entry.id)),
        }
    }
    unknown
}

fn entry(backend: &Backend) -> Entry {
    let (status, reason) = match &backend.status {
        Status::Connected => (EntryStatus::Connected, None),
        Status::SignedOut(reason) => (EntryStatus::SignedOut, Some(reason.clone())),
        Status::NotInstalled(reason) | Status::Unavailable(reason) => {
            (EntryStatus::Unavailable, Some(reason.clone()))
        }
        Status::Probing => (
            EntryStatus::Unavailable,
            Some("It was not probed.".to_owned()),
        ),
    };
    let catalogue = backend.connected();
    let capabilities = catalogue.map(|c| c.info.capabilities);
    let models = catalogue.map(|c| c.models.as_slice()).unwrap_or_default();
    let modes = catalogue.map(|c| c.modes.as_slice()).unwrap_or_default();
    Entry {
        id: backend.spec.id.clone(),
        name: backend.spec.name.clone(),
        builtin: backend.spec.origin == Origin::Builtin,
        command: backend.spec.command.clone(),
        status,
        reason,
        version: catalogue.and_then(|c| c.info.version.clone()),
        default_model: catalogue.map(|c| c.default_model.clone()),
        models: models
            .iter()
            .map(|m| EntryModel {
                id: m.id.clone(),
                name: m.name.clone(),
                variants: m.variants.clone().unwrap_or_default(),
            })
            .collect(),
        modes: modes.iter().map(|m| m.id.clone()).collect(),
        switch: catalogue.map(|c| c.switch),
        load: capabilities.is_some_and(|c| c.load),
        resume: capabilities.is_some_and(|c| c.resume),
        found: backend.spec.find_program().ok().map(|(_, found)| found),
        tested: backend.spec.tested,
        installed: backend
            .spec
            .installed_in
            .as_deref()
            .and_then(installed::version),
        newest: None,
        install: backend.spec.install.clone(),
        login: backend.spec.login.clone(),
    }
}

/// The list as a table, with a paragraph for each backend that cannot run below it, a line for each that runs a command of the
/// user's own, and one for each built-in one that is not installed.
pub fn table(entries: &[Entry]) -> String {
    let is_missing = |entry: &&Entry| entry.builtin && entry.found.is_none();
    let (missing, shown): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(is_missing);
    let rows: Vec<_> = shown.iter().map(|entry| row(entry)).collect();
    let mut text = columns::table(&HEAD, &rows, Some(MODELS));
    text.push('\n');
    for entry in &shown {
        if let Some(reason) = &entry.reason {
            let reason = columns::paragraph(&format!("{}: {reason}", entry.id), INDENT);
            // Writing to a String cannot fail.
            let _always_fits = write!(text, "\n{reason}");
        }
    }
    for entry in shown.iter().filter(|entry| is_users_own(entry)) {
        let command = format!("{} runs: {}", entry.id, entry.command.join(" "));
        let _always_fits = write!(text, "\n{}", columns::paragraph(&command, INDENT));
    }
    for entry in shown.iter().filter(|entry| entry.newest.is_some()) {
        text.push_str(&update(entry));
    }
    if !missing.is_empty() {
        text.push_str("\nNot installed. To install one:");
    }
    for entry in missing {
        let untested = if entry.tested { "" } else { " (not tested)" };
        let how = format!("  {}{untested}: {}", entry.id, entry.install);
        let _always_fits = write!(text, "\n{how}");
    }
    text.trim_end().to_owned()
}

/// Whether a backend runs what its user has configured, and not what Baton knows.
fn is_users_own(entry: &Entry) -> bool {
    // The mock agent is Baton itself.
    !entry.builtin || (entry.found == Some(Found::Command) && entry.id != MOCK)
}

fn row(entry: &Entry) -> Vec<String> {
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
    let switch = entry.switch.map(|switch| match switch {
        SwitchMethod::ConfigOption => "option",
        SwitchMethod::SetModel => "set_model",
        SwitchMethod::Restart => "restart",
        SwitchMethod::Fixed => "one model",
    });
    let keeps = match (entry.load, entry.resume) {
        (true, true) => "load, resume",
        (true, false) => "load",
        (false, true) => "resume",
        (false, false) => NOTHING,
    };
    vec![
        entry.id.clone(),
        entry.status.word().to_owned(),
        or_nothing(entry.version.clone()),
        models(&entry.models),
        or_nothing(switch.map(str::to_owned)),
        keeps.to_owned(),
        found(entry),
    ]
}

/// A line about the newest version.
fn update(entry: &Entry) -> String {
    let (id, newest) = (&entry.id, entry.newest.as_deref().unwrap_or(NOTHING));
    let has = entry.installed.as_ref().or(entry.version.as_ref());
    match has {
        Some(has) if has == newest => format!("\n{id}: {has} is the newest version"),
        _ => format!(
            "\n{id}: the newest version is {newest}, yours is {}: baton install {id} --latest",
            has.map_or(NOTHING, String::as_str)
        ),
    }
}

fn found(entry: &Entry) -> String {
    match entry.found {
        None => NOTHING.to_owned(),
        Some(Found::Command) => "command".to_owned(),
        Some(Found::Installed) => "baton install".to_owned(),
        Some(Found::Path) => "PATH".to_owned(),
    }
}

fn models(models: &[EntryModel]) -> String {
    if models.is_empty() {
        return NOTHING.to_owned();
    }
    let shown: Vec<_> = models
        .iter()
        .take(MODELS_SHOWN)
        .map(|m| m.id.as_str())
        .collect();
    let more = if models.len() > MODELS_SHOWN {
        ", …"
    } else {
        ""
    };
    format!("{}: {}{more}", models.len(), shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::spec::AgentSpec;

    #[test]
    fn a_backend_that_cannot_run_says_what_to_do() {
        let spec = AgentSpec::from_config("x", vec!["x-agent".to_owned()]);
        let status = Status::Unavailable("Install it.".to_owned());
        let backend = Backend::new(spec, status, None);
        let entry = entry(&backend);
        assert_eq!(
            (entry.status, entry.models.len()),
            (EntryStatus::Unavailable, 0)
        );
        let table = table(&[entry]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(
            lines,
            [
                "BACKEND  STATUS       VERSION  MODELS  SWITCHES  KEEPS  FOUND",
                "x        unavailable  -        -       -         -      -",
                "",
                "x: Install it.",
                "x runs: x-agent"
            ]
        );
    }

    #[test]
    fn many_models_are_counted() {
        let all: Vec<_> = (0..9)
            .map(|n| EntryModel {
                id: format!("m{n}"),
                name: String::new(),
                variants: Vec::new(),
            })
            .collect();
        assert_eq!(models(&all), "9: m0, m1, m2, m3, …");
        assert_eq!(models(&all[..1]), "1: m0");
    }

    #[test]
    fn a_scratch_folder_is_gone_afterwards() {
        let folder = ScratchFolder::new().expect("made");
        let path = folder.path().to_owned();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }
}
