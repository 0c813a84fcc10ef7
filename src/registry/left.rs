//! Native sessions that Baton has opened to ask an agent something, or that it is removing from an agent's store: noted in
//! Baton's own store until they are gone, so that the next start removes what a stop has left behind.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::json;
use crate::store::{Change, Store};

/// Under which name the store keeps the notes.
const SETTING: &str = "native_sessions_left";
/// Notes that are kept; of more, the oldest go. Each is a few dozen bytes.
const NOTES_MAX: usize = 1_000;

/// A native session that may be in an agent's store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    backend: String,
    session: String,
}

/// The notes.
pub(super) struct Left {
    store: Arc<dyn Store>,
    /// All of them, as the store has them. Held while it is written.
    noted: tokio::sync::Mutex<Vec<Note>>,
    /// What an earlier run has left and was not removed yet.
    earlier: Mutex<Vec<Note>>,
}

impl Left {
    /// The notes of earlier runs.
    pub(super) async fn load(store: Arc<dyn Store>) -> Self {
        let noted = read(store.as_ref()).await;
        Self::new(store, noted)
    }

    /// Goes on with these.
    pub(super) fn new(store: Arc<dyn Store>, noted: Vec<Note>) -> Self {
        Self {
            store,
            earlier: Mutex::new(noted.clone()),
            noted: tokio::sync::Mutex::new(noted),
        }
    }

    /// Notes a native session before anything can go wrong with it.
    pub(super) async fn note(&self, backend: &str, session: &str) {
        let note = Note::new(backend, session);
        self.change(|noted| {
            if noted.contains(&note) {
                return false;
            }
            if noted.len() >= NOTES_MAX {
                noted.remove(0);
            }
            noted.push(note);
            true
        })
        .await;
    }

    /// Forgets a native session: it is gone, or there is no way to remove it.
    pub(super) async fn forget(&self, backend: &str, session: &str) {
        let note = Note::new(backend, session);
        self.change(|noted| {
            let before = noted.len();
            noted.retain(|other| *other != note);
            noted.len() < before
        })
        .await;
    }

    /// What an earlier run has left of a backend; returned once. What a session of Baton's uses by now is left out.
    pub(super) async fn take_earlier(&self, backend: &str) -> Vec<String> {
        let earlier: Vec<Note> = {
            let mut earlier = self.earlier.lock();
            earlier
                .extract_if(.., |note| note.backend == backend)
                .collect()
        };
        let mut left = Vec::new();
        for Note { session, .. } in earlier {
            match self.store.bound(backend, &session).await {
                Ok(bound) if bound.is_empty() => left.push(session),
                // It is somebody's, and is removed with that one's session.
                Ok(_) => self.forget(backend, &session).await,
                Err(_) => {}
            }
        }
        left
    }

    async fn change(&self, change: impl FnOnce(&mut Vec<Note>) -> bool) {
        let mut noted = self.noted.lock().await;
        if !change(&mut noted) {
            return;
        }
        let put = Change::PutSetting {
            name: SETTING.to_owned(),
            body: json::text(&*noted),
        };
        if let Err(error) = self.store.commit(vec![put]).await {
            tracing::debug!("the native sessions to remove were not noted: {error}");
        }
    }
}

impl Note {
    fn new(backend: &str, session: &str) -> Self {
        Self {
            backend: backend.to_owned(),
            session: session.to_owned(),
        }
    }
}

async fn read(store: &dyn Store) -> Vec<Note> {
    let stored = store.setting(SETTING).await.ok().flatten();
    let notes = stored.map(|body| serde_json::from_str(&body));
    notes.transpose().ok().flatten().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn what_was_not_forgotten_is_told_once_by_the_next_run() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let left = Left::load(Arc::clone(&store)).await;
        for (backend, session) in [("a", "1"), ("a", "1"), ("a", "2"), ("b", "1")] {
            left.note(backend, session).await;
        }
        left.forget("a", "2").await;
        assert!(left.take_earlier("a").await.is_empty());

        let left = Left::load(Arc::clone(&store)).await;
        assert_eq!(left.take_earlier("a").await, ["1"]);
        assert!(left.take_earlier("a").await.is_empty());
        assert_eq!(left.take_earlier("b").await, ["1"]);
        left.forget("a", "1").await;
        assert!(Left::load(store).await.take_earlier("a").await.is_empty());
    }

    #[tokio::test]
    async fn of_too_many_the_oldest_go() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let left = Left::load(Arc::clone(&store)).await;
        for number in 0..=NOTES_MAX {
            left.note("a", &number.to_string()).await;
        }
        let earlier = Left::load(store).await.take_earlier("a").await;
        assert_eq!((earlier.len(), earlier[0].as_str()), (NOTES_MAX, "1"));
    }
}
