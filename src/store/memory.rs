//! A store in memory, for tests of what uses a store.
//!
//! It answers as the one on SQLite does, but without a thread: a commit is done when it is called, and no future of
//! it ever waits. So it can be used while tokio's time is paused. Nothing outlives it.

mod conversation;

use std::collections::{BTreeMap, HashSet};
use std::future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};

use super::{
    Change, Keys, MessageRange, MessageRow, ProcessRow, SessionKeys, SessionOrder, SessionQuery,
    SessionRow, Store, StoreError,
};
use crate::json;
use crate::opencode::spending::Spent;
use crate::opencode::{MessageId, SessionId};
use conversation::Conversation;

/// A store that forgets everything when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

/// Everything that is stored. A copy is cheap, since it shares what does not change: a commit works on one.
#[derive(Debug, Default, Clone)]
struct Tables {
    /// Counts the sessions that were made: decides between two with the same time.
    made: u64,
    sessions: BTreeMap<SessionId, Arc<StoredSession>>,
    conversations: BTreeMap<SessionId, Arc<Conversation>>,
    backends: BTreeMap<String, String>,
    settings: BTreeMap<String, String>,
    projects: BTreeMap<String, String>,
    processes: BTreeMap<u32, ProcessRow>,
}

#[derive(Debug, Clone)]
struct StoredSession {
    n: u64,
    revision: u64,
    keys: SessionKeys,
    body: String,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock()
    }

    fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Tables) -> T,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        Box::pin(future::ready(Ok(query(&self.tables()))))
    }
}

