//! What agents say by themselves: their slash commands, and what they have switched to.

use std::collections::{BTreeMap, HashMap};

use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::time::Instant;

use super::Worker;
use super::live::Live;
use crate::agent::commands::{self, AgentCommand};
use crate::agent::connection::Inbound;
use crate::agent::options::{Kind, Options};
use crate::opencode::Selection;
use crate::opencode::event::{Source, Transfer, TransferKind};
use crate::registry::{Catalogue, ModelWish, VariantWish, Wish};
use crate::session::cell::Queued;

/// Directories whose commands are kept.
const DIRECTORIES_MAX: usize = 1_000;

type ByBackend = BTreeMap<String, Vec<AgentCommand>>;

/// The slash commands that native sessions have advertised, by directory and backend: a native session may have
/// more than the probe has seen, because of its directory.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<HashMap<String, ByBackend>>);

impl Told {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, ByBackend>> {
        self.0.lock()
    }

    /// Keeps what a native session in a directory has advertised.
    pub(crate) fn note(&self, directory: &str, backend: &str, commands: Vec<AgentCommand>) {
        let mut told = self.lock();
        if told.len() >= DIRECTORIES_MAX && !told.contains_key(directory) {
            // Any: the next native session there advertises it again.
            let any = told.keys().next().cloned();
            any.map(|any| told.remove(&any));
        }
        let by_backend = told.entry(directory.to_owned()).or_default();
        by_backend.insert(backend.to_owned(), commands);
    }

    /// What native sessions in a directory have advertised.
    pub(crate) fn of(&self, directory: &str) -> ByBackend {
        self.lock().get(directory).cloned().unwrap_or_default()
    }
}

impl Worker {
    pub(super) async fn said_between_turns(&mut self, backend: &str, message: Inbound) {
        // Taken out meanwhile, so that it can be changed.
        let Some(mut live) = self.lives.remove(backend) else {
            return;
        };
        let is_lost = !self.said_outside(backend, &mut live, message).await;
        if live.heard.is_much() {
            self.store_heard(&mut live).await;
        }
        self.lives.insert(backend.to_owned(), live);
        if is_lost {
            self.let_go_of(backend).await;
        }
    }

    /// What has come before a prompt is not part of its answer. False when the native session is lost.
    pub(super) async fn hear_out(&self, live: &mut Live, queued: &Queued) -> bool {
        let backend = live.agent.launch.backend.clone();
        self.hear_kept(&backend, live).await;
        while let Some(message) = live.inbox.take_waiting() {
            // What another native session has selected is not the session's selection.
            if let Inbound::Update(update) = &message
                && !queued.work.is_prompt()
                && read_options(&mut live.options, update)
            {
                continue;
            }
            if !self.said_outside(&backend, live, message).await {
                self.hear_no_more(live).await;
                return false;
            }
        }
        self.store_heard(live).await;
        true
    }

    /// Deals with what came while something was chosen.
    pub(super) async fn hear_kept(&self, backend: &str, live: &mut Live) {
        for message in std::mem::take(&mut live.kept) {
            self.said_outside(backend, live, message).await;
        }
    }

    /// Nothing more is heard of the live native session of a backend.
    pub(super) async fn let_go_of(&mut self, backend: &str) {
        if let Some(mut live) = self.lives.remove(backend) {
            self.hear_no_more(&mut live).await;
        }
    }

    /// Deals with what an agent says outside of a turn. False when its native session is lost; it is opened again when it
    /// is needed.
    pub(super) async fn said_outside(
        &self,
        backend: &str,
        live: &mut Live,
        message: Inbound,
    ) -> bool {
        match message {
            Inbound::Update(update) => {
                if let Some(commands) = commands::read(&update) {
                    self.note_commands(backend, commands).await;
                } else if read_options(&mut live.options, &update) {
                    self.agent_has_switched(backend, &live.options).await;
                } else {
                    self.hear(live, update);
                }
            }
            Inbound::Request { id, method, params } => {
                self.asked_late(live, id, &method, &params).await;
            }
            Inbound::Overflowed { limit_bytes } => {
                tracing::warn!(
                    backend,
                    limit_bytes,
                    "an agent said too much between two turns"
                );
                return false;
            }
            Inbound::PromptReply(_) => {
                tracing::debug!(backend, "a prompt was answered after its turn had ended")
            }
        }
        true
    }

