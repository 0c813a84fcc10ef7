//! The native sessions that an agent keeps for its user: which there are (`session/list`), and what was said in one
//! (`session/load`).

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{self, Opening, Reopen, SESSION_ID_MAX_BYTES};
use super::connection::{CallError, Connection};
use super::options::Options;
use super::replay::{Kept, Replay};

/// Pages of a list of native sessions that are read; what is on a later one is not looked for.
pub const LIST_PAGES_MAX: usize = 20;
/// Native sessions of one list that are kept.
pub const LISTED_MAX: usize = 1_000;
/// The longest title that is kept, in characters.
const TITLE_MAX_CHARS: usize = 500;
/// The longest directory that is kept, in bytes. No path of the system is longer.
const DIRECTORY_MAX_BYTES: usize = 4 * 1024;

/// A native session as its agent lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeSession {
    /// Its id, in the agent's numbering.
    pub id: String,
    /// Its title, where the agent has one.
    pub title: Option<String>,
    /// When it was used last, in milliseconds since the Unix epoch, where the agent tells.
    pub updated_ms: Option<u64>,
    /// Its working directory, as the agent names it; empty where it does not.
    pub directory: String,
}

impl NativeSession {
    fn read(listed: &Value) -> Option<Self> {
        let text = |name: &str| listed.get(name).and_then(Value::as_str);
        let id = text("sessionId").filter(|id| !id.is_empty() && id.len() <= SESSION_ID_MAX_BYTES);
        let directory = text("cwd").filter(|cwd| cwd.len() <= DIRECTORY_MAX_BYTES);
        let title = text("title")
            .map(str::trim)
            .filter(|title| !title.is_empty());
        Some(Self {
            id: id?.to_owned(),
            title: title.map(|title| title.chars().take(TITLE_MAX_CHARS).collect()),
            updated_ms: text("updatedAt").and_then(milliseconds),
            directory: directory.unwrap_or_default().to_owned(),
        })
    }
}

/// A time as agents write it, in milliseconds since the Unix epoch.
fn milliseconds(text: &str) -> Option<u64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

/// The native sessions of a directory, or of all, as far as the bounds go.
///
/// # Errors
/// The agent's own error, its end, or the timeout.
pub async fn list(
    connection: &Connection,
    cwd: Option<&Path>,
    timeout: Duration,
) -> Result<Vec<NativeSession>, CallError> {
    let mut all = Vec::new();
    let each = |listed: &Value| {
        all.extend(NativeSession::read(listed));
        all.len() >= LISTED_MAX
    };
    walk(connection, cwd, timeout, each).await?;
    Ok(all)
}

/// A native session, where its agent lists it among those of a directory, or of all.
///
/// # Errors
/// The agent's own error, its end, or the timeout.
pub async fn find(
    connection: &Connection,
    native_session: &str,
    cwd: Option<&Path>,
    timeout: Duration,
) -> Result<Option<NativeSession>, CallError> {
    let mut found = None;
    let is_it = |listed: &Value| {
        let is_it = listed.get("sessionId").and_then(Value::as_str) == Some(native_session);
        if is_it {
            found = NativeSession::read(listed);
        }
        is_it
    };
    walk(connection, cwd, timeout, is_it).await?;
    Ok(found)
}

/// Goes over a list, page by page, until somebody has seen enough.
async fn walk(
    connection: &Connection,
    cwd: Option<&Path>,
    timeout: Duration,
    mut is_enough: impl FnMut(&Value) -> bool,
) -> Result<(), CallError> {
    let mut cursor = Value::Null;
    for _ in 0..LIST_PAGES_MAX {
        let mut params = json!({});
        if let Some(cwd) = cwd {
            params["cwd"] = json!(cwd);
        }
        if !cursor.is_null() {
            params["cursor"] = cursor;
        }
        let mut page = connection.call("session/list", params, timeout).await?;
        let listed = page.get("sessions").and_then(Value::as_array);
        if listed.into_iter().flatten().any(&mut is_enough) {
            return Ok(());
        }
        cursor = page
            .get_mut("nextCursor")
            .map(Value::take)
            .unwrap_or_default();
        if !cursor.is_string() {
            break;
        }
    }
    Ok(())
}

/// What an agent has replayed of a native session.
#[derive(Debug)]
pub struct Replayed {
    /// The updates, in their order; `None` when they are more than there is room for.
    pub updates: Option<Vec<Value>>,
    /// What the native session offers.
    pub options: Options,
}

/// Everything that was said in a native session, by loading it. `most` bytes of JSON are kept. It stays open in the
/// agent's process.
///
/// # Errors
/// The agent's own error (often: it does not know the session), its end, or the timeout.
pub async fn replay(
    connection: &Connection,
    native_session: &str,
    cwd: &Path,
    most: usize,
    timeout: Duration,
) -> Result<Replayed, CallError> {
    let mut replay = Replay {
        kept: Some(Kept::within(most)),
        ..Replay::default()
    };
    // What is only read connects to nothing.
    let params = Opening::default().parameters(cwd);
    let opened = client::reopen_noting(
        connection,
        Reopen::Load,
        native_session,
        params,
        &mut replay,
        timeout,
    );
    let options = opened.await?.options;
    let kept = replay.kept.filter(|kept| kept.room.is_some());
    Ok(Replayed {
        updates: kept.map(|kept| kept.updates),
        options,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_lists_is_read_as_far_as_it_can_be() {
        let whole = json!({"sessionId": "a", "cwd": "/x", "title": " T ", "updatedAt": "1970-01-01T00:00:01.500Z"});
        let read = NativeSession::read(&whole).expect("readable");
        assert_eq!(read.title.as_deref(), Some("T"));
        assert_eq!((read.updated_ms, &*read.directory), (Some(1_500), "/x"));
        let bare = json!({"sessionId": "a", "title": "", "updatedAt": "yesterday"});
        let read = NativeSession::read(&bare).expect("readable");
        assert_eq!((read.title, read.updated_ms), (None, None));
        assert_eq!(NativeSession::read(&json!({"sessionId": ""})), None);
        assert_eq!(NativeSession::read(&json!({"cwd": "/x"})), None);
    }
}