impl Tables {
    fn write(&mut self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::PutSession {
                id,
                expected,
                revision,
                keys,
                body,
            } => return self.put_session(id, expected, revision, keys, body),
            Change::DeleteSession { id } => {
                self.sessions.remove(&id);
                self.conversations.remove(&id);
            }
            Change::PutBackend { id, body } => {
                self.backends.insert(id, body);
            }
            Change::PutSetting { name, body } => {
                self.settings.insert(name, body);
            }
            Change::AddSpending { day, cost, tokens } => {
                let name = format!("spent {day}");
                let before = self.settings.get(&name);
                let before: Option<Spent> = before.and_then(|text| serde_json::from_str(text).ok());
                let spent = before.unwrap_or_default().and(Spent { cost, tokens });
                self.settings.insert(name, json::text(&spent));
            }
            Change::PutProject { id, body } => {
                self.projects.insert(id, body);
            }
            // It has one server, which holds and tells all.
            Change::Held { .. } | Change::Tell { .. } => {}
            Change::PutProcess(row) => {
                self.processes.insert(row.pid, row);
            }
            Change::DeleteProcess { pid } => {
                self.processes.remove(&pid);
            }
            Change::PutMessage { ref session, .. }
            | Change::DeleteMessage { ref session, .. }
            | Change::PutPart { ref session, .. }
            | Change::GrowPart { ref session, .. }
            | Change::EndPart { ref session, .. }
            | Change::SavePart { ref session, .. }
            | Change::DeletePart { ref session, .. }
            | Change::PutBinding { ref session, .. }
            | Change::DeleteBinding { ref session, .. }
            | Change::DeleteBindings { ref session }
            | Change::PutSwitch { ref session, .. }
            | Change::PutHandover { ref session, .. }
            | Change::DeleteHandovers { ref session, .. } => {
                let conversation = self.conversations.entry(session.clone()).or_default();
                return Arc::make_mut(conversation).write(change);
            }
        }
        Ok(())
    }

    fn put_session(
        &mut self,
        id: SessionId,
        expected: Option<u64>,
        revision: u64,
        keys: Keys,
        body: String,
    ) -> Result<(), StoreError> {
        let stored = self.sessions.get(&id);
        if stored.map(|stored| stored.revision) != expected {
            return Err(StoreError::Conflict(id));
        }
        let n = stored.map_or(self.made + 1, |stored| stored.n);
        let keys = match (keys, stored) {
            (Keys::All(keys), _) => keys,
            (Keys::Used(updated), Some(stored)) => SessionKeys {
                updated,
                ..stored.keys.clone()
            },
            (Keys::Used(_), None) => return Err(StoreError::Conflict(id)),
        };
        self.made = self.made.max(n);
        let session = StoredSession {
            n,
            revision,
            keys,
            body,
        };
        self.sessions.insert(id, Arc::new(session));
        Ok(())
    }

    /// The sessions that a query selects, in its order.
    fn select(&self, query: &SessionQuery) -> Option<Vec<String>> {
        let at = |session: &StoredSession| {
            let time = match query.order {
                SessionOrder::Used => session.keys.updated,
                SessionOrder::Newest | SessionOrder::Oldest => session.keys.created,
            };
            (time, session.n)
        };
        let after = match &query.after {
            Some(id) => Some(at(self.sessions.get(id)?)),
            None => None,
        };
        let is_behind = |session: &StoredSession| {
            after.is_none_or(|after| match query.order {
                SessionOrder::Used | SessionOrder::Newest => at(session) < after,
                SessionOrder::Oldest => at(session) > after,
            })
        };
        let mut found: Vec<_> = self
            .sessions
            .values()
            .filter(|session| is_behind(session) && is_selected(&session.keys, query))
            .collect();
        found.sort_by_key(|session| at(session));
        if query.order != SessionOrder::Oldest {
            found.reverse();
        }
        let limit = query
            .limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX);
        let bodies = found
            .into_iter()
            .take(limit)
            .map(|session| session.body.clone());
        Some(bodies.collect())
    }

    /// The direct children of a session, most recently used first.
    fn children(&self, parent: &SessionId) -> Vec<(&SessionId, &StoredSession)> {
        let mut children: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.keys.parent.as_ref() == Some(parent))
            .map(|(id, session)| (id, &**session))
            .collect();
        children.sort_by_key(|(_, session)| (session.keys.updated, session.n));
        children.reverse();
        children
    }

    fn family(&self, id: &SessionId) -> Vec<SessionId> {
        if !self.sessions.contains_key(id) {
            return Vec::new();
        }
        let mut family = vec![id.clone()];
        let mut known: HashSet<_> = family.iter().cloned().collect();
        let mut next = 0;
        while let Some(parent) = family.get(next).cloned() {
            for (child, _) in self.children(&parent) {
                if known.insert(child.clone()) {
                    family.push(child.clone());
                }
            }
            next += 1;
        }
        family.reverse();
        family
    }

    fn session(&self, id: &SessionId) -> Option<SessionRow> {
        let session = self.sessions.get(id)?;
        let conversation = self.conversations.get(id);
        let last_seq = conversation.and_then(|c| c.messages.last_key_value().map(|(seq, _)| *seq));
        let bindings = conversation.map(|c| c.bindings.clone()).unwrap_or_default();
        Some(SessionRow {
            id: id.clone(),
            revision: session.revision,
            last_seq: last_seq.unwrap_or(0),
            body: session.body.clone(),
            bindings: bindings.into_iter().collect(),
        })
    }

    /// All messages of a session, in order of arrival.
    fn messages(&self, session: &SessionId) -> Vec<MessageRow> {
        let Some(conversation) = self.conversations.get(session) else {
            return Vec::new();
        };
        let messages = conversation.messages.iter();
        messages
            .map(|(seq, message)| conversation.row(session, *seq, message))
            .collect()
    }
}

