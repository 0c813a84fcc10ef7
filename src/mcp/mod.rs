//! MCP servers that are configured once, for the agents of all backends.
//!
//! Baton connects no agent to them: it names them to each agent when it opens a native session (`mcpServers` of ACP's
//! `session/new`, `load` and `resume`), and the agent connects. So a server is there before and after a switch. What Baton
//! tells of one is what it has found itself ([`check`]), not what an agent has made of it.

mod brought;
mod check;
mod entry;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::{Value, json};

use self::brought::Brought;
use crate::process::Ledger;
use crate::secret;

pub use brought::{Entries, Entry};
pub use entry::{fill, fill_all};

/// The longest name of a server, in bytes: agents put it in front of the names of its tools.
pub const NAME_MAX_BYTES: usize = 64;
/// Servers that there may be.
pub const SERVERS_MAX: usize = 100;
/// Answers of servers that are remembered. Beyond that they are asked anew.
const FOUND_MAX: usize = 1_000;

/// How agents reach a server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Transport {
    /// They start it themselves.
    Stdio {
        /// Program and arguments; at least one.
        command: Vec<String>,
        /// Variables that are set for it.
        environment: BTreeMap<String, String>,
    },
    /// MCP's streamable HTTP.
    Http(Remote),
    /// HTTP with server-sent events, as older servers speak it.
    Sse(Remote),
}

/// A server at an address.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Remote {
    /// Its address.
    pub url: String,
    /// Headers of each request.
    pub headers: BTreeMap<String, String>,
}

impl fmt::Debug for Transport {
    /// Without environment and headers: some of them are keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio { command, .. } => f.debug_tuple("Stdio").field(command).finish(),
            Self::Http(remote) => f.debug_tuple("Http").field(&remote.url).finish(),
            Self::Sse(remote) => f.debug_tuple("Sse").field(&remote.url).finish(),
        }
    }
}

impl Transport {
    /// A program.
    ///
    /// # Errors
    /// When there is none.
    pub fn local(
        command: Vec<String>,
        environment: BTreeMap<String, String>,
    ) -> Result<Self, String> {
        match command.is_empty() {
            true => Err("expected a program and its arguments, got none".to_owned()),
            false => Ok(Self::Stdio {
                command,
                environment,
            }),
        }
    }

    /// One at an address: one that ends with `/sse` is spoken to with server-sent events.
    pub fn remote(url: String, headers: BTreeMap<String, String>) -> Self {
        let is_sse = url.trim_end_matches('/').ends_with("/sse");
        let remote = Remote { url, headers };
        match is_sse {
            true => Self::Sse(remote),
            false => Self::Http(remote),
        }
    }
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// How agents reach it.
    pub transport: Transport,
    /// Whether agents are given it.
    pub enabled: bool,
}

/// What is known of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Agents are given it, and it has answered Baton: a program by its part of MCP's handshake, an address by taking a
    /// connection.
    Works,
    /// Agents are not given it.
    Disabled,
    /// It did not answer Baton, and why. Agents are given it all the same, unless its program is not there.
    Fails(String),
}

/// What goes to an agent with the opening of a native session.
#[derive(Clone, Default, PartialEq)]
pub struct Given {
    /// As ACP has them.
    pub servers: Vec<Value>,
    /// Those that this agent cannot take, and why.
    pub left_out: Vec<(String, String)>,
}

impl fmt::Debug for Given {
    /// Without what is in it: some of it are keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MCP servers", self.servers.len())
    }
}

/// Why a name is refused, as a sentence.
///
/// # Errors
/// When it cannot be part of the name of a tool.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !name.is_empty() && name.len() <= NAME_MAX_BYTES && name.chars().all(is_fine) {
        true => Ok(()),
        false => Err(format!(
            "Expected a name of 1 to {NAME_MAX_BYTES} letters, digits, - and _, got {name:?}"
        )),
    }
}

/// Which servers an agent can take besides those that are programs, as its capabilities say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Takes {
    /// Those over streamable HTTP.
    pub http: bool,
    /// Those over server-sent events.
    pub sse: bool,
}

/// All servers.
pub struct McpServers {
    servers: RwLock<BTreeMap<String, Server>>,
    /// What OpenCode's own configuration adds.
    brought: RwLock<Brought>,
    /// What was found, until something is changed.
    found: tokio::sync::Mutex<HashMap<(String, Transport), State>>,
    ledger: Arc<dyn Ledger>,
}

impl fmt::Debug for McpServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.servers.read().fmt(f)
    }
}

