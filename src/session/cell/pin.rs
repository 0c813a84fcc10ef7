//! A pinned session: what a message names does not select another model.

use super::Draft;
use crate::opencode::session::MessageModel;
use crate::registry::{PLAN, VariantWish, Wish};
use crate::session::Error;
use crate::session::request::Prompt;

impl Draft {
    /// Takes out of the wish of a prompt what a pinned session does not select: the model, its reasoning effort, and an agent
    /// that the pinned backend does not have, except `plan`, which is refused as always: users who want no change made must
    /// not be answered by an agent that makes some. Says which model was named in vain.
    ///
    /// # Errors
    /// For a command of another backend, which the pinned one could not run.
    pub(super) fn hold_to_pinned(
        &self,
        prompt: &Prompt,
    ) -> Result<(Wish, Option<MessageModel>), Error> {
        let mut wish = prompt.wish.clone();
        let pinned = self.state().selection.as_ref();
        let Some(pinned) = pinned.filter(|_| self.state().pinned) else {
            return Ok((wish, None));
        };
        let variant = match std::mem::take(&mut wish.variant) {
            VariantWish::Set(variant) => Some(variant),
            VariantWish::Keep | VariantWish::Unsaid | VariantWish::Default => None,
        };
        let backend = wish
            .agent
            .take_if(|agent| self.registry.backend(agent).is_some());
        let by_agent = backend.filter(|backend| *backend != pinned.provider_id);
        let named = wish.model.take().map(|m| (m.provider_id, m.model_id));
        // An agent that is a backend means its default model, and a profile its own.
        let named = named.or_else(|| {
            let catalogue = self.registry.catalogue(by_agent.as_ref()?)?;
            Some((by_agent.clone()?, catalogue.default_model.clone()))
        });
        let profile = wish
            .agent
            .as_deref()
            .and_then(|agent| self.registry.profile(agent));
        let named = named.or_else(|| {
            let profile = profile.filter(|profile| profile.follow)?;
            let (model, _) = self.registry.model_of(profile).ok()??;
            Some((model.provider_id, model.model_id))
        });
        if profile.is_some() {
            let model = Wish::of(&pinned.message_model());
            (wish.model, wish.variant) = (model.model, model.variant);
        }
        if wish.agent.as_deref().is_some_and(|agent| agent != PLAN)
            && self.registry.resolve(Some(pinned), &wish).is_err()
        {
            wish.agent = None;
        }
        let other = named.filter(|(provider_id, model_id)| {
            *provider_id != pinned.provider_id || *model_id != pinned.model_id
        });
        let foreign = |(provider_id, _): &(String, String)| *provider_id != pinned.provider_id;
        if prompt.native_command && other.as_ref().is_some_and(foreign) {
            return Err(Error::Invalid {
                field: "[\"command\"]".to_owned(),
                message: format!(
                    "The session is pinned to {}, which does not have this command. PATCH it with pin: false to go on \
                     with another model.",
                    pinned.label()
                ),
            });
        }
        let other = other.map(|(provider_id, model_id)| MessageModel {
            provider_id,
            model_id,
            variant,
        });
        Ok((wish, other))
    }
}
