//! What agents ask the user, while it waits for an answer.
//!
//! Kept outside of the session's lock, because the answers go to the agent.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Error;
use super::permission::WaitingPermission;
use super::question::WaitingQuestion;
use crate::opencode::request::{PermissionRequest, QuestionRequest};
use crate::opencode::{PermissionId, QuestionId, SessionId};

/// All requests that wait.
#[derive(Debug, Default)]
pub struct Asks {
    permissions: Mutex<HashMap<PermissionId, WaitingPermission>>,
    questions: Mutex<HashMap<QuestionId, WaitingQuestion>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Asks {
    /// The permission requests that wait, oldest first.
    pub fn permissions(&self) -> Vec<PermissionRequest> {
        let mut all: Vec<_> = lock(&self.permissions)
            .values()
            .map(|w| w.request.clone())
            .collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// The questions that wait, oldest first.
    pub fn questions(&self) -> Vec<QuestionRequest> {
        let mut all: Vec<_> = lock(&self.questions)
            .values()
            .map(|w| w.request.clone())
            .collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// Lets a permission request wait.
    pub fn add_permission(&self, waiting: WaitingPermission) {
        lock(&self.permissions).insert(waiting.request.id.clone(), waiting);
    }

    /// Lets a question wait.
    pub fn add_question(&self, waiting: WaitingQuestion) {
        lock(&self.questions).insert(waiting.request.id.clone(), waiting);
    }

    /// Takes a permission request out, to answer it. Of several who try, one gets it.
    ///
    /// # Errors
    /// When it does not wait (any more).
    pub fn take_permission(&self, id: &PermissionId) -> Result<WaitingPermission, Error> {
        lock(&self.permissions)
            .remove(id)
            .ok_or_else(|| Error::PermissionNotFound(id.clone()))
    }

    /// Takes a question out, to answer it, once `check` finds nothing wrong with the answer.
    ///
    /// # Errors
    /// When it does not wait (any more), or what `check` says.
    pub fn take_question<T>(
        &self,
        id: &QuestionId,
        check: impl FnOnce(&WaitingQuestion) -> Result<T, Error>,
    ) -> Result<(WaitingQuestion, T), Error> {
        let mut questions = lock(&self.questions);
        let waiting = questions
            .get(id)
            .ok_or_else(|| Error::QuestionNotFound(id.clone()))?;
        let checked = check(waiting)?;
        let waiting = questions
            .remove(id)
            .ok_or_else(|| Error::QuestionNotFound(id.clone()))?;
        Ok((waiting, checked))
    }

    /// Takes out everything that waits for a session.
    pub fn take_all(&self, session: &SessionId) -> (Vec<WaitingPermission>, Vec<WaitingQuestion>) {
        let permissions = lock(&self.permissions)
            .extract_if(|_, w| w.request.session_id == *session)
            .map(|(_, w)| w)
            .collect();
        let questions = lock(&self.questions)
            .extract_if(|_, w| w.request.session_id == *session)
            .map(|(_, w)| w)
            .collect();
        (permissions, questions)
    }
}
