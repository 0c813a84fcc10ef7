//! Sets mode, model and variant on a native session, after every new, load and resume; what is set already
//! costs nothing.

use std::sync::Arc;

use super::Worker;
use super::bind::{failed, refused, unknown};
use super::heard::is_of_answer;
use super::live::{Live, Origin};
use super::told::mode_id;
use crate::agent::client::{self, SwitchError};
use crate::agent::connection::{CallError, Inbound};
use crate::agent::options::Kind;
use crate::agent::pool::Agent;
use crate::agent::refusal::Refusal;
use crate::opencode::Selection;
use crate::opencode::message::MessageError;
use crate::registry::{Catalogue, SwitchMethod};

impl Worker {
    /// Makes the live native session of a selection's backend match the selection.
    pub(super) async fn apply(&mut self, selection: &Selection) -> Result<(), MessageError> {
        let provider = &selection.provider_id;
        let Some(live) = self.lives.get(provider) else {
            return Err(unknown(format!("Backend \"{provider}\" has no session.")));
        };
        let (agent, origin) = (Arc::clone(&live.agent), live.origin);
        let snapshot = self.tools.office.registry.at(&self.cell.directory);
        let Some(catalogue) = snapshot.catalogue(provider) else {
            return Err(not_probed(provider));
        };
        let mut chosen = self.choose_in_live(selection, catalogue).await;
        if is_lost(&chosen) && origin == Origin::Used {
            self.let_go_of(provider).await;
            self.bind(Arc::clone(&agent), selection).await?;
            chosen = self.choose_in_live(selection, catalogue).await;
        }
        let origin = self.lives.get(provider).map_or(origin, |live| live.origin);
        // A native session that was opened again may list less than a new one, or under other ids.
        let is_other = matches!(chosen, Err(SwitchError::NotOffered { .. })) || is_lost(&chosen);
        if is_other && origin != Origin::New {
            let mut new = self.open_new(Arc::clone(&agent), selection).await?;
            let chosen_there = self.choose_all(&mut new, selection, catalogue).await;
            if chosen_there.is_ok() {
                tracing::info!(
                    backend = provider,
                    model = selection.model_id,
                    "a new native session takes over"
                );
                self.take_over(provider, &new).await?;
                self.lives.insert(provider.clone(), new);
                chosen = chosen_there;
            }
        }
        if matches!(chosen, Err(SwitchError::NotOffered { .. })) {
            self.retire_if_outdated(provider, &agent);
        }
        self.told_as_error(provider, &agent, chosen).await
    }

    /// What a probe has found since a process was started, the process may know nothing of: agents read their
    /// configuration once.
    fn retire_if_outdated(&self, provider: &str, agent: &Arc<Agent>) {
        let probed = self.tools.office.registry.probed(provider);
        if probed.is_some_and(|probed| probed > agent.started) {
            tracing::info!(
                backend = provider,
                "a new process takes the place of one that is older than what was found since"
            );
            self.tools.pool.retire(agent);
        }
    }

    async fn told_as_error(
        &self,
        provider: &str,
        agent: &Arc<Agent>,
        chosen: Result<(), SwitchError>,
    ) -> Result<(), MessageError> {
        match chosen {
            Ok(()) => Ok(()),
            Err(SwitchError::Call {
                error:
                    error @ (CallError::Closed
                    | CallError::Disconnected { .. }
                    | CallError::Timeout { .. }),
                ..
            }) => Err(self.give_up(provider, agent, error).await),
            Err(error) => Err(refused(format!(
                "Backend \"{provider}\" {}.",
                error.in_words().trim_end_matches('.')
            ))),
        }
    }

    /// The live native session is not moved, so that it stays when this is given up in the middle.
    async fn choose_in_live(
        &mut self,
        selection: &Selection,
        catalogue: &Catalogue,
    ) -> Result<(), SwitchError> {
        let Self { lives, tools, .. } = self;
        match lives.get_mut(&selection.provider_id) {
            Some(live) => {
                Chooser {
                    tools,
                    directory: &self.cell.directory,
                    live,
                }
                .all(selection, catalogue)
                .await
            }
            None => Ok(()),
        }
    }

    /// Makes a native session that is not among the live ones match a selection.
    pub(super) async fn apply_to(
        &self,
        live: &mut Live,
        selection: &Selection,
    ) -> Result<(), MessageError> {
        let provider = &selection.provider_id;
        let snapshot = self.tools.office.registry.at(&self.cell.directory);
        let Some(catalogue) = snapshot.catalogue(provider) else {
            return Err(not_probed(provider));
        };
        let chosen = self.choose_all(live, selection, catalogue).await;
        let agent = Arc::clone(&live.agent);
        self.told_as_error(provider, &agent, chosen).await
    }

