//! What agents ask the user, and the replies: part of what is committed, so that a reply which cannot be
//! stored leaves the request open.

use std::sync::Arc;

use super::Draft;
use crate::opencode::event::{EventPayload, PermissionReplied, QuestionRejected, QuestionReplied};
use crate::opencode::request::{PermissionReply, PermissionRequest};
use crate::opencode::{PermissionId, QuestionId};
use crate::session::Error;
use crate::session::ask::{Always, Ask, WaitingPermission, WaitingQuestion};

/// Permissions given for good that a session remembers; the oldest are forgotten first.
const ALWAYS_MAX: usize = 1_000;

impl Draft {
    /// Lets a permission request wait, unless the rules have an answer to it: that is returned.
    ///
    /// # Errors
    /// When the session was deleted, or too much waits already.
    pub(crate) fn ask_permission(
        &mut self,
        asked: &Arc<WaitingPermission>,
    ) -> Result<Option<PermissionReply>, Error> {
        self.unless_deleted()?;
        let state = self.state();
        if let Some(reply) = asked.decided(
            &state.kept.agent_rules,
            &state.permission,
            &state.kept.always,
        ) {
            return Ok(Some(reply));
        }
        self.check_asks(asked.may_wait())?;
        self.event(EventPayload::PermissionAsked(asked.request.clone()));
        let asked = Ask::Permission(Arc::clone(asked));
        self.runtime.asks.push(Arc::new(asked));
        Ok(None)
    }

    /// Lets a question wait.
    ///
    /// # Errors
    /// When the session was deleted, or too much waits already.
    pub(crate) fn ask_question(&mut self, asked: &Arc<WaitingQuestion>) -> Result<(), Error> {
        self.unless_deleted()?;
        self.check_asks(asked.may_wait())?;
        self.event(EventPayload::QuestionAsked(asked.request.clone()));
        let asked = Ask::Question(Arc::clone(asked));
        self.runtime.asks.push(Arc::new(asked));
        Ok(())
    }

    /// `has_place`: among what all sessions' agents may ask.
    fn check_asks(&self, has_place: bool) -> Result<(), Error> {
        if self.runtime.asks.len() >= self.sizes.session_asks {
            return Err(Error::TooManyAsks {
                limit: self.sizes.session_asks,
                setting: "limits.session_asks",
            });
        }
        match has_place {
            true => Ok(()),
            false => Err(Error::TooManyAsks {
                limit: self.sizes.asks,
                setting: "limits.asks",
            }),
        }
    }

    /// Answers a permission request. `Always` is remembered for the session and this backend, and answers
    /// what waits already and matches.
    ///
    /// # Errors
    /// When it does not wait (any more).
    pub(crate) fn reply_permission(
        &mut self,
        id: &PermissionId,
        reply: PermissionReply,
    ) -> Result<(), Error> {
        let found = self.permissions().find(|waiting| waiting.request.id == *id);
        let waiting = found.ok_or_else(|| Error::PermissionNotFound(id.clone()))?;
        self.conclude_permission(&waiting, reply);
        if reply != PermissionReply::Always {
            return Ok(());
        }
        let known = &self.state().kept.always;
        let new: Vec<Always> = waiting
            .remembered()
            .filter(|a| !known.contains(a))
            .collect();
        if !new.is_empty() {
            remember(&mut self.state_mut().kept.always, new);
        }
        let others: Vec<_> = self.permissions().collect();
        for other in others {
            let state = self.state();
            if let Some(reply) = other.decided(
                &state.kept.agent_rules,
                &state.permission,
                &state.kept.always,
            ) {
                self.conclude_permission(&other, reply);
            }
        }
        Ok(())
    }

    fn permissions(&self) -> impl Iterator<Item = Arc<WaitingPermission>> {
        let asks = self.runtime.asks.clone();
        asks.into_iter().filter_map(|ask| match &*ask {
            Ask::Permission(waiting) => Some(Arc::clone(waiting)),
            Ask::Question(_) => None,
        })
    }

    fn conclude_permission(&mut self, waiting: &Arc<WaitingPermission>, reply: PermissionReply) {
        let id = &waiting.request.id;
        self.runtime
            .asks
            .retain(|ask| !matches!(&**ask, Ask::Permission(w) if w.request.id == *id));
        self.event(replied(&waiting.request, reply));
        let waiting = Arc::clone(waiting);
        self.then_run(async move { waiting.answer(reply).await });
    }

