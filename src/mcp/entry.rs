//! OpenCode's own `mcp` entries.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Server, Transport};

/// Stands in a value for a variable of Baton's own environment: `{env:NAME}`.
const VARIABLE: (&str, &str) = ("{env:", "}");

/// An entry of `opencode.json`.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Entry {
    Local {
        command: Vec<String>,
        #[serde(default)]
        environment: BTreeMap<String, String>,
        enabled: Option<bool>,
    },
    Remote {
        url: String,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        enabled: Option<bool>,
    },
}

impl Server {
    /// The server of an `mcp` entry of OpenCode's. `variable` reads one of Baton's environment.
    ///
    /// # Errors
    /// What was expected.
    pub fn of_opencode(
        said: &Value,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let entry = Entry::deserialize(said).map_err(|error| error.to_string())?;
        let (transport, enabled) = match entry {
            Entry::Local {
                command,
                environment,
                enabled,
            } => {
                let environment = fill_all(&environment, &variable)?;
                (Transport::local(command, environment)?, enabled)
            }
            Entry::Remote {
                url,
                headers,
                enabled,
            } => {
                let (url, headers) = (fill(&url, &variable)?, fill_all(&headers, &variable)?);
                (Transport::remote(url, headers), enabled)
            }
        };
        let enabled = enabled.unwrap_or(true);
        Ok(Self { transport, enabled })
    }
}

/// Values with the variables that they name.
///
/// # Errors
/// Which value names one that is not set.
pub fn fill_all(
    values: &BTreeMap<String, String>,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, String> {
    let fill = |(name, value): (&String, &String)| {
        let value = fill(value, variable).map_err(|error| format!("{name}: {error}"))?;
        Ok((name.clone(), value))
    };
    values.iter().map(fill).collect()
}

/// A value with the variables that it names.
///
/// # Errors
/// Which one is not set.
pub fn fill(value: &str, variable: &impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = value;
    while let Some((before, named)) = rest.split_once(VARIABLE.0) {
        let (name, behind) = named
            .split_once(VARIABLE.1)
            .ok_or_else(|| format!("\"{{env:\" without a \"}}\" in {value:?}"))?;
        let value = variable(name).ok_or_else(|| format!("the variable {name} is not set"))?;
        filled.push_str(before);
        filled.push_str(&value);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_a_program_or_an_address() {
        let variable = |name: &str| (name == "KEY").then(|| "hush".to_owned());
        let read = |said| Server::of_opencode(&said, variable);
        let local = read(
            json!({"type": "local", "command": ["npx", "x"], "environment": {"A": "b {env:KEY}"}, "timeout": 5}),
        );
        let Ok(Server {
            transport: Transport::Stdio { environment, .. },
            enabled: true,
        }) = local
        else {
            panic!("{local:?}");
        };
        assert_eq!(environment["A"], "b hush");
        let remote = read(json!({"type": "remote", "url": "https://x/sse", "enabled": false}));
        assert!(matches!(
            remote,
            Ok(Server {
                transport: Transport::Sse(_),
                enabled: false
            })
        ));
        for (said, error) in [
            (
                json!({"type": "local", "command": []}),
                "expected a program",
            ),
            (json!({"type": "local"}), "missing field `command`"),
            (json!({"type": "pigeon"}), "unknown variant"),
            (
                json!({"type": "remote", "url": "{env:NO}"}),
                "the variable NO is not set",
            ),
        ] {
            assert!(read(said).expect_err("refused").contains(error), "{error}");
        }
    }
}