impl McpServers {
    /// These servers. Processes that look after one are on record in the ledger.
    pub fn new(servers: BTreeMap<String, Server>, ledger: Arc<dyn Ledger>) -> Arc<Self> {
        servers.values().for_each(|server| learn(&server.transport));
        Arc::new(Self {
            servers: RwLock::new(servers),
            brought: RwLock::default(),
            found: tokio::sync::Mutex::default(),
            ledger,
        })
    }

    /// Adds a server, or puts it in the place of one of the same name. Native sessions that are open get it with the next
    /// prompt.
    ///
    /// # Errors
    /// A sentence: there are too many.
    pub fn add(&self, name: &str, server: Server) -> Result<(), String> {
        learn(&server.transport);
        let mut servers = self.servers.write();
        if servers.len() >= SERVERS_MAX && !servers.contains_key(name) {
            return Err(format!("There are {SERVERS_MAX} MCP servers already"));
        }
        servers.insert(name.to_owned(), server);
        Ok(())
    }

    /// Notes what OpenCode's own configuration adds in a directory.
    pub fn note(&self, directory: &str, entries: Entries) {
        // What a project brings along decides what is masked only once it is connected.
        let own = entries.values().filter(|entry| entry.is_own);
        own.for_each(|entry| learn(&entry.server.transport));
        self.brought.write().note(directory, entries);
    }

    /// Whether it was noted what is added in a directory.
    pub fn knows(&self, directory: &str) -> bool {
        self.brought.read().knows(directory)
    }

    /// Those of a directory. What is configured here wins over what OpenCode's own configuration adds.
    fn at(&self, directory: &str) -> BTreeMap<String, Server> {
        let mut servers = self.brought.read().at(directory);
        let own = self.servers.read();
        servers.extend(
            own.iter()
                .map(|(name, server)| (name.clone(), server.clone())),
        );
        servers
    }

    /// Gives a server to agents from now on, or to none; false when there is no such server.
    pub async fn enable(&self, directory: &str, name: &str, enabled: bool) -> bool {
        let own = self.servers.write().get_mut(name).map(|server| {
            server.enabled = enabled;
            server.transport.clone()
        });
        let brought = || self.brought.write().enable(directory, name, enabled);
        let Some(transport) = own.or_else(brought) else {
            return false;
        };
        learn(&transport);
        // Somebody who connects it again wants to know again.
        self.found
            .lock()
            .await
            .remove(&(name.to_owned(), transport));
        true
    }

    /// What there is in a directory, and what is known of it. Those that nobody has looked at are looked at first.
    pub async fn states(&self, directory: &str) -> BTreeMap<String, State> {
        let servers = self.at(directory);
        let key = |name: &String, server: &Server| (name.clone(), server.transport.clone());
        let mut found = self.found.lock().await;
        if found.len() >= FOUND_MAX {
            found.clear();
        }
        let mut new: Vec<_> = servers.iter().collect();
        new.retain(|(name, server)| server.enabled && !found.contains_key(&key(name, server)));
        let looks = new.into_iter().map(|(name, server)| async move {
            let state = match check::answers(name, &server.transport, &self.ledger).await {
                Ok(()) => State::Works,
                Err(why) => State::Fails(secret::mask(&why).into_owned()),
            };
            (key(name, server), state)
        });
        let looked_at: Vec<_> = futures_util::future::join_all(looks).await;
        found.extend(looked_at);
        let state = |(name, server): (&String, &Server)| {
            let state = found.get(&key(name, server)).filter(|_| server.enabled);
            (name.clone(), state.cloned().unwrap_or(State::Disabled))
        };
        servers.iter().map(state).collect()
    }