    async fn choose_all(
        &self,
        live: &mut Live,
        selection: &Selection,
        catalogue: &Catalogue,
    ) -> Result<(), SwitchError> {
        let chooser = Chooser {
            tools: &self.tools,
            directory: &self.cell.directory,
            live,
        };
        chooser.all(selection, catalogue).await
    }
}

/// Whether a choice was refused for a reason that may lie in the native session.
fn is_lost(chosen: &Result<(), SwitchError>) -> bool {
    match chosen {
        Err(SwitchError::Call {
            error: CallError::Rpc(error),
            ..
        }) => matches!(Refusal::of(error), Refusal::SessionGone | Refusal::Other),
        _ => false,
    }
}

fn not_probed(provider: &str) -> MessageError {
    failed(format!(
        "What backend \"{provider}\" offers is not known yet. Send the prompt again in a moment; `baton agents` shows whether \
         it can be used."
    ))
}

/// What is dealt with after a choice: what belongs to an answer, and what the agent asks. The rest is older than its reply.
fn kept(message: Inbound) -> Option<Inbound> {
    match &message {
        Inbound::Update(update) if !is_of_answer(update) => None,
        Inbound::Update(_) | Inbound::Request { .. } => Some(message),
        _ => None,
    }
}

/// Chooses on one native session.
struct Chooser<'a> {
    tools: &'a super::Tools,
    directory: &'a str,
    live: &'a mut Live,
}

impl Chooser<'_> {
    async fn all(
        mut self,
        selection: &Selection,
        catalogue: &Catalogue,
    ) -> Result<(), SwitchError> {
        self.await_outstanding().await;
        let mode = mode_id(catalogue, selection.mode());
        if let Some(mode) = &mode {
            self.choose(Kind::Mode, mode).await?;
        }
        let by_agent = matches!(
            catalogue.switch,
            SwitchMethod::ConfigOption | SwitchMethod::SetModel
        );
        if by_agent {
            let model = catalogue.model(&selection.model_id);
            let is_unlisted = model.is_some_and(|model| model.is_configured);
            let unlisted = is_unlisted.then(|| selection.model_id.clone());
            self.live.options.unlisted = unlisted.into_iter().collect();
            self.choose(Kind::Model, &selection.model_id).await?;
        }
        let model = catalogue.model(&selection.model_id);
        let default = model.and_then(|m| m.default_variant.as_ref());
        match (&selection.variant, default) {
            (Some(variant), _) => self.choose(Kind::Variant, variant).await?,
            (None, Some(default)) if self.live.options.variant.is_some() => {
                self.choose(Kind::Variant, default).await?
            }
            _ => {}
        }
        // Some agents change the mode along with the model.
        if let Some(mode) = &mode {
            self.choose(Kind::Mode, mode).await?;
        }
        Ok(())
    }

    /// A choice that was given up in the middle may have been done or not: once its reply is there,
    /// everything is set again.
    async fn await_outstanding(&mut self) {
        let live = &mut *self.live;
        if let Some(call) = live.outstanding.as_mut() {
            let _whatever = client::draining(&mut live.inbox, call, |message| {
                live.kept.extend(kept(message));
            })
            .await;
            live.outstanding = None;
            live.options.forget_current();
        }
    }

    async fn choose(&mut self, kind: Kind, value: &str) -> Result<(), SwitchError> {
        let timeout = self.tools.settings.timeouts.switch;
        let live = &mut *self.live;
        let is_chosen = live.options.get(kind).is_some_and(|c| c.current == value);
        live.is_chosen_anew |= kind == Kind::Model && !is_chosen;
        let connection = Arc::clone(&live.agent.connection);
        let choice = client::choose(
            &connection,
            &mut live.outstanding,
            &live.native_session,
            &mut live.options,
            kind,
            value,
            timeout,
        );
        // What the agent announces meanwhile is older than its reply; but its commands come only once.
        let mut told = None;
        let note = |message| {
            client::note(&mut told, &message);
            live.kept.extend(kept(message));
        };
        let chosen = client::draining(&mut live.inbox, choice, note).await;
        if let Some(commands) = told {
            let backend = &live.agent.launch.backend;
            self.tools
                .office
                .registry
                .note_commands(backend, &commands)
                .await;
            self.tools.told.note(self.directory, backend, commands);
        }
        chosen
    }
}
