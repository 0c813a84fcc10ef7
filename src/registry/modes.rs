//! Which agents there are with a backend, and in which of its modes they work.

use super::resolve::Chosen;
use super::{BUILD, Catalogue, PLAN, SelectError, Snapshot};
use crate::opencode::Selection;
use crate::profile::Profile;

impl Snapshot {
    /// The agent, named or kept, and the backend's mode for it where that has another name.
    pub(super) fn agent_of(
        &self,
        chosen: &Chosen<'_>,
        current: Option<&Selection>,
        named: Option<&str>,
    ) -> Result<(String, Option<String>), SelectError> {
        let (catalogue, provider) = (chosen.catalogue, &chosen.model.provider_id);
        let agent = named
            .or(current.map(|c| c.agent.as_str()))
            .unwrap_or_else(|| self.default_agent());
        let of_profile = self.profile(agent).map(|p| self.mode_of(p, catalogue));
        // What was selected stays what it is when its profile is gone, and when another backend has its mode under
        // another name.
        let kept = current.filter(|c| match of_profile {
            Some(_) => named.is_none(),
            None => c.agent == agent,
        });
        let of_before = kept.map(Selection::mode);
        let modes = of_profile.or_else(|| of_before.is_none().then_some(agent));
        let mode = modes.into_iter().chain(of_before).find(|mode| match *mode {
            BUILD => true,
            PLAN => catalogue.plan_mode.is_some(),
            mode => has_mode(catalogue, mode),
        });
        let Some(mode) = mode else {
            // Falling back to `build` here would let a session that may only plan write files.
            let works_in = of_profile.or(of_before).filter(|mode| *mode != agent);
            let works_in = works_in.map(|mode| format!(" (in mode \"{mode}\")"));
            return Err(SelectError::UnknownAgent {
                agent: agent.to_owned(),
                message: format!(
                    "Agent \"{agent}\"{} is not available with provider \"{provider}\". Name an agent with the model.",
                    works_in.unwrap_or_default()
                ),
                available: agents_of(catalogue, provider),
            });
        };
        let is = |known: &Option<String>| known.as_deref() == Some(mode);
        let mode = match () {
            () if mode == agent => None,
            () if is(&catalogue.default_mode) => Some(BUILD.to_owned()),
            () if is(&catalogue.plan_mode) => Some(PLAN.to_owned()),
            () => Some(mode.to_owned()),
        };
        Ok((agent.to_owned(), mode))
    }

    /// The mode of a backend that a profile works in.
    fn mode_of<'a>(&self, profile: &'a Profile, catalogue: &Catalogue) -> &'a str {
        let has_own = |name: &str| matches!(name, BUILD | PLAN) || has_mode(catalogue, name);
        match &profile.mode {
            Some(mode) => mode,
            None if has_own(&profile.name) => &profile.name,
            None => BUILD,
        }
    }

    /// Whether an agent can be selected with what a backend offers.
    pub(super) fn has_agent(&self, catalogue: &Catalogue, agent: &str) -> bool {
        let mode = self.profile(agent).map(|p| self.mode_of(p, catalogue));
        let mode = mode.unwrap_or(agent);
        matches!(mode, BUILD | PLAN) || self.backend(agent).is_some() || has_mode(catalogue, mode)
    }
}

/// The agents that can be selected with a backend.
pub(super) fn agents_of(catalogue: &Catalogue, provider: &str) -> Vec<String> {
    let mut agents = vec![BUILD.to_owned()];
    if catalogue.plan_mode.is_some() {
        agents.push(PLAN.to_owned());
    }
    agents.push(provider.to_owned());
    let modes = catalogue.modes.iter().map(|m| m.id.clone());
    agents.extend(modes.filter(|m| m != BUILD && m != PLAN));
    agents
}

/// Whether a backend advertises a mode.
fn has_mode(catalogue: &Catalogue, mode: &str) -> bool {
    catalogue.modes.iter().any(|m| m.id == mode)
}