    /// Keeps the slash commands that an agent has advertised.
    pub(super) async fn note_commands(&self, backend: &str, commands: Vec<AgentCommand>) {
        let registry = &self.tools.office.registry;
        registry.note_commands(backend, &commands).await;
        self.tools
            .told
            .note(&self.cell.directory, backend, commands);
    }

    /// The agent has changed its model or mode by itself: the selection follows, unless the user has
    /// selected something else meanwhile.
    pub(super) async fn agent_has_switched(&self, backend: &str, options: &Options) {
        let snapshot = self.tools.office.registry.at(&self.cell.directory);
        let committed = self.cell.committed();
        let applied = committed.runtime().applied.as_ref();
        let applied = applied.filter(|a| a.provider_id == backend);
        let catalogue = snapshot.catalogue(backend);
        let wish = match (applied, catalogue) {
            (Some(applied), Some(catalogue)) => wish_of(applied, catalogue, options),
            _ => None,
        };
        let (Some(wish), Some(applied)) = (wish, applied.cloned()) else {
            return;
        };
        let switched = self.persist(move |draft| {
            draft.unless_deleted()?;
            let undisturbed = draft.runtime().applied.as_ref() == Some(&applied)
                && draft.state().selection.as_ref() == Some(&applied);
            let switched = undisturbed && draft.select_for(wish.clone(), Source::Agent);
            Ok(draft.state().target().filter(|_| switched))
        });
        let Ok(Some(target)) = switched.await else {
            return;
        };
        let transfer = Transfer {
            kind: TransferKind::Native,
            messages: 0,
            bytes: 0,
            elided: 0,
        };
        self.report_applied(&target, transfer, Instant::now()).await;
    }
}

/// The next message of any live native session; `None` from one whose agent is gone.
pub(super) async fn next_said(lives: &mut HashMap<String, Live>) -> (String, Option<Inbound>) {
    if lives.is_empty() {
        return std::future::pending().await;
    }
    let reads = lives
        .iter_mut()
        .map(|(id, live)| Box::pin(async move { (id.clone(), live.inbox.recv().await) }));
    futures_util::future::select_all(reads).await.0
}

/// Reads what an agent announces about its options; true when it did.
pub(super) fn read_options(options: &mut Options, update: &Value) -> bool {
    match update.get("sessionUpdate").and_then(Value::as_str) {
        Some("config_option_update") => options.read_config_options(update),
        Some("current_mode_update") => {
            let mode = update.get("currentModeId").and_then(Value::as_str);
            mode.inspect(|mode| options.note_current(Kind::Mode, mode))
                .is_some()
        }
        _ => false,
    }
}

/// The backend's mode for that of a selection; `None` for a backend without modes.
pub(super) fn mode_id(catalogue: &Catalogue, agent: &str) -> Option<String> {
    match agent {
        "build" => catalogue.default_mode.clone(),
        "plan" => catalogue.plan_mode.clone(),
        mode => Some(mode.to_owned()),
    }
}

/// The selection that an agent's options amount to, as a wish.
fn wish_of(applied: &Selection, catalogue: &Catalogue, options: &Options) -> Option<Wish> {
    let current = |kind| options.get(kind).map(|c| c.current.clone());
    let model_id = current(Kind::Model).unwrap_or_else(|| applied.model_id.clone());
    let default = catalogue.model(&model_id)?.default_variant.clone();
    let variant = match current(Kind::Variant) {
        Some(variant)
            if applied.variant.as_ref() == Some(&variant) || Some(&variant) != default.as_ref() =>
        {
            VariantWish::named(&variant)
        }
        _ => VariantWish::Default,
    };
    let agent = match current(Kind::Mode) {
        Some(mode) if mode_id(catalogue, applied.mode()).as_ref() != Some(&mode) => {
            catalogue.agent_of(mode)
        }
        _ => applied.agent.clone(),
    };
    let model = Some(ModelWish {
        provider_id: applied.provider_id.clone(),
        model_id,
    });
    Some(Wish {
        model,
        variant,
        agent: Some(agent),
    })
}