fn is_selected(keys: &SessionKeys, query: &SessionQuery) -> bool {
    let is = |wanted: &Option<String>, have: &str| wanted.as_ref().is_none_or(|w| w == have);
    let below = query.below.as_deref().unwrap_or_default();
    let is_below = below.is_empty()
        || keys
            .path
            .strip_prefix(below)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let needle = query.search.as_deref().unwrap_or_default().to_lowercase();
    is(&query.project, &keys.project)
        && is(&query.directory, &keys.directory)
        && is_below
        && !(query.roots && keys.parent.is_some())
        && !(query.without_archived && keys.archived.is_some())
        && query.used_since.is_none_or(|since| keys.updated >= since)
        && query.used_before.is_none_or(|before| keys.updated < before)
        && keys.title.to_lowercase().contains(&needle)
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(String, String)> {
    map.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}

impl Store for MemoryStore {
    fn commit(&self, batch: Vec<Change>) -> BoxFuture<'static, Result<(), StoreError>> {
        let mut tables = self.tables();
        let mut draft = tables.clone();
        let written = batch.into_iter().try_for_each(|change| draft.write(change));
        if written.is_ok() {
            *tables = draft;
        }
        Box::pin(future::ready(written))
    }

    fn session(
        &self,
        id: &SessionId,
    ) -> BoxFuture<'static, Result<Option<SessionRow>, StoreError>> {
        self.read(|tables| tables.session(id))
    }

    fn sessions(
        &self,
        query: SessionQuery,
    ) -> BoxFuture<'static, Result<Option<Vec<String>>, StoreError>> {
        self.read(|tables| tables.select(&query))
    }

    fn count_sessions(&self) -> BoxFuture<'static, Result<u64, StoreError>> {
        self.read(|tables| tables.sessions.len() as u64)
    }

    fn family(&self, id: &SessionId) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>> {
        self.read(|tables| tables.family(id))
    }

    fn children(&self, id: &SessionId) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        let body = |(_, session): (&SessionId, &StoredSession)| session.body.clone();
        self.read(|tables| tables.children(id).into_iter().map(body).collect())
    }

    fn bound(
        &self,
        backend: &str,
        native_session: &str,
    ) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>> {
        let (backend, native_session) = (backend.to_owned(), native_session.to_owned());
        self.read(move |tables| {
            let conversations = tables.conversations.iter();
            let has = conversations.filter(|(_, one)| one.has_native(&backend, &native_session));
            has.map(|(id, _)| id.clone()).collect()
        })
    }

    fn restoring(&self) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>> {
        self.read(|tables| {
            let sessions = tables.sessions.iter();
            let mut restoring: Vec<_> = sessions.filter(|(_, s)| s.keys.restoring).collect();
            restoring.sort_by_key(|(_, session)| session.n);
            restoring.into_iter().map(|(id, _)| id.clone()).collect()
        })
    }

    fn messages(
        &self,
        session: &SessionId,
        range: MessageRange,
    ) -> BoxFuture<'static, Result<Vec<MessageRow>, StoreError>> {
        self.read(|tables| {
            let mut rows = tables.messages(session);
            rows.retain(|row| {
                range.after_turn.is_none_or(|turn| row.key.turn > turn)
                    && range.before_seq.is_none_or(|seq| row.key.seq < seq)
            });
            let limit = range.limit.and_then(|limit| usize::try_from(limit).ok());
            let surplus = rows.len().saturating_sub(limit.unwrap_or(usize::MAX));
            rows.split_off(surplus)
        })
    }

    fn message(
        &self,
        session: &SessionId,
        id: &MessageId,
    ) -> BoxFuture<'static, Result<Option<MessageRow>, StoreError>> {
        self.read(|tables| {
            let rows = tables.messages(session);
            rows.into_iter().find(|row| row.key.id == *id)
        })
    }

    fn open_messages(&self) -> BoxFuture<'static, Result<Vec<MessageRow>, StoreError>> {
        self.read(|tables| {
            let conversations = tables.conversations.iter();
            let rows = conversations.flat_map(|(session, conversation)| {
                let open = conversation.messages.iter().filter(|(_, m)| m.open);
                open.map(move |(seq, message)| conversation.row(session, *seq, message))
            });
            rows.collect()
        })
    }

    fn switches(&self, session: &SessionId) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        self.read(|tables| {
            let conversation = tables.conversations.get(session);
            conversation
                .map(|c| c.switches.values().cloned().collect())
                .unwrap_or_default()
        })
    }

    fn switch(
        &self,
        session: &SessionId,
        revision: u64,
    ) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        self.read(|tables| {
            let conversation = tables.conversations.get(session)?;
            conversation.switches.get(&revision).cloned()
        })
    }

    fn handovers(
        &self,
        session: &SessionId,
        revision: u64,
    ) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        self.read(|tables| {
            let given = tables.conversations.get(session);
            let given = given.into_iter().flat_map(|c| c.handovers.values());
            let given = given.filter(|(of, _)| *of == revision);
            given.map(|(_, body)| body.clone()).collect()
        })
    }

    fn backends(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, StoreError>> {
        self.read(|tables| pairs(&tables.backends))
    }

    fn setting(&self, name: &str) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        self.read(|tables| tables.settings.get(name).cloned())
    }

    fn projects(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, StoreError>> {
        self.read(|tables| pairs(&tables.projects))
    }

    fn processes(&self) -> BoxFuture<'static, Result<Vec<ProcessRow>, StoreError>> {
        self.read(|tables| tables.processes.values().cloned().collect())
    }
}
