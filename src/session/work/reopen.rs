//! Having an earlier native session back: resumed or loaded, and only if there is a sign that it is the one that it was.
//!
//! An agent's "yes" proves nothing. Agents were seen to answer so for a native session that they have lost, and to continue with
//! an empty one, with another one, or with the model that it was made with. So a list that names it, or what a load
//! replays, has to show that it is there; and where the model is one of the launch, the agent's own word which it is.

use std::path::Path;
use std::sync::Arc;

use super::Worker;
use super::bind::call_error;
use super::live::{Live, Origin};
use crate::agent::client::{self, Opened, Reopen};
use crate::agent::connection::CallError;
use crate::agent::native;
use crate::agent::options::Kind;
use crate::agent::pool::Agent;
use crate::opencode::Selection;
use crate::opencode::message::MessageError;
use crate::registry::SwitchMethod;
use crate::session::cell::Binding;

impl Worker {
    /// The native session that the session has had in this backend; `None` when it has to have a new one.
    pub(super) async fn reopen(
        &mut self,
        agent: &Arc<Agent>,
        selection: &Selection,
    ) -> Result<Option<Live>, MessageError> {
        let provider = selection.provider_id.as_str();
        let committed = self.cell.committed();
        let Some(binding) = committed.runtime().bindings.get(provider) else {
            return Ok(None);
        };
        for how in self.rungs(agent, binding).await {
            let timeout = self.tools.settings.timeouts.session;
            let cwd = Path::new(&*self.cell.directory);
            let native = &binding.native_session;
            let opening = self.opening(provider, agent);
            let opened =
                client::reopen_session(&agent.connection, how, native, cwd, &opening, timeout);
            match opened.await {
                Ok(opened) if self.is_the_same(how, &opened, binding, selection) => {
                    let reopened = self.reopened(agent, how, opened, binding, selection);
                    let mut live = reopened.await;
                    live.opening = opening;
                    return Ok(Some(live));
                }
                Ok(_) => {
                    tracing::info!(
                        backend = provider,
                        "{} a native session has opened another one, or an empty one",
                        how.in_words()
                    );
                    agent.connection.detach(native);
                    return Ok(None);
                }
                // The next rung does not need what the agent has lost.
                Err(CallError::Rpc(error)) => tracing::info!(
                    backend = provider,
                    "{} a native session was refused: {}",
                    how.in_words(),
                    error.describe()
                ),
                Err(error) => self.not_reopened(agent, provider, error).await?,
            }
        }
        Ok(None)
    }

    /// The ways to try, in order. A resume shows nothing of what it has opened: where the agent can load as well, it is
    /// used for a native session that the agent lists.
    async fn rungs(&self, agent: &Arc<Agent>, binding: &Binding) -> Vec<Reopen> {
        let can = agent.info.capabilities;
        match (can.resume, can.load) {
            (true, true) if can.list && self.is_listed(agent, binding).await => {
                vec![Reopen::Resume, Reopen::Load]
            }
            (_, true) => vec![Reopen::Load],
            (true, false) => vec![Reopen::Resume],
            (false, false) => Vec::new(),
        }
    }

    async fn is_listed(&self, agent: &Arc<Agent>, binding: &Binding) -> bool {
        let timeout = self.tools.settings.timeouts.session;
        let cwd = Path::new(&*self.cell.directory);
        let native_session = &binding.native_session;
        let listed = native::find(&agent.connection, native_session, Some(cwd), timeout);
        // One that cannot be asked is found out by loading it.
        listed.await.is_ok_and(|listed| listed.is_some())
    }

    /// Whether what was opened is what was there, as far as that can be known.
    fn is_the_same(
        &self,
        how: Reopen,
        opened: &Opened,
        binding: &Binding,
        selection: &Selection,
    ) -> bool {
        if how == Reopen::Load && opened.replayed == 0 && binding.seen_turn > 0 {
            return false;
        }
        // A model that is given at launch: some agents continue with the one that the native session was made with.
        let is_launched = self.is_launched_with_model(selection);
        let is_proven = || {
            let model = opened.options.get(Kind::Model);
            model.is_some_and(|model| model.current == selection.model_id)
        };
        !is_launched || binding.model.as_ref() == Some(&selection.model_id) || is_proven()
    }

    /// Whether the agent of a selection is started with its model, instead of being switched to it.
    fn is_launched_with_model(&self, selection: &Selection) -> bool {
        let snapshot = self.tools.office.registry.at(&self.cell.directory);
        let catalogue = snapshot.catalogue(&selection.provider_id);
        catalogue.is_some_and(|catalogue| catalogue.switch == SwitchMethod::Restart)
    }

    async fn reopened(
        &mut self,
        agent: &Arc<Agent>,
        how: Reopen,
        mut opened: Opened,
        binding: &Binding,
        selection: &Selection,
    ) -> Live {
        let provider = &selection.provider_id;
        self.not_reopened.remove(provider);
        self.read_models_as_listed(provider, &mut opened.options);
        if let Some(commands) = opened.commands.take() {
            self.note_commands(provider, commands).await;
        }
        let origin = match how {
            Reopen::Resume => Origin::Resumed,
            Reopen::Load => Origin::Loaded,
        };
        let (agent, model) = (Arc::clone(agent), &selection.model_id);
        Live::new(agent, opened, binding.clone(), model, origin)
    }

    /// A native session that hangs or kills its agent must not do so again and again; an agent that died of
    /// something else may have its session back the next time.
    async fn not_reopened(
        &mut self,
        agent: &Arc<Agent>,
        provider: &str,
        error: CallError,
    ) -> Result<(), MessageError> {
        let again = !self.not_reopened.insert(provider.to_owned());
        if again || !error.is_gone() {
            self.forget_native(provider).await;
        }
        if error.is_gone() {
            return Err(call_error(provider, agent, error).await);
        }
        tracing::warn!(backend = provider, "a native session was given up: {error}");
        Ok(())
    }

    /// The next native session of a backend is a new one, which is given the whole conversation.
    pub(super) async fn forget_native(&self, provider: &str) {
        let provider = vec![provider.to_owned()];
        let forgotten = self.persist(move |draft| {
            draft.forget_binding(&provider);
            Ok(())
        });
        let _deleted = forgotten.await;
    }
}
