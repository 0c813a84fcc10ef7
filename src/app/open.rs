//! Opens the store: in the data directory, or the database that the settings name.

use std::sync::Arc;

use super::StartError;
use crate::config::Settings;
use crate::store::copy::is_unfinished;
use crate::store::data_dir::{DataDir, DataDirError};
use crate::store::postgres::Opening;
use crate::store::shared::SharedStore;
use crate::store::{PostgresStore, Store, StoreError};

/// What was opened.
pub(super) struct Opened {
    /// The data directory.
    pub data: DataDir,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The same as several servers share it, with the name of this one; none where it is the only one.
    pub shared: Option<(Arc<dyn SharedStore>, String)>,
}

/// Takes the data directory for this process, and opens the store.
///
/// # Errors
/// When one of them cannot be used.
pub(super) async fn open(settings: &Settings) -> Result<Opened, StartError> {
    let (path, durability) = (settings.data_dir.clone(), settings.durability);
    let shown = settings.store.as_ref().map(|store| store.url.to_string());
    let claimed = tokio::task::spawn_blocking(move || {
        let Some(shown) = shown else {
            let data = DataDir::claim(&path)?;
            let store: Arc<dyn Store> = Arc::new(data.open_store(durability)?);
            return Ok((data, Ok(store)));
        };
        let (data, node) = DataDir::claim_beside(&path, &shown)?;
        Ok((data, Err(node)))
    });
    let claimed: Result<_, DataDirError> = claimed
        .await
        .map_err(|panic| failed(settings, StoreError::Database(panic.to_string())))?;
    let (data, store) = claimed?;
    let (store, shared): (Arc<dyn Store>, _) = match (store, &settings.store) {
        (Ok(store), _) => (store, None),
        (Err(node), Some(database)) => {
            let nodes = settings.nodes.as_ref();
            let opening = Opening {
                readers: database.connections,
                times: database.times,
                alone: nodes.is_none(),
                home: nodes.map(|nodes| nodes.home.clone().unwrap_or_else(|| node.clone())),
                ..Opening::new(database.url.clone(), &node)
            };
            let opened = PostgresStore::open(opening).await;
            let store = Arc::new(opened.map_err(|error| failed(settings, error))?);
            let shared: Arc<dyn SharedStore> = store.clone();
            (store, nodes.map(|_| (shared, node)))
        }
        (Err(_), None) => return Err(failed(settings, StoreError::Closed)),
    };
    match is_unfinished(store.as_ref()).await {
        Ok(None) => Ok(Opened {
            data,
            store,
            shared,
        }),
        Ok(Some(of)) => {
            store.close().await;
            Err(StartError::Unfinished(of))
        }
        Err(error) => Err(failed(settings, error)),
    }
}

/// Why a server does not start whose store has failed.
pub(super) fn failed(settings: &Settings, error: StoreError) -> StartError {
    match &settings.store {
        Some(store) => StartError::Store(store.url.to_string(), error),
        None => DataDirError::Store(settings.data_dir.display().to_string(), error).into(),
    }
}

/// After a server that did not end in order. In the background: it reads the whole file.
pub(super) async fn look_for_damage(store: &dyn Store) {
    let found = match store.damage().await {
        Ok(found) => found,
        Err(StoreError::Closed) => return,
        Err(error) => vec![error.to_string()],
    };
    if !found.is_empty() {
        tracing::error!(
            "the database is damaged: {}. Stop Baton, then `baton check --repair` sets aside what cannot be read",
            found.join("; ")
        );
    }
}
