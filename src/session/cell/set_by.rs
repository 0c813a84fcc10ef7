//! Who has set what is selected, and whether a message takes it back.
//!
//! UIs keep a model picker of their own and send it with every message. The message after somebody's PATCH therefore puts
//! the old model back, which is the contract, but not what anybody meant. So it is shown: when a message changes what
//! somebody else has set since the last message of the message's client.
//!
//! A client is known by its `x-client-id`, else by its `user-agent`, else as one of the unknown. A `user-agent` is that of a
//! kind of program: after a PATCH, only the same `x-client-id` counts as the same client (no UI selects a model by PATCH);
//! between two messages the same `user-agent` does, so that a client which names another model each time is not warned.

use serde::{Deserialize, Serialize};

use crate::opencode::Selection;
use crate::opencode::event::Source;
use crate::opencode::history::Overrides;
use crate::session::request::{Caller, Who};

/// At most this many clients are known to have sent a message since; others may be warned once too often.
const HEARD_MOST: usize = 16;

/// Who has set the model, and who the agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetBy {
    model: Option<Setter>,
    agent: Option<Setter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Setter {
    source: Source,
    who: Who,
    time: u64,
    /// Who has sent a message since.
    heard: Vec<Who>,
}

impl SetBy {
    /// What a change by a caller takes back of somebody else's.
    pub(crate) fn taken_back(
        &self,
        previous: Option<&Selection>,
        current: &Selection,
        caller: &Caller,
    ) -> Option<Overrides> {
        if !is_message(caller.source) {
            return None;
        }
        let (model, agent) = changed(previous, current);
        let model = self.model.as_ref().filter(|_| model);
        let agent = self.agent.as_ref().filter(|_| agent);
        let who = caller.who();
        let mut setters = model.into_iter().chain(agent);
        let setter = setters.find(|setter| setter.is_news_to(&who))?;
        Some(Overrides {
            source: setter.source,
            client: setter.who.name().map(str::to_owned),
            time: setter.time,
        })
    }

    /// Notes who has made a change.
    pub(crate) fn note(
        &mut self,
        previous: Option<&Selection>,
        current: &Selection,
        caller: &Caller,
        time: u64,
    ) {
        let setter = || {
            Some(Setter {
                source: caller.source,
                who: caller.who(),
                time,
                heard: Vec::new(),
            })
        };
        let (model, agent) = changed(previous, current);
        if model {
            self.model = setter();
        }
        if agent {
            self.agent = setter();
        }
    }

    /// Notes that a client has sent a message: what it selects from now on, it selects knowingly.
    pub(crate) fn hear(&mut self, who: &Who) {
        for setter in [&mut self.model, &mut self.agent].into_iter().flatten() {
            if !setter.heard.contains(who) {
                if setter.heard.len() >= HEARD_MOST {
                    setter.heard.remove(0);
                }
                setter.heard.push(who.clone());
            }
        }
    }
}

impl Setter {
    fn is_news_to(&self, who: &Who) -> bool {
        let is_sure = matches!(self.who, Who::Client(_));
        let by_somebody_else = match self.source {
            // It was not wished for in this session.
            Source::Revert | Source::Fork | Source::Fallback => false,
            Source::Patch | Source::Agent => !is_sure || self.who != *who,
            Source::Create | Source::Message | Source::Init | Source::Command => self.who != *who,
        };
        by_somebody_else && !self.heard.contains(who)
    }
}

fn is_message(source: Source) -> bool {
    matches!(source, Source::Message | Source::Init | Source::Command)
}

/// Whether the model has changed, and whether the agent has.
fn changed(previous: Option<&Selection>, current: &Selection) -> (bool, bool) {
    let previous = previous.map(|p| (p.model_ref(), &p.agent));
    let (model, agent) = match previous {
        None => (true, true),
        Some((model, agent)) => (model != current.model_ref(), *agent != current.agent),
    };
    (model, agent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(model: &str, agent: &str) -> Selection {
        Selection {
            provider_id: "p".into(),
            model_id: model.into(),
            variant: None,
            agent: agent.into(),
            mode: None,
        }
    }

    fn by(source: Source, client: Option<&str>, program: Option<&str>) -> Caller {
        Caller {
            source,
            client: client.map(str::to_owned),
            program: program.map(str::to_owned),
            reason: None,
        }
    }

    /// What a message takes back that changes the model which somebody has set.
    fn taken(set: &Caller, message: &Caller) -> Option<Overrides> {
        let (a, b) = (selection("a", "build"), selection("b", "build"));
        let mut set_by = SetBy::default();
        set_by.note(Some(&a), &b, set, 7);
        set_by.taken_back(Some(&b), &a, message)
    }

    #[test]
    fn what_somebody_else_has_set_is_told() {
        let patch = Source::Patch;
        let message = Source::Message;
        for (set, by_message, told) in [
            (by(patch, None, None), by(message, None, None), true),
            (
                by(patch, None, Some("node")),
                by(message, None, Some("node")),
                true,
            ),
            (
                by(patch, Some("x"), None),
                by(message, Some("x"), None),
                false,
            ),
            (
                by(patch, Some("x"), None),
                by(message, Some("y"), None),
                true,
            ),
            (
                by(message, None, Some("node")),
                by(message, None, Some("node")),
                false,
            ),
            (
                by(message, None, Some("node")),
                by(message, None, Some("bun")),
                true,
            ),
            (by(message, None, None), by(message, None, None), false),
            (
                by(Source::Create, None, None),
                by(message, None, None),
                false,
            ),
            (
                by(Source::Revert, None, None),
                by(message, None, None),
                false,
            ),
            (
                by(Source::Agent, None, None),
                by(Source::Init, None, None),
                true,
            ),
            (by(patch, None, None), by(patch, Some("y"), None), false),
        ] {
            let overrides = taken(&set, &by_message);
            assert_eq!(overrides.is_some(), told, "{set:?} {by_message:?}");
            if let Some(overrides) = overrides {
                assert_eq!((overrides.source, overrides.time), (set.source, 7));
                assert_eq!(overrides.client.as_deref(), set.who().name());
            }
        }
    }

    #[test]
    fn a_client_that_has_sent_a_message_since_selects_knowingly() {
        let (a, b) = (selection("a", "build"), selection("b", "build"));
        let mut set_by = SetBy::default();
        set_by.note(Some(&a), &b, &by(Source::Patch, None, None), 7);
        let ui = by(Source::Message, None, Some("ui"));
        for other in 0..HEARD_MOST {
            set_by.hear(&Who::Program(other.to_string()));
        }
        assert!(set_by.taken_back(Some(&b), &a, &ui).is_some());
        set_by.hear(&ui.who());
        assert_eq!(set_by.taken_back(Some(&b), &a, &ui), None);
    }

    #[test]
    fn only_what_was_set_can_be_taken_back() {
        let (a, b) = (selection("a", "build"), selection("b", "build"));
        let mut set_by = SetBy::default();
        set_by.note(Some(&a), &b, &by(Source::Patch, None, None), 7);
        let ui = by(Source::Message, None, Some("ui"));
        let plan = selection("b", "plan");
        assert_eq!(set_by.taken_back(Some(&b), &plan, &ui), None);
        set_by.note(Some(&b), &plan, &by(Source::Patch, None, None), 8);
        let both = set_by.taken_back(Some(&plan), &a, &ui);
        assert_eq!(both.map(|o| o.time), Some(7));
    }
}
