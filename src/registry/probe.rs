//! Finds out what a backend offers: starts it, opens a native session in a scratch directory, reads
//! its options, and ends it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Catalogue, ModelInfo, Status, SwitchMethod};
use crate::agent::Timeouts;
use crate::agent::client::{self, AUTH_REQUIRED, AgentInfo, Opened, SwitchError};
use crate::agent::commands::AgentCommand;
use crate::agent::connection::{CallError, Connection};
use crate::agent::options::{Choice, DEFAULT_EFFORT, Kind, Options, Via};
use crate::agent::pool::last_words;
use crate::agent::process::{AgentProcess, Pipes, Starter};
use crate::agent::spec::AgentSpec;
use crate::process_group::Ledger;

/// Models whose variants a probe finds out beforehand; those of the others are asked when somebody needs them
/// ([`efforts_of`]).
const VARIANT_MODELS_MAX: usize = 64;
/// Time for that.
const VARIANTS_AT_MOST: Duration = Duration::from_secs(20);
/// How long to wait for an agent's list of commands, once everything else is known.
const COMMANDS_AT_MOST: Duration = Duration::from_millis(1_500);
/// The model of a backend that advertises none and is configured with none.
pub const ONLY_MODEL: &str = "default";

/// What a probe has found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Whether the backend can be used.
    pub status: Status,
    /// What it offers.
    pub catalogue: Option<Catalogue>,
}

impl Found {
    fn unavailable(reason: String) -> Self {
        Self {
            status: Status::Unavailable(reason),
            catalogue: None,
        }
    }
}

/// Probes a backend. Whatever happens, its process is gone afterwards.
pub async fn probe(
    spec: &AgentSpec,
    scratch: &Path,
    timeouts: &Timeouts,
    ledger: &dyn Ledger,
    starter: &dyn Starter,
) -> Found {
    let (process, pipes) = match start(spec, scratch, timeouts, starter).await {
        Ok(started) => started,
        Err(reason) => return Found::unavailable(reason),
    };
    process.note_start(ledger, &spec.id);
    let connection = Connection::open(pipes.stdin, pipes.stdout);
    let found = ask(spec, &connection, scratch, timeouts).await;
    connection.close();
    process.end().await;
    process.note_end(ledger);
    let failure = match found {
        Ok(found) => return found,
        Err(failure) => failure,
    };
    match failure {
        Failure::SignedOut(info) => {
            let ways = if info.sign_in.is_empty() {
                String::new()
            } else {
                format!(" It offers: {}.", info.sign_in.join(", "))
            };
            let reason = format!(
                "Backend \"{}\" is not signed in. Start it once in a terminal and sign in.{ways}",
                spec.id
            );
            Found {
                status: Status::SignedOut(reason),
                catalogue: None,
            }
        }
        Failure::Call(error) => {
            let why = last_words(&process, &error).await;
            Found::unavailable(format!("Backend \"{}\" did not start: {why}", spec.id))
        }
    }
}

/// Starts a backend in the scratch directory, or says why that is not possible.
async fn start(
    spec: &AgentSpec,
    scratch: &Path,
    timeouts: &Timeouts,
    starter: &dyn Starter,
) -> Result<(AgentProcess, Pipes), String> {
    starter.find(spec)?;
    if let Err(error) = tokio::fs::create_dir_all(scratch).await {
        let folder = scratch.display();
        return Err(format!("The folder {folder} cannot be made: {error}"));
    }
    let launch = spec.launch(spec.models.first().map_or("", String::as_str), "probe");
    let started = starter.start(&launch, scratch, timeouts.end);
    started.map_err(|error| {
        let command = launch.command.join(" ");
        format!(
            "Backend \"{}\" cannot be started ({command}): {error}",
            spec.id
        )
    })
}

/// The efforts of one model, and the one that stands for none of them: asked by selecting the model. `None` when
/// the agent cannot be asked. Whatever happens, its process is gone afterwards.
pub async fn efforts_of(
    spec: &AgentSpec,
    model: &str,
    scratch: &Path,
    timeouts: &Timeouts,
    ledger: &dyn Ledger,
    starter: &dyn Starter,
) -> Option<(Vec<String>, Option<String>)> {
    let (process, pipes) = start(spec, scratch, timeouts, starter).await.ok()?;
    process.note_start(ledger, &spec.id);
    let connection = Connection::open(pipes.stdin, pipes.stdout);
    let asked = async {
        client::initialize(&connection, timeouts.start).await?;
        let mut opened = client::new_session(&connection, scratch, timeouts.session).await?;
        let Some(first) = opened.options.model.as_ref().map(|m| m.current.clone()) else {
            return Ok(None);
        };
        let found = select_once(&connection, &mut opened, model, timeouts.switch)
            .await
            .map(|()| efforts(opened.options.variant.as_ref()));
        // Some agents make a switch the user's new default.
        let _put_back = select_once(&connection, &mut opened, &first, timeouts.switch).await;
        Ok::<_, CallError>(
            found
                .map_err(|error| tracing::debug!("the variants of {model} are not known: {error}"))
                .ok(),
        )
    };
    let asked = asked.await;
    connection.close();
    process.end().await;
    process.note_end(ledger);
    asked.unwrap_or_else(|error| {
        tracing::warn!(
            backend = spec.id,
            "the variants of {model} cannot be asked: {error}"
        );
        None
    })
}

enum Failure {
    SignedOut(AgentInfo),
    Call(CallError),
}

