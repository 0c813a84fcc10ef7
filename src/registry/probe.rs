//! Finds out what a backend offers: starts it, opens a native session in a scratch directory, reads
//! its options, and ends it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::means::Means;
use super::{Catalogue, ModelInfo, Status, SwitchMethod, look, sign_in};
use crate::agent::Timeouts;
use crate::agent::client::{self, AgentInfo, Opened, Opening, SwitchError};
use crate::agent::commands::AgentCommand;
use crate::agent::connection::{CallError, Connection};
use crate::agent::options::{Choice, DEFAULT_EFFORT, Kind, Options, Via};
use crate::agent::pool::last_words;
use crate::agent::process::{AgentProcess, Pipes, Starter};
use crate::agent::refusal::Refusal;
use crate::agent::sign_in::{self as agent_sign_in, SignInMethod};
use crate::agent::spec::AgentSpec;
use crate::folder;

/// Models whose variants a probe finds out beforehand; those of the others are asked when somebody needs them
/// ([`efforts_of`]).
const VARIANT_MODELS_MAX: usize = 64;
/// Time for the efforts.
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
    /// The ways to sign in that it has named.
    pub sign_in: Vec<SignInMethod>,
}

impl Found {
    fn failed(status: Status) -> Self {
        Self {
            status,
            catalogue: None,
            sign_in: Vec::new(),
        }
    }
}

/// Probes a backend. Whatever happens, its process is gone afterwards.
pub async fn probe(
    spec: &AgentSpec,
    sign_in_with: Option<&str>,
    scratch: &Path,
    means: &mut Means<'_>,
) -> Found {
    let (ledger, starter) = (means.ledger, means.starter);
    let (process, pipes) = match start(spec, scratch, means.timeouts, starter).await {
        Ok(started) => started,
        Err(status) => return Found::failed(status),
    };
    process.note_start(ledger, &spec.id);
    let connection = Connection::open(pipes.stdin, pipes.stdout);
    let found = ask(spec, sign_in_with, &connection, scratch, means).await;
    connection.close();
    process.end().await;
    process.note_end(ledger);
    let failure = match found {
        Ok(found) => return found,
        Err(failure) => failure,
    };
    match failure {
        Failure::SignedOut(info) => {
            let names: Vec<_> = info.methods.iter().map(|m| m.name.as_str()).collect();
            let ways = match names.is_empty() {
                true => String::new(),
                false => format!(" It offers: {}.", names.join(", ")),
            };
            let advice = sign_in::advice(spec, None);
            Found {
                status: Status::SignedOut(format!("{advice}{ways}")),
                catalogue: None,
                sign_in: info.methods,
            }
        }
        Failure::Call(error) => {
            let why = last_words(&process, &error).await;
            Found::failed(Status::Unavailable(format!(
                "Backend \"{}\" did not start: {why}",
                spec.id
            )))
        }
    }
}

/// Starts a backend in the scratch directory, or says why that is not possible.
pub(super) async fn start(
    spec: &AgentSpec,
    scratch: &Path,
    timeouts: &Timeouts,
    starter: &dyn Starter,
) -> Result<(AgentProcess, Pipes), Status> {
    starter.find(spec).map_err(Status::NotInstalled)?;
    if let Err(error) = folder::make_async(scratch).await {
        let shown = scratch.display();
        let reason = format!("The folder {shown} cannot be made: {error}");
        return Err(Status::Unavailable(reason));
    }
    let launch = spec.launch(spec.models.first().map_or("", String::as_str), "probe");
    let started = starter.start(&launch, scratch, timeouts.end);
    started.map_err(|error| {
        let command = launch.command.join(" ");
        Status::Unavailable(format!(
            "Backend \"{}\" cannot be started ({command}): {error}",
            spec.id
        ))
    })
}

