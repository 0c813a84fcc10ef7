//! What agents ask the user, and the user's replies.

use std::sync::Arc;

use super::list::is_in;
use crate::opencode::request::{PermissionReply, PermissionRequest, QuestionRequest};
use crate::opencode::{PermissionId, QuestionId};
use crate::session::ask::Ask;
use crate::session::cell::Cell;
use crate::session::{Error, Sessions};

impl Sessions {
    /// The permission requests that wait, of the sessions of a directory or of all, oldest first.
    pub fn permissions(&self, directory: Option<&str>) -> Vec<PermissionRequest> {
        let mut waiting = self.asks(directory, |ask| match ask {
            Ask::Permission(waiting) => Some(waiting.request.clone()),
            Ask::Question(_) => None,
        });
        waiting.sort_by(|a, b| a.id.cmp(&b.id));
        waiting
    }

    /// The questions that wait, of the sessions of a directory or of all, oldest first.
    pub fn questions(&self, directory: Option<&str>) -> Vec<QuestionRequest> {
        let mut waiting = self.asks(directory, |ask| match ask {
            Ask::Question(waiting) => Some(waiting.request.clone()),
            Ask::Permission(_) => None,
        });
        waiting.sort_by(|a, b| a.id.cmp(&b.id));
        waiting
    }

    fn asks<T>(&self, directory: Option<&str>, pick: impl Fn(&Ask) -> Option<T>) -> Vec<T> {
        let mut picked = Vec::new();
        for cell in self.office.at_work() {
            if is_in(&cell, directory) {
                let committed = cell.committed();
                let asks = committed.runtime().asks.iter();
                picked.extend(asks.filter_map(|ask| pick(ask)));
            }
        }
        picked
    }

    fn who_asks(&self, is_it: impl Fn(&Ask) -> bool) -> Option<Arc<Cell>> {
        let mut at_work = self.office.at_work().into_iter();
        at_work.find(|cell| cell.committed().runtime().asks.iter().any(|ask| is_it(ask)))
    }

    fn who_asks_question(&self, id: &QuestionId) -> Result<Arc<Cell>, Error> {
        let cell = self.who_asks(|ask| matches!(ask, Ask::Question(w) if w.request.id == *id));
        cell.ok_or_else(|| Error::QuestionNotFound(id.clone()))
    }

    /// Answers a permission request. `Always` is remembered for the session and this backend, and
    /// answers what waits already and matches.
    ///
    /// # Errors
    /// No such request, or a failing store: then the request stays open.
    pub async fn reply_permission(
        &self,
        id: &PermissionId,
        reply: PermissionReply,
    ) -> Result<(), Error> {
        let cell = self.who_asks(|ask| matches!(ask, Ask::Permission(w) if w.request.id == *id));
        let cell = cell.ok_or_else(|| Error::PermissionNotFound(id.clone()))?;
        let id = id.clone();
        cell.change(move |draft| draft.reply_permission(&id, reply))
            .await
    }

    /// Answers a question: one list of labels, or of one text, for each of its questions.
    ///
    /// # Errors
    /// No such question, or answers that are not of its kind.
    pub async fn reply_question(
        &self,
        id: &QuestionId,
        answers: Vec<Vec<String>>,
    ) -> Result<(), Error> {
        let (cell, id) = (self.who_asks_question(id)?, id.clone());
        cell.change(move |draft| draft.reply_question(&id, &answers))
            .await
    }

    /// Dismisses a question.
    ///
    /// # Errors
    /// No such question.
    pub async fn reject_question(&self, id: &QuestionId) -> Result<(), Error> {
        let (cell, id) = (self.who_asks_question(id)?, id.clone());
        cell.change(move |draft| draft.reject_question(&id)).await
    }
}