    /// A number that tells the set of servers of one directory from another; 0 where agents are given none.
    pub fn fingerprint(&self, directory: &str) -> u64 {
        let servers = self.at(directory);
        let mut enabled = servers.iter().filter(|(_, s)| s.enabled).peekable();
        if enabled.peek().is_none() {
            return 0;
        }
        let mut hasher = DefaultHasher::new();
        for (name, server) in enabled {
            (name, &server.transport).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// What an agent that can take these is given in a directory.
    pub fn given(&self, directory: &str, can: Takes) -> Given {
        let mut given = Given::default();
        for (name, server) in &self.at(directory) {
            if !server.enabled {
                continue;
            }
            match as_acp(name, &server.transport, can) {
                Ok(server) => given.servers.push(server),
                Err(why) => given.left_out.push((name.clone(), why)),
            }
        }
        given
    }
}

/// Has the values that go with a server masked in logs and errors.
fn learn(transport: &Transport) {
    match transport {
        Transport::Stdio { environment, .. } => {
            let set = environment.iter();
            let telling = set.filter(|(name, _)| secret::is_secret_name(name.as_ref()));
            secret::learn(telling.map(|(_, value)| value.clone()));
        }
        Transport::Http(remote) | Transport::Sse(remote) => {
            secret::learn(remote.headers.values().cloned());
        }
    }
}

/// A server as ACP names it to an agent.
fn as_acp(name: &str, transport: &Transport, can: Takes) -> Result<Value, String> {
    let pairs = |of: &BTreeMap<String, String>| -> Vec<Value> {
        let pair = |(name, value)| json!({ "name": name, "value": value });
        of.iter().map(pair).collect()
    };
    let remote = |kind: &str, remote: &Remote| json!({ "type": kind, "name": name, "url": remote.url, "headers": pairs(&remote.headers) });
    match transport {
        Transport::Stdio {
            command,
            environment,
        } => {
            let program = check::program(command)?;
            let arguments = command.get(1..).unwrap_or_default();
            Ok(
                json!({ "name": name, "command": program, "args": arguments, "env": pairs(environment) }),
            )
        }
        Transport::Http(it) if can.http => Ok(remote("http", it)),
        Transport::Sse(it) if can.sse => Ok(remote("sse", it)),
        Transport::Http(_) => Err("it takes no MCP servers over HTTP".to_owned()),
        Transport::Sse(_) => Err("it takes no MCP servers over SSE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::NoLedger;

    fn local(command: &[&str]) -> Server {
        Server {
            transport: Transport::Stdio {
                command: command.iter().map(|&word| word.to_owned()).collect(),
                environment: BTreeMap::from([("TOKEN".to_owned(), "hush-hush".to_owned())]),
            },
            enabled: true,
        }
    }

    fn remote(sse: bool) -> Server {
        let remote = Remote {
            url: "http://127.0.0.1:9/mcp".to_owned(),
            headers: BTreeMap::from([("Authorization".to_owned(), "Bearer secret".to_owned())]),
        };
        Server {
            transport: match sse {
                true => Transport::Sse(remote),
                false => Transport::Http(remote),
            },
            enabled: true,
        }
    }

    fn all() -> Arc<McpServers> {
        let servers = [
            ("files", local(&["sh", "-c", "true"])),
            ("gone", local(&["no-such-program-of-mcp"])),
            ("http", remote(false)),
            ("sse", remote(true)),
        ];
        let named = servers.map(|(name, server)| (name.to_owned(), server));
        McpServers::new(named.into(), Arc::new(NoLedger))
    }

    #[test]
    fn an_agent_is_given_what_it_can_take() {
        let servers = all();
        let given = servers.given("/p", Takes::default());
        let names = |given: &Given| -> Vec<_> {
            let names = given.servers.iter().filter_map(|s| s["name"].as_str());
            names.map(str::to_owned).collect()
        };
        assert_eq!(names(&given), ["files"]);
        let left_out: Vec<_> = given
            .left_out
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(left_out, ["gone", "http", "sse"]);
        let files = &given.servers[0];
        assert!(
            files["command"]
                .as_str()
                .is_some_and(|c| c.ends_with("/sh"))
        );
        assert_eq!(files["args"], json!(["-c", "true"]));
        assert_eq!(
            files["env"],
            json!([{ "name": "TOKEN", "value": "hush-hush" }])
        );
        assert!(!format!("{given:?} {servers:?}").contains("hush"));

        let given = servers.given(
            "/p",
            Takes {
                http: true,
                sse: false,
            },
        );
        assert_eq!(names(&given), ["files", "http"]);
        assert_eq!(given.servers[1]["type"], "http");
    }

    #[tokio::test]
    async fn what_is_told_of_a_server_was_found() {
        let servers = all();
        servers
            .add("answers", local(&["sh", "-c", ANSWERS]))
            .expect("added");
        let states = servers.states("/p").await;
        assert_eq!(states["answers"], State::Works);
        // It ends without a word, it is not there, and nobody listens.
        for name in ["files", "gone", "http"] {
            assert!(
                matches!(states[name], State::Fails(_)),
                "{name}: {states:?}"
            );
        }
        assert!(servers.enable("/p", "answers", false).await);
        assert_eq!(servers.states("/p").await["answers"], State::Disabled);
        assert_eq!(servers.given("/p", Takes::default()).servers.len(), 1);
        assert!(!servers.enable("/p", "nobody", true).await);
    }

    /// A program that answers the handshake once.
    const ANSWERS: &str = r#"read -r line; echo '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"x","version":"1"}}}'; sleep 5"#;

    #[test]
    fn names_are_parts_of_names_of_tools() {
        for name in ["", "a b", "ä", "a.b", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("my_server-2").is_ok());
    }
}
