//! What an agent says besides its answer: its plan, and a title for the session.

use super::Worker;
use crate::opencode::event::Todo;
use crate::session::cell::Draft;

/// What was said and is not stored yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Aside {
    pub(super) todos: Option<Vec<Todo>>,
    pub(super) title: Option<String>,
}

impl Aside {
    fn is_empty(&self) -> bool {
        self.todos.is_none() && self.title.is_none()
    }

    /// Adds what was said later, which takes precedence.
    pub(super) fn add(&mut self, later: Self) {
        self.todos = later.todos.or(self.todos.take());
        self.title = later.title.or(self.title.take());
    }

    /// Puts it into a draft.
    pub(super) fn note(&self, draft: &mut Draft) {
        self.todos.iter().for_each(|todos| draft.set_todos(todos));
        self.title
            .iter()
            .for_each(|title| draft.suggest_title(title));
    }
}

impl Worker {
    /// Stores what was said besides an answer, with what the store has not taken before. What it does not take
    /// now goes with the next time, at the latest with the end of the turn.
    pub(super) async fn store_aside(&mut self, later: Aside) {
        self.aside.add(later);
        if self.aside.is_empty() {
            return;
        }
        let aside = self.aside.clone();
        let noted = self.cell.change(move |draft| {
            draft.unless_deleted()?;
            aside.note(draft);
            Ok(())
        });
        match noted.await {
            Ok(()) => self.aside = Aside::default(),
            Err(error) => {
                tracing::debug!("a plan or a title is not stored yet: {error}");
            }
        }
    }
}