async fn ask(
    spec: &AgentSpec,
    connection: &Arc<Connection>,
    scratch: &Path,
    timeouts: &Timeouts,
) -> Result<Found, Failure> {
    let info = client::initialize(connection, timeouts.start)
        .await
        .map_err(Failure::Call)?;
    let mut opened = match client::new_session(connection, scratch, timeouts.session).await {
        Ok(opened) => opened,
        Err(CallError::Rpc(error)) if error.code == AUTH_REQUIRED => {
            return Err(Failure::SignedOut(info));
        }
        Err(error) => return Err(Failure::Call(error)),
    };
    let mut catalogue = read(spec, info, &opened.options);
    let can_close = catalogue.info.capabilities.close;
    let native_session = opened.native_session.clone();
    if opened.options.model.is_some() {
        read_variants(connection, &mut opened, &mut catalogue, timeouts.switch).await;
    }
    catalogue.commands = read_commands(&mut opened).await;
    if can_close {
        let params = serde_json::json!({ "sessionId": native_session });
        // The process is ended next; closing only keeps its list of sessions tidy.
        let _tidy = connection.call("session/close", params, timeouts.end).await;
    }
    Ok(Found {
        status: Status::Connected,
        catalogue: Some(catalogue),
    })
}

fn read(spec: &AgentSpec, info: AgentInfo, options: &Options) -> Catalogue {
    let named = |id: &String, name: &String| ModelInfo {
        id: id.clone(),
        name: name.clone(),
        variants: None,
        default_variant: None,
        context_tokens: None,
    };
    let (models, default_model, switch) = match &options.model {
        Some(choice) => {
            let switch = match choice.via {
                Via::ConfigOption(_) => SwitchMethod::ConfigOption,
                Via::SetModel | Via::SetMode => SwitchMethod::SetModel,
            };
            (
                choice
                    .values
                    .iter()
                    .map(|v| named(&v.id, &v.name))
                    .collect(),
                choice.current.clone(),
                switch,
            )
        }
        None => {
            let only = vec![ONLY_MODEL.to_owned()];
            let ids = if spec.models.is_empty() {
                &only
            } else {
                &spec.models
            };
            let switch = if spec.per_model() {
                SwitchMethod::Restart
            } else {
                SwitchMethod::Fixed
            };
            (
                ids.iter().map(|id| named(id, id)).collect::<Vec<_>>(),
                ids[0].clone(),
                switch,
            )
        }
    };
    let offers = |mode: &&String| options.mode.as_ref().is_some_and(|c| c.offers(mode));
    Catalogue {
        info,
        models,
        default_model,
        modes: options
            .mode
            .as_ref()
            .map(|c| c.values.clone())
            .unwrap_or_default(),
        commands: Vec::new(),
        default_mode: options.mode.as_ref().map(|c| c.current.clone()),
        plan_mode: spec.plan_modes.iter().find(offers).cloned(),
        switch,
    }
}

/// The efforts of a model are only shown while it is selected, so each is selected once; the model
/// that the agent started with is selected again at the end, since some agents make a switch the
/// user's new default.
async fn read_variants(
    connection: &Arc<Connection>,
    opened: &mut Opened,
    catalogue: &mut Catalogue,
    timeout: Duration,
) {
    let started = Instant::now();
    let note = |catalogue: &mut Catalogue, model: &str, choice: Option<&Choice>| {
        let (variants, default) = efforts(choice);
        for info in catalogue.models.iter_mut().filter(|m| m.id == model) {
            info.variants = Some(variants.clone());
            info.default_variant.clone_from(&default);
        }
    };
    let first = catalogue.default_model.clone();
    note(catalogue, &first, opened.options.variant.as_ref());
    let others: Vec<String> = catalogue
        .models
        .iter()
        .map(|m| m.id.clone())
        .filter(|m| *m != first)
        .take(VARIANT_MODELS_MAX)
        .collect();
    for model in others.iter().chain([&first]) {
        if started.elapsed() > VARIANTS_AT_MOST && *model != first {
            continue;
        }
        match select_once(connection, opened, model, timeout).await {
            Ok(()) if *model != first => note(catalogue, model, opened.options.variant.as_ref()),
            Ok(()) => {}
            Err(error) => tracing::debug!("the variants of {model} are not known: {error}"),
        }
    }
}

async fn select_once(
    connection: &Arc<Connection>,
    opened: &mut Opened,
    model: &str,
    timeout: Duration,
) -> Result<(), SwitchError> {
    let mut outstanding = None;
    let switch = client::choose(
        connection,
        &mut outstanding,
        &opened.native_session,
        &mut opened.options,
        Kind::Model,
        model,
        timeout,
    );
    let told = &mut opened.commands;
    let hear = |message| client::note(told, &message);
    client::draining(&mut opened.inbox, switch, hear).await
}

/// The slash commands that an agent tells by itself, soon after it has opened a session.
async fn read_commands(opened: &mut Opened) -> Vec<AgentCommand> {
    let (inbox, told) = (&mut opened.inbox, &mut opened.commands);
    let first = async {
        while told.is_none() {
            match inbox.recv().await {
                Some(message) => client::note(told, &message),
                None => return,
            }
        }
    };
    // An agent without commands tells nothing at all.
    let _or_none = tokio::time::timeout(COMMANDS_AT_MOST, first).await;
    opened.commands.take().unwrap_or_default()
}

/// The efforts that a user can select, and the one that stands for none of them.
fn efforts(choice: Option<&Choice>) -> (Vec<String>, Option<String>) {
    let Some(choice) = choice else {
        return (Vec::new(), None);
    };
    let variants = choice
        .ids()
        .into_iter()
        .filter(|id| id != DEFAULT_EFFORT)
        .collect();
    let default = if choice.offers(DEFAULT_EFFORT) {
        DEFAULT_EFFORT
    } else {
        &choice.current
    };
    (variants, Some(default.to_owned()))
}