    /// Answers a question.
    ///
    /// # Errors
    /// No such question, or answers that are not of its kind.
    pub(crate) fn reply_question(
        &mut self,
        id: &QuestionId,
        answers: &[Vec<String>],
    ) -> Result<(), Error> {
        let waiting = self.question(id)?;
        let content = waiting.content(answers)?;
        self.forget_question(id);
        self.event(EventPayload::QuestionReplied(QuestionReplied {
            session_id: self.id.clone(),
            request_id: id.clone(),
            answers: answers.to_vec(),
        }));
        self.then_run(async move { waiting.accept(content).await });
        Ok(())
    }

    /// Dismisses a question.
    ///
    /// # Errors
    /// No such question.
    pub(crate) fn reject_question(&mut self, id: &QuestionId) -> Result<(), Error> {
        let waiting = self.question(id)?;
        self.forget_question(id);
        self.event(rejected(&waiting));
        self.then_run(async move { waiting.refuse("decline").await });
        Ok(())
    }

    fn question(&self, id: &QuestionId) -> Result<Arc<WaitingQuestion>, Error> {
        let found = self.runtime.asks.iter().find_map(|ask| match &**ask {
            Ask::Question(waiting) if waiting.request.id == *id => Some(Arc::clone(waiting)),
            _ => None,
        });
        found.ok_or_else(|| Error::QuestionNotFound(id.clone()))
    }

    fn forget_question(&mut self, id: &QuestionId) {
        self.runtime
            .asks
            .retain(|ask| !matches!(&**ask, Ask::Question(w) if w.request.id == *id));
    }

    /// Takes back what is asked in the turn in flight: it ends. What was asked outside of turns waits on.
    pub(crate) fn cancel_asks(&mut self) {
        self.cancel_asks_if(|ask| !ask.is_late());
    }

    /// Takes back everything that the session's agents ask: no answer will come.
    pub(crate) fn cancel_all_asks(&mut self) {
        self.cancel_asks_if(|_| true);
    }

    /// Takes back what agents have asked that are gone.
    pub(crate) fn cancel_asks_of_the_gone(&mut self) {
        self.cancel_asks_if(Ask::is_gone);
    }

    fn cancel_asks_if(&mut self, is_over: impl Fn(&Ask) -> bool) {
        let asks = std::mem::take(&mut self.runtime.asks);
        let (over, waiting) = asks.into_iter().partition(|ask| is_over(ask));
        self.runtime.asks = waiting;
        let over: Vec<Arc<Ask>> = over;
        for ask in over {
            self.event(match &*ask {
                Ask::Permission(waiting) => replied(&waiting.request, PermissionReply::Reject),
                Ask::Question(waiting) => rejected(waiting),
            });
            self.then_run(async move { ask.cancel().await });
        }
    }
}

fn replied(request: &PermissionRequest, reply: PermissionReply) -> EventPayload {
    EventPayload::PermissionReplied(PermissionReplied {
        session_id: request.session_id.clone(),
        request_id: request.id.clone(),
        reply,
    })
}

fn rejected(waiting: &WaitingQuestion) -> EventPayload {
    EventPayload::QuestionRejected(QuestionRejected {
        session_id: waiting.request.session_id.clone(),
        request_id: waiting.request.id.clone(),
    })
}

/// What is forgotten is asked again.
fn remember(known: &mut Vec<Always>, new: Vec<Always>) {
    known.extend(new);
    let surplus = known.len().saturating_sub(ALWAYS_MAX);
    known.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_given_for_good_are_bounded_and_the_oldest_are_forgotten() {
        let given = |number: usize| Always {
            backend: "one".to_owned(),
            agent: "build".to_owned(),
            permission: "bash".to_owned(),
            pattern: format!("make {number}"),
        };
        let mut known = Vec::new();
        for number in 0..ALWAYS_MAX {
            remember(&mut known, vec![given(number)]);
        }
        assert_eq!((known.len(), &known[0]), (ALWAYS_MAX, &given(0)));
        remember(
            &mut known,
            (ALWAYS_MAX..ALWAYS_MAX + 3).map(given).collect(),
        );
        assert_eq!((known.len(), &known[0]), (ALWAYS_MAX, &given(3)));
        assert_eq!(known.last(), Some(&given(ALWAYS_MAX + 2)));
        // More at once than there is place for.
        remember(&mut known, (0..ALWAYS_MAX * 2).map(given).collect());
        assert_eq!((known.len(), &known[0]), (ALWAYS_MAX, &given(ALWAYS_MAX)));
    }
}