/// The efforts of one model, and the one that means "none": asked by selecting the model. `None` when
/// the agent cannot be asked. Whatever happens, its process is gone afterwards.
pub async fn efforts_of(
    spec: &AgentSpec,
    sign_in_with: Option<&str>,
    model: &str,
    (scratch, cwd): (&Path, &Path),
    means: &mut Means<'_>,
) -> Option<(Vec<String>, Option<String>)> {
    let (timeouts, ledger, starter) = (means.timeouts, means.ledger, means.starter);
    let (process, pipes) = start(spec, scratch, timeouts, starter).await.ok()?;
    process.note_start(ledger, &spec.id);
    let connection = Connection::open(pipes.stdin, pipes.stdout);
    let asked = async {
        let info = client::initialize(&connection, timeouts.start).await?;
        let nothing = Opening::default();
        let opened =
            agent_sign_in::new_session(&connection, cwd, &nothing, sign_in_with, timeouts.session);
        let mut opened = opened.await?;
        let (can, native_session) = (info.capabilities, opened.native_session.clone());
        means.opened(&spec.id, &native_session).await;
        let Some(first) = opened.options.model.as_ref().map(|m| m.current.clone()) else {
            means
                .leave(&connection, can, &spec.id, &native_session)
                .await;
            return Ok(None);
        };
        let found = select_once(&connection, &mut opened, model, timeouts.switch)
            .await
            .map(|()| efforts(opened.options.variant.as_ref()));
        // Some agents make a switch the user's new default.
        let _put_back = select_once(&connection, &mut opened, &first, timeouts.switch).await;
        means
            .leave(&connection, can, &spec.id, &native_session)
            .await;
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
    sign_in_with: Option<&str>,
    connection: &Arc<Connection>,
    scratch: &Path,
    means: &mut Means<'_>,
) -> Result<Found, Failure> {
    let timeouts = means.timeouts;
    let info = client::initialize(connection, timeouts.start)
        .await
        .map_err(Failure::Call)?;
    let opened = agent_sign_in::new_session(
        connection,
        scratch,
        &Opening::default(),
        sign_in_with,
        timeouts.session,
    )
    .await;
    let mut opened = match opened {
        Ok(opened) => opened,
        Err(CallError::Rpc(error)) if Refusal::of(&error) == Refusal::SignedOut => {
            return Err(Failure::SignedOut(info));
        }
        Err(error) => return Err(Failure::Call(error)),
    };
    let native_session = opened.native_session.clone();
    means.opened(&spec.id, &native_session).await;
    let mut catalogue = read(spec, info, &opened.options);
    let can = catalogue.info.capabilities;
    if opened.options.providers.is_some() {
        look::read_providers(connection, &mut opened, &mut catalogue, timeouts.switch).await;
    }
    catalogue.configure(spec);
    if opened.options.model.is_some() {
        read_variants(connection, &mut opened, &mut catalogue, timeouts.switch).await;
    }
    catalogue.commands = read_commands(&mut opened).await;
    means
        .leave_earlier(connection, can, &spec.id, &native_session)
        .await;
    means
        .leave(connection, can, &spec.id, &native_session)
        .await;
    Ok(Found {
        status: Status::Connected,
        sign_in: catalogue.info.methods.clone(),
        catalogue: Some(catalogue),
    })
}

/// What a native session's options say about its backend.
pub(super) fn read(spec: &AgentSpec, info: AgentInfo, options: &Options) -> Catalogue {
    let named = |id: &String, name: &String| ModelInfo {
        id: id.clone(),
        name: name.clone(),
        variants: None,
        default_variant: None,
        context_tokens: spec.contexts.get(id).copied(),
        is_configured: false,
    };
    let (models, default_model, switch) = match &options.model {
        Some(choice) => {
            let switch = match choice.via {
                Via::ConfigOption(_) => SwitchMethod::ConfigOption,
                Via::SetModel | Via::SetMode => SwitchMethod::SetModel,
            };
            let values = choice.values.iter();
            let mut models: Vec<_> = values.map(|v| named(&v.id, &v.name)).collect();
            // An agent may have models that it does not list; whether it does, it says when one is selected.
            let unlisted = spec.models.iter().filter(|id| !choice.offers(id));
            models.extend(unlisted.map(|id| ModelInfo {
                is_configured: true,
                ..named(id, id)
            }));
            // Where it has chosen none, the first one is as good as any.
            let first = models.first().map(|model| model.id.clone());
            let chosen = Some(choice.current.clone()).filter(|id| !id.is_empty());
            (models, chosen.or(first).unwrap_or_default(), switch)
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
                ids.first().cloned().unwrap_or_default(),
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
        one_provider: false,
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
    let first = catalogue.default_model.clone();
    note_efforts(catalogue, &first, opened.options.variant.as_ref());
    let others: Vec<String> = catalogue
        .models
        .iter()
        .filter(|m| !m.is_configured)
        .map(|m| m.id.clone())
        .filter(|m| *m != first)
        .take(VARIANT_MODELS_MAX)
        .collect();
    for model in others.iter().chain([&first]) {
        if started.elapsed() > VARIANTS_AT_MOST && *model != first {
            continue;
        }
        match select_once(connection, opened, model, timeout).await {
            Ok(()) if *model != first => {
                note_efforts(catalogue, model, opened.options.variant.as_ref());
            }
            Ok(()) => {}
            Err(error) => tracing::debug!("the variants of {model} are not known: {error}"),
        }
    }
}

pub(super) fn note_efforts(catalogue: &mut Catalogue, model: &str, choice: Option<&Choice>) {
    let (variants, default) = efforts(choice);
    for info in catalogue.models.iter_mut().filter(|m| m.id == model) {
        info.variants = Some(variants.clone());
        info.default_variant.clone_from(&default);
    }
}

async fn select_once(
    connection: &Arc<Connection>,
    opened: &mut Opened,
    model: &str,
    timeout: Duration,
) -> Result<(), SwitchError> {
    choose_once(connection, opened, Kind::Model, model, timeout).await
}

pub(super) async fn choose_once(
    connection: &Arc<Connection>,
    opened: &mut Opened,
    kind: Kind,
    value: &str,
    timeout: Duration,
) -> Result<(), SwitchError> {
    let mut outstanding = None;
    let switch = client::choose(
        connection,
        &mut outstanding,
        &opened.native_session,
        &mut opened.options,
        kind,
        value,
        timeout,
    );
    let told = &mut opened.commands;
    let hear = |message| client::note(told, &message);
    client::draining(&mut opened.inbox, switch, hear).await
}

/// The slash commands that an agent advertises by itself, soon after it has opened a session.
pub(super) async fn read_commands(opened: &mut Opened) -> Vec<AgentCommand> {
    let (inbox, told) = (&mut opened.inbox, &mut opened.commands);
    let first = async {
        while told.is_none() {
            match inbox.recv().await {
                Some(message) => client::note(told, &message),
                None => return,
            }
        }
    };
    // An agent without commands advertises nothing.
    let _or_none = tokio::time::timeout(COMMANDS_AT_MOST, first).await;
    opened.commands.take().unwrap_or_default()
}

/// The efforts that a user can select, and the one that means "none".
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
