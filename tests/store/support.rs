//! Stores to try, and what is written into them.

use std::path::PathBuf;
use std::sync::Arc;

use baton::opencode::{MessageId, PartId, SessionId};
use baton::store::memory::MemoryStore;
use baton::store::postgres::{Opening, PostgresStore, StoreUrl};
use baton::store::{Change, Keys, MessageKey, SessionKeys, SessionQuery, SqliteStore, Store};
use tempfile::TempDir;

/// Makes a module of tests for each store out of functions that take one.
macro_rules! on_each_store {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                let folder = crate::support::Folder::new();
                super::$test(folder.open().as_ref()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                if let Some(store) = crate::support::postgres().await {
                    super::$test(store.as_ref()).await;
                    store.close().await;
                }
            })+
        }
        mod memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(&baton::store::memory::MemoryStore::new()).await;
            })+
        }
    };
}
pub(crate) use on_each_store;

/// A folder with a database.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.path().join("baton.sqlite")
    }

    pub(crate) fn open(&self) -> Arc<SqliteStore> {
        Arc::new(SqliteStore::open(&self.file()).expect("opens"))
    }
}

/// A store in a new PostgreSQL database; none where PostgreSQL is not installed.
pub(crate) async fn postgres() -> Option<Arc<dyn Store>> {
    Some(Arc::new(open_url(&crate::database::url().await?).await))
}

/// The store of a URL.
pub(crate) async fn open_url(url: &str) -> PostgresStore {
    let opening = Opening::new(StoreUrl::parse(url).expect("a URL"), "node");
    PostgresStore::open(opening).await.expect("opens")
}

pub(crate) fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

/// A new session with a body that names it.
pub(crate) fn new_session(id: &SessionId, keys: SessionKeys) -> Change {
    put_session(id, None, 1, keys)
}

pub(crate) fn put_session(
    id: &SessionId,
    expected: Option<u64>,
    revision: u64,
    keys: SessionKeys,
) -> Change {
    Change::PutSession {
        id: id.clone(),
        expected,
        revision,
        keys: Keys::All(keys),
        body: body(id),
    }
}

/// A session that was used, over a revision.
pub(crate) fn use_session(id: &SessionId, expected: u64, updated: u64) -> Change {
    Change::PutSession {
        id: id.clone(),
        expected: Some(expected),
        revision: expected + 1,
        keys: Keys::Used(updated),
        body: body(id),
    }
}

pub(crate) fn body(id: &SessionId) -> String {
    format!("body of {id}")
}

pub(crate) fn titled(title: &str) -> SessionKeys {
    SessionKeys {
        title: title.to_owned(),
        ..SessionKeys::default()
    }
}

pub(crate) fn key(seq: u64, turn: u64) -> MessageKey {
    MessageKey {
        seq,
        turn,
        id: MessageId::new(),
    }
}

pub(crate) fn put_message(session: &SessionId, key: &MessageKey, body: &str) -> Change {
    Change::PutMessage {
        session: session.clone(),
        key: key.clone(),
        open: false,
        body: body.to_owned(),
    }
}

pub(crate) fn save_part(
    session: &SessionId,
    message: &MessageId,
    id: &PartId,
    body: &str,
) -> Change {
    Change::SavePart {
        session: session.clone(),
        message: message.clone(),
        id: id.clone(),
        body: body.to_owned(),
    }
}

pub(crate) async fn commit(store: &dyn Store, batch: Vec<Change>) {
    store.commit(batch).await.expect("commits");
}

/// The bodies that a query selects.
pub(crate) async fn list(store: &dyn Store, query: SessionQuery) -> Vec<String> {
    let bodies = store.sessions(query).await.expect("reads");
    bodies.expect("the cursor is there")
}
