//! Signing in to an agent over ACP: the ways that it names at `initialize`, and `authenticate`.

use std::path::Path;
use std::time::Duration;

use agent_client_protocol_schema::v1::AuthMethod;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::client::{self, Opened, Opening};
use super::connection::{CallError, Connection};
use super::refusal::Refusal;

/// Ways that are kept of one agent.
const METHODS_MAX: usize = 32;
/// The longest id, name or description that is kept, in characters.
const TEXT_MAX_CHARS: usize = 500;
/// Where several agents say, outside the protocol, which command a way runs in a terminal.
const TERMINAL_META: &str = "terminal-auth";

/// A way to sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInMethod {
    /// Its id, verbatim.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What happens, for people.
    pub description: Option<String>,
    /// It runs in a terminal, so the agent cannot be asked to do it.
    pub needs_terminal: bool,
}

/// What is kept of the ways that an agent has named.
pub fn methods(named: &[AuthMethod]) -> Vec<SignInMethod> {
    let fits = |method: &&AuthMethod| method.id().0.chars().count() <= TEXT_MAX_CHARS;
    let kept = |text: &str| text.chars().take(TEXT_MAX_CHARS).collect::<String>();
    let in_terminal = |method: &AuthMethod| {
        let meta = method.meta();
        matches!(method, AuthMethod::Terminal(_))
            || meta.is_some_and(|meta| meta.contains_key(TERMINAL_META))
    };
    let fitting = named.iter().filter(fits).take(METHODS_MAX);
    fitting
        .map(|method| SignInMethod {
            id: method.id().0.to_string(),
            name: kept(method.name()),
            description: method.description().map(kept),
            needs_terminal: in_terminal(method),
        })
        .collect()
}

/// `authenticate`: the agent signs its user in, in its own way, which may open a browser and take a while.
///
/// # Errors
/// The agent's own error, its end, or the timeout.
pub async fn authenticate(
    connection: &Connection,
    method: &str,
    timeout: Duration,
) -> Result<(), CallError> {
    let params = json!({ "methodId": method });
    let reply = connection.call("authenticate", params, timeout).await;
    reply.map(drop)
}

/// A new native session, also where the process has to be told first how its user has signed in, which is done once.
///
/// # Errors
/// Those of [`client::new_session`] and of [`authenticate`].
pub async fn new_session(
    connection: &Connection,
    cwd: &Path,
    with: &Opening,
    sign_in_with: Option<&str>,
    timeout: Duration,
) -> Result<Opened, CallError> {
    let opened = client::new_session(connection, cwd, with, timeout).await;
    match (&opened, sign_in_with) {
        (Err(CallError::Rpc(error)), Some(method)) if Refusal::of(error) == Refusal::SignedOut => {
            authenticate(connection, method, timeout).await?;
            client::new_session(connection, cwd, with, timeout).await
        }
        _ => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_that_needs_a_terminal_is_told_from_the_others() {
        let named = json!([
            {"id": "browser", "name": "Browser", "description": "Opens it"},
            {"id": "tui", "name": "TUI", "type": "terminal", "args": ["login"]},
            {"id": "cli", "name": "CLI", "_meta": {"terminal-auth": {"command": "x"}}},
            {"id": "y".repeat(TEXT_MAX_CHARS + 1), "name": "too long to be named"},
        ]);
        let named: Vec<AuthMethod> = serde_json::from_value(named).expect("methods");
        let found = methods(&named);
        let found: Vec<_> = found.iter().map(|m| (&*m.id, m.needs_terminal)).collect();
        assert_eq!(found, [("browser", false), ("tui", true), ("cli", true)]);
    }
}
