//! What one agent does differently from the others, in one place and as data: [`table`] has a row for each built-in
//! agent, [`told`] the places where agents put what the protocol has no field for. The rest of Baton knows no vendors.

mod table;
pub mod told;

use super::spec::{AgentSpec, Origin};
use crate::environment::Environment;

/// Modes that mean "plan, change nothing" where nothing else is known about a backend.
pub const COMMON_PLAN_MODES: &[&str] = &["plan", "read-only", "readonly", "architect"];
/// How a user signs in to an agent that Baton knows nothing about.
pub const UNKNOWN_LOGIN: &str = "sign in with its own program, as its documentation says";

/// A built-in agent: everything that Baton knows about it before it was started.
struct Builtin {
    id: &'static str,
    name: &'static str,
    command: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    env_remove: &'static [&'static str],
    install: &'static str,
    /// How its user signs in: see [`AgentSpec::login`].
    login: &'static str,
    plan_modes: &'static [&'static str],
    credentials: Credentials,
    /// Whether it is known to keep the models of several sessions in one process apart.
    shared_process: bool,
}

/// Whose models an agent talks to.
enum Credentials {
    /// Those of any vendor: it gets every vendor's variables.
    AnyVendor,
    /// Those of one vendor, whose credentials are in these variables: other vendors' are withheld from it. Cloud
    /// credentials (`AWS_*`, `GOOGLE_APPLICATION_CREDENTIALS`, …) are in no list: they belong to the user's own tools
    /// as well, and several agents reach their models through them.
    Vendor(&'static [&'static str]),
}

impl Credentials {
    fn variables(&self) -> &'static [&'static str] {
        match self {
            Self::AnyVendor => &[],
            Self::Vendor(variables) => variables,
        }
    }
}

/// The mock agent, which talks to no model, and is no program of its own: its command is made where it is known.
const MOCK: Builtin = Builtin {
    id: "mock",
    name: "Mock",
    command: &[],
    env: &[],
    env_remove: &[],
    install: "the mock agent is part of baton",
    login: "the mock agent needs no account",
    plan_modes: &["plan"],
    credentials: Credentials::Vendor(&[]),
    shared_process: true,
};

impl Builtin {
    fn spec(&self) -> AgentSpec {
        AgentSpec {
            id: self.id.to_owned(),
            name: self.name.to_owned(),
            command: owned(self.command),
            environment: self.environment(),
            origin: Origin::Builtin,
            install: self.install.to_owned(),
            login: self.login.to_owned(),
            plan_modes: owned(self.plan_modes),
            models: Vec::new(),
            one_session_per_process: !self.shared_process,
        }
    }

    /// Baton's own environment, without what belongs to other agents' vendors.
    fn environment(&self) -> Environment {
        Environment {
            withhold: [owned(self.env_remove), self.credentials_of_others()].concat(),
            set: self
                .env
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            ..Environment::default()
        }
    }

    /// The credentials that it has no use for.
    fn credentials_of_others(&self) -> Vec<String> {
        match self.credentials {
            Credentials::AnyVendor => Vec::new(),
            Credentials::Vendor(own) => credentials()
                .filter(|name| !own.contains(name))
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// The built-in backends, in order of preference. `own_program` is the path of the running `baton`, which is its own
/// mock agent; `mock_state` is the folder in which the mock agent keeps its native sessions.
pub fn builtins(own_program: &str, mock_state: &str) -> Vec<AgentSpec> {
    let mock = AgentSpec {
        command: owned(&[own_program, "mock-agent", "--state-dir", mock_state]),
        ..MOCK.spec()
    };
    let programs = table::BUILTINS.iter().map(Builtin::spec);
    programs.chain([mock]).collect()
}

/// Every variable that holds a vendor's credentials.
fn credentials() -> impl Iterator<Item = &'static str> {
    let variables = table::BUILTINS.iter().map(|b| b.credentials.variables());
    variables.flatten().copied()
}

/// Texts as they are kept.
pub fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[cfg(test)]
mod tests;
