//! Asks a backend what it offers in a directory, and what models it has below each of its providers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::means::Means;
use super::probe::{choose_once, note_efforts, read, read_commands, start};
use super::{Catalogue, ModelInfo};
use crate::agent::client::{self, Opened, Opening, SwitchError};
use crate::agent::connection::{CallError, Connection};
use crate::agent::options::Kind;
use crate::agent::sign_in;
use crate::agent::spec::AgentSpec;

/// Providers of one agent whose models a probe looks up.
const PROVIDERS_MAX: usize = 64;

/// What a backend offers in a directory: asked by opening a native session there. Efforts are left out, but for those of
/// the model that it starts with. `None` when the agent cannot be asked. Its process is gone afterwards.
pub(super) async fn look(
    spec: &AgentSpec,
    sign_in_with: Option<&str>,
    (scratch, cwd): (&Path, &Path),
    means: &mut Means<'_>,
) -> Option<Catalogue> {
    let (timeouts, ledger, starter) = (means.timeouts, means.ledger, means.starter);
    let (process, pipes) = start(spec, scratch, timeouts, starter).await.ok()?;
    process.note_start(ledger, &spec.id);
    let connection = Connection::open(pipes.stdin, pipes.stdout);
    let asked = async {
        let info = client::initialize(&connection, timeouts.start).await?;
        let nothing = Opening::default();
        let opened =
            sign_in::new_session(&connection, cwd, &nothing, sign_in_with, timeouts.session);
        let mut opened = opened.await?;
        let native_session = opened.native_session.clone();
        means.opened(&spec.id, &native_session).await;
        let mut catalogue = read(spec, info, &opened.options);
        if opened.options.providers.is_some() {
            read_providers(&connection, &mut opened, &mut catalogue, timeouts.switch).await;
        }
        let first = catalogue.default_model.clone();
        note_efforts(&mut catalogue, &first, opened.options.variant.as_ref());
        catalogue.commands = read_commands(&mut opened).await;
        let can = catalogue.info.capabilities;
        means
            .leave(&connection, can, &spec.id, &native_session)
            .await;
        Ok::<_, CallError>(catalogue)
    };
    let asked = asked.await;
    connection.close();
    process.end().await;
    process.note_end(ledger);
    asked
        .inspect_err(|error| {
            tracing::warn!(
                backend = spec.id,
                "what it offers in {} is not known: {error}",
                cwd.display()
            );
        })
        .ok()
}

/// The models of a provider are only shown while it is selected, so each is selected once, and the first one again.
pub(super) async fn read_providers(
    connection: &Arc<Connection>,
    opened: &mut Opened,
    catalogue: &mut Catalogue,
    timeout: Duration,
) {
    let Some(providers) = opened.options.providers.clone() else {
        return;
    };
    let first = catalogue.default_model.clone();
    // A refusal may end with a sign-in, so the names keep the provider then.
    let (mut ignored, mut others_exist) = (false, false);
    let others = providers
        .ids()
        .into_iter()
        .filter(|p| *p != providers.current);
    for provider in others.take(PROVIDERS_MAX) {
        let chosen = choose_once(connection, opened, Kind::Provider, &provider, timeout).await;
        if let Err(error) = chosen {
            tracing::debug!("the models of {provider} are not known: {error}");
            match error {
                SwitchError::Ignored { .. } => ignored = true,
                _ => others_exist = true,
            }
            continue;
        }
        others_exist = true;
        let shown = opened
            .options
            .model
            .iter()
            .flat_map(|choice| &choice.values);
        for value in shown {
            if catalogue.model(&value.id).is_none() {
                catalogue.models.push(ModelInfo {
                    id: value.id.clone(),
                    name: value.name.clone(),
                    variants: None,
                    default_variant: None,
                    context_tokens: None,
                    is_configured: false,
                });
            }
        }
    }
    if let Err(error) = choose_once(connection, opened, Kind::Model, &first, timeout).await {
        tracing::debug!("{first} was not selected again: {error}");
    }
    if ignored && !others_exist {
        leave_out_provider(&providers.current, opened, catalogue);
    }
}

/// An agent may accept each of its providers and stay with one: that one's name says nothing.
fn leave_out_provider(only: &str, opened: &mut Opened, catalogue: &mut Catalogue) {
    let prefix = format!("{only}/");
    let ids = catalogue.models.iter_mut().map(|model| &mut model.id);
    for id in ids.chain([&mut catalogue.default_model]) {
        if let Some(rest) = id.strip_prefix(&prefix) {
            *id = rest.to_owned();
        }
    }
    catalogue.one_provider = true;
    opened.options.leave_out_provider();
}
