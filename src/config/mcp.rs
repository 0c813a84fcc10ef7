//! `[mcp.NAME]`: MCP servers for the agents of all backends.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ConfigError;
use crate::mcp::{Remote, SERVERS_MAX, Server, Transport, check_name, fill, fill_all};

/// How agents reach a server at an address.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    #[default]
    Http,
    Sse,
}

/// A server of the config file: `command`, or `url`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct McpTable {
    command: Option<Vec<String>>,
    env: BTreeMap<String, String>,
    url: Option<String>,
    transport: Option<By>,
    headers: BTreeMap<String, String>,
    enabled: Option<bool>,
}

impl std::fmt::Debug for McpTable {
    /// Without environment and headers: some of them are keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "McpTable({:?} {:?})", self.command, self.url)
    }
}

/// The servers of the file. `variable` reads one of Baton's environment.
pub(super) fn servers(
    tables: &BTreeMap<String, McpTable>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Server>, ConfigError> {
    if tables.len() > SERVERS_MAX {
        let message = format!("[mcp]: at most {SERVERS_MAX} servers, got {}", tables.len());
        return Err(ConfigError(message));
    }
    let read = |(name, table): (&String, &McpTable)| {
        let wrong = |message: String| ConfigError(format!("[mcp.{name}]: {message}"));
        check_name(name).map_err(wrong)?;
        let server = table.read(&variable).map_err(wrong)?;
        Ok((name.clone(), server))
    };
    tables.iter().map(read).collect()
}

impl McpTable {
    fn read(&self, variable: &impl Fn(&str) -> Option<String>) -> Result<Server, String> {
        let transport = match (&self.command, &self.url) {
            (Some(command), None) => {
                let environment = fill_all(&self.env, variable)?;
                let transport = Transport::local(command.clone(), environment);
                transport.map_err(|error| format!("command: {error}"))?
            }
            (None, Some(url)) => {
                let remote = Remote {
                    url: fill(url, variable)?,
                    headers: fill_all(&self.headers, variable)?,
                };
                match self.transport.unwrap_or_default() {
                    By::Http => Transport::Http(remote),
                    By::Sse => Transport::Sse(remote),
                }
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(
                    "expected command, for a server that is a program, or url, for one at an address".to_owned(),
                );
            }
        };
        Ok(Server {
            transport,
            enabled: self.enabled.unwrap_or(true),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, Server>, String> {
        let tables: BTreeMap<String, McpTable> = toml::from_str(text).map_err(|e| e.to_string())?;
        let variable = |name: &str| (name == "KEY").then(|| "hush".to_owned());
        servers(&tables, variable).map_err(|error| error.0)
    }

    #[test]
    fn a_server_is_a_program_or_an_address() {
        let text = r#"
            [files]
            command = ["npx", "-y", "server"]
            env = { TOKEN = "a {env:KEY} b" }
            [docs]
            url = "https://docs/sse"
            transport = "sse"
            headers = { Authorization = "Bearer {env:KEY}" }
            enabled = false
        "#;
        let read = read(text).expect("fine");
        let Transport::Stdio { environment, .. } = &read["files"].transport else {
            panic!("{read:?}");
        };
        assert_eq!(environment["TOKEN"], "a hush b");
        let Transport::Sse(remote) = &read["docs"].transport else {
            panic!("{read:?}");
        };
        assert_eq!(remote.headers["Authorization"], "Bearer hush");
        assert!(read["files"].enabled && !read["docs"].enabled);
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, said) in [
            ("[x]\n", "[mcp.x]: expected command"),
            (
                "[x]\ncommand = []\n",
                "[mcp.x]: command: expected a program",
            ),
            (
                "[x]\ncommand = [\"a\"]\nurl = \"b\"\n",
                "[mcp.x]: expected command",
            ),
            ("[\"a b\"]\nurl = \"b\"\n", "[mcp.a b]: Expected a name"),
            (
                "[x]\nurl = \"{env:NO}\"\n",
                "[mcp.x]: the variable NO is not set",
            ),
            (
                "[x]\nurl = \"b\"\nheaders = { a = \"{env:K\" }\n",
                "[mcp.x]: a: \"{env:\" without",
            ),
            ("[x]\nurl = \"b\"\ntransport = \"ws\"\n", "unknown variant"),
            ("[x]\nurll = \"b\"\n", "unknown field"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
