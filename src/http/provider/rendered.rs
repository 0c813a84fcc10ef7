//! The list of providers as it is sent. With thousands of models it takes longer to make than everything else about its
//! request, and it changes when an agent does.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::catalogue::{all, defaults};
use crate::http::error::Problem;
use crate::http::known::Tagged;
use crate::json;
use crate::opencode::provider::ProviderList;
use crate::registry::Snapshot;

/// Directories with models of their own whose lists are kept.
const LISTS_MAX: usize = 8;

/// The lists that were sent last.
#[derive(Debug, Default)]
pub struct Rendered(Mutex<Lists>);

/// Lists of one moment.
#[derive(Debug, Default)]
struct Lists {
    of: Option<Arc<Snapshot>>,
    /// By the directory, which is empty for what is offered everywhere.
    lists: HashMap<String, Tagged>,
}

impl Rendered {
    /// The list of what is offered in a directory.
    ///
    /// # Errors
    /// When making it has panicked.
    pub(super) async fn list(
        &self,
        everywhere: &Arc<Snapshot>,
        directory: &str,
    ) -> Result<Tagged, Problem> {
        let here = everywhere.at(directory);
        let directory = match Arc::ptr_eq(&here, everywhere) {
            true => "",
            false => directory,
        };
        // Also while it is made: who asks meanwhile would only make the same.
        let mut kept = self.0.lock().await;
        let is_of_now = |of: &Arc<Snapshot>| Arc::ptr_eq(of, everywhere);
        if !kept.of.as_ref().is_some_and(is_of_now) {
            *kept = Lists {
                of: Some(Arc::clone(everywhere)),
                lists: HashMap::new(),
            };
        }
        if let Some(list) = kept.lists.get(directory) {
            return Ok(list.clone());
        }
        if kept.lists.len() >= LISTS_MAX {
            kept.lists.clear();
        }
        // With thousands of models it takes tens of milliseconds.
        let making = spawn_blocking(move || Tagged::new(json::text(&made(&here))));
        let list = making.await.map_err(|error| Problem::unforeseen(&error))?;
        kept.lists.insert(directory.to_owned(), list.clone());
        Ok(list)
    }
}

fn made(snapshot: &Snapshot) -> ProviderList {
    let connected = snapshot.backends.iter();
    let connected = connected.filter(|backend| backend.connected().is_some());
    ProviderList {
        all: all(snapshot),
        default: defaults(snapshot),
        connected: connected.map(|backend| backend.spec.id.clone()).collect(),
    }
}
