//! What a data directory is called among others, and where its sessions are if not in it: the file `baton-node.json`.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{new_id, write_whole};

/// The file.
const NODE_FILE: &str = "baton-node.json";

/// The file's content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    /// Which data directory this is.
    id: String,
    /// The database that its server uses, without a password; none when that lies in the directory.
    #[serde(default)]
    store: Option<String>,
}

/// Notes where the sessions of a directory are, and answers its name, which it gets the first time.
///
/// # Errors
/// When that cannot be written.
pub(super) fn note(path: &Path, store: Option<&str>) -> io::Result<String> {
    let old = read(path);
    let node = Node {
        id: old.clone().map_or_else(new_id, |old| old.id),
        store: store.map(str::to_owned),
    };
    if old.as_ref() != Some(&node) {
        write_whole(path, NODE_FILE, &node)?;
    }
    Ok(node.id)
}

/// The database that the server of a directory uses, if that does not lie in the directory.
pub fn store_elsewhere(path: &Path) -> Option<String> {
    read(path)?.store
}

/// Whether anything was noted.
pub(super) fn is_noted(path: &Path) -> bool {
    path.join(NODE_FILE).exists()
}

fn read(path: &Path) -> Option<Node> {
    let text = fs::read(path.join(NODE_FILE)).ok()?;
    let node: Node = serde_json::from_slice(&text).ok()?;
    (!node.id.is_empty()).then_some(node)
}
