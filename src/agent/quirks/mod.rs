//! What one agent does differently from the others, in one place and as data: [`table`] has a row for each built-in
//! agent, [`told`] the places where agents put what the protocol has no field for. The rest of Baton knows no vendors.

pub mod keeps;
mod table;
pub mod told;

use std::collections::BTreeMap;
use std::path::Path;

use super::fence::{ANY_OTHER, COMMON};
use super::installed;
use super::spec::{AgentSpec, Origin, Removal, TokenCount};
use crate::environment::Environment;
use keeps::{Arguments, Keeps};

/// The protocol's own name of a mode for planning, which few agents use.
const PROTOCOLS_PLAN_MODE: &str = "https://agentclientprotocol.com/protocol/session-modes#plan";
/// Modes that mean "plan, change nothing" where nothing else is known about a backend.
pub const COMMON_PLAN_MODES: &[&str] = &[
    "plan",
    PROTOCOLS_PLAN_MODE,
    "read-only",
    "readonly",
    "architect",
];
/// How a user signs in to an agent that Baton knows nothing about.
pub const UNKNOWN_LOGIN: &str = "sign in with its own program, as its documentation says";

/// Stands in the name of a package for the platform, as npm's packages of programs have it: `linux-x64`.
const PLATFORM_PLACEHOLDER: &str = "{platform}";

/// A built-in agent: everything that Baton knows about it before it was started.
struct Builtin {
    id: &'static str,
    name: &'static str,
    command: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    env_remove: &'static [&'static str],
    packages: Packages,
    /// How its user signs in: see [`AgentSpec::login`].
    login: &'static str,
    plan_modes: &'static [&'static str],
    /// The variables with the credentials of its own vendor, which agents of one other vendor do not get. Cloud
    /// credentials (`AWS_*`, `GOOGLE_APPLICATION_CREDENTIALS`, …) are in no list: they belong to the user's own tools
    /// as well, and several agents reach their models through them.
    credentials: &'static [&'static str],
    /// Whether it talks to its own vendor only, so that other vendors' credentials are withheld from it.
    one_vendor: bool,
    /// Whether it is known to keep the models of several sessions in one process apart.
    shared_process: bool,
    /// See [`AgentSpec::keeps_first_model`].
    keeps_first_model: bool,
    /// See [`AgentSpec::forgets_unfinished`].
    forgets_unfinished: bool,
    /// See [`AgentSpec::token_count`].
    token_count: TokenCount,
    /// How it is made to keep rules about its tools, unless by `denies`.
    keeps: Keeps,
    /// The arguments that take the tools of a permission away, where that is all that it can keep.
    denies: &'static [(&'static str, &'static [&'static str])],
    /// See [`AgentSpec::error_texts`].
    error_texts: &'static [&'static str],
    /// See [`AgentSpec::few_retries`].
    few_retries: &'static [(&'static str, &'static str)],
    /// See [`AgentSpec::removal`].
    removal: Option<Removal>,
    /// Whether `tests/agents` runs it.
    tested: bool,
}

/// A built-in agent of which nothing special is known: each session has a process of its own.
const PLAIN: Builtin = Builtin {
    id: "",
    name: "",
    command: &[],
    env: &[],
    env_remove: &[],
    packages: Packages::Elsewhere(""),
    login: "",
    plan_modes: &["plan"],
    credentials: &[],
    one_vendor: false,
    shared_process: false,
    keeps_first_model: false,
    forgets_unfinished: false,
    token_count: TokenCount::Answer,
    keeps: Keeps::Nothing,
    denies: &[],
    error_texts: &[],
    few_retries: &[],
    removal: None,
    tested: false,
};

/// The mock agent, which talks to no model, and is not a program of its own: its command is made where it is known.
const MOCK: Builtin = Builtin {
    id: "mock",
    name: "Mock",
    packages: Packages::Elsewhere("the mock agent is part of baton"),
    login: "the mock agent needs no account",
    one_vendor: true,
    shared_process: true,
    tested: true,
    ..PLAIN
};

/// A second mock agent, so that a conversation can be handed over where no other agent is installed.
const MOCK2: Builtin = Builtin {
    id: "mock2",
    name: "Mock 2",
    ..MOCK
};
/// It has other models and efforts than the first, so that what belongs to one backend shows.
const MOCK2_MODELS: &[&str] = &["mock2", "mock2-strong"];
const MOCK2_EFFORTS: &[&str] = &["quick", "thorough"];
/// Its context is so small, in tokens, that a long tool output is shortened when a conversation is handed over to it.
const MOCK2_CONTEXT_TOKENS: u64 = 16_000;

/// Where an agent's program comes from. The first package is the one whose version is the agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packages {
    /// From npm, for a Node.js of this major version or newer; 0 where the packages bring a native program.
    Npm(&'static [Package], u32),
    /// From PyPI, for this Python 3 or newer: 12 means 3.12.
    Pip(&'static [Package], u32),
    /// Baton cannot install it: what its user does, as words that follow "To install it: ".
    Elsewhere(&'static str),
}

/// A package with the version that was tested; without one, it was not tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    name: &'static str,
    /// The version that was tested.
    pub version: Option<&'static str>,
}

impl Package {
    const fn new(name: &'static str, version: &'static str) -> Self {
        let version = Some(version);
        Self { name, version }
    }

    const fn untested(name: &'static str) -> Self {
        let version = None;
        Self { name, version }
    }

    /// Its name in the package registry, for this machine.
    pub fn name(&self) -> String {
        self.name.replace(PLATFORM_PLACEHOLDER, &platform())
    }
}

impl Packages {
    fn install(&self, id: &str) -> String {
        match self {
            Self::Npm(..) | Self::Pip(..) => format!("baton install {id}"),
            Self::Elsewhere(how) => (*how).to_owned(),
        }
    }
}

/// This machine, as npm's packages of programs name it.
pub fn platform() -> String {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        arch => arch,
    };
    format!("{os}-{arch}")
}

impl Builtin {
    fn spec(&self) -> AgentSpec {
        AgentSpec {
            id: self.id.to_owned(),
            name: self.name.to_owned(),
            command: owned(self.command),
            environment: self.environment(),
            origin: Origin::Builtin,
            install: self.packages.install(self.id),
            login: self.login.to_owned(),
            plan_modes: owned(self.plan_modes),
            models: Vec::new(),
            contexts: BTreeMap::new(),
            one_session_per_process: !self.shared_process,
            leaves_children: false,
            keeps_first_model: self.keeps_first_model,
            forgets_unfinished: self.forgets_unfinished,
            token_count: self.token_count,
            keeps: self.keeps(),
            error_texts: self.error_texts,
            few_retries: self.few_retries,
            removal: self.removal,
            tested: self.tested,
            installed_in: None,
        }
    }

    fn keeps(&self) -> Keeps {
        if self.denies.is_empty() {
            return self.keeps.clone();
        }
        let denies = self.denies.iter();
        let deny =
            denies.map(|(permission, arguments)| ((*permission).to_owned(), owned(arguments)));
        Keeps::Arguments(Arguments {
            deny: deny.collect(),
            ask: BTreeMap::new(),
        })
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
        if !self.one_vendor {
            return Vec::new();
        }
        credentials()
            .filter(|name| !self.credentials.contains(name))
            .map(str::to_owned)
            .collect()
    }
}

/// The built-in backends, in order of preference. `own_program` is the path of the running `baton`, which is its own
/// mock agent; `mock_state` is the folder in which the mock agent keeps its native sessions; below `data_dir` is what
/// `baton install` has installed.
pub fn builtins(own_program: &str, mock_state: &Path, data_dir: &Path) -> Vec<AgentSpec> {
    let mock = mock(own_program, mock_state);
    let mock2 = mock2(own_program, &mock_state.with_file_name(MOCK2.id));
    let programs = table::BUILTINS.iter().map(|builtin| AgentSpec {
        installed_in: Some(installed::folder(data_dir, builtin.id)),
        ..builtin.spec()
    });
    programs.chain([mock, mock2]).collect()
}

fn mock(own_program: &str, state: &Path) -> AgentSpec {
    let state = state.to_string_lossy();
    AgentSpec {
        command: owned(&[own_program, "mock-agent", "--state-dir", &state]),
        keeps: Keeps::Arguments(mock_arguments()),
        ..MOCK.spec()
    }
}

fn mock2(own_program: &str, state: &Path) -> AgentSpec {
    let mut mock2 = AgentSpec {
        id: MOCK2.id.to_owned(),
        name: MOCK2.name.to_owned(),
        ..mock(own_program, state)
    };
    let context = MOCK2_CONTEXT_TOKENS.to_string();
    let options = [
        ("--models", MOCK2_MODELS.join(",")),
        ("--efforts", MOCK2_EFFORTS.join(",")),
        ("--context", context),
    ];
    for (flag, value) in options {
        mock2.command.extend([flag.to_owned(), value]);
    }
    // Known before its first answer, which has its size.
    let contexts = MOCK2_MODELS
        .iter()
        .map(|&model| (model.to_owned(), MOCK2_CONTEXT_TOKENS));
    mock2.contexts = contexts.collect();
    mock2
}

/// Whether a built-in backend is one of the mock agents.
pub fn is_mock(id: &str) -> bool {
    [MOCK.id, MOCK2.id].contains(&id)
}

/// How the mock agent keeps rules: flags say what to do without, and what to ask about. It has no other tools.
pub fn mock_arguments() -> Arguments {
    let told = |flag: &str| {
        let has = |name: &str| ["bash", "edit", "read"].contains(&name);
        let arguments = |name: &str| match has(name) {
            true => owned(&[flag, name]),
            false => Vec::new(),
        };
        let names = COMMON.iter().copied().chain([ANY_OTHER]);
        names
            .map(|name| (name.to_owned(), arguments(name)))
            .collect()
    };
    Arguments {
        deny: told("--deny"),
        ask: told("--ask"),
    }
}

/// Where the program of a built-in agent comes from.
pub fn packages(id: &str) -> Option<Packages> {
    let builtin = table::BUILTINS.iter().find(|b| b.id == id)?;
    Some(builtin.packages)
}

/// The ids of the built-in agents that are programs of their own.
pub fn ids() -> impl Iterator<Item = &'static str> {
    table::BUILTINS.iter().map(|b| b.id)
}

/// Every variable that holds a vendor's credentials.
fn credentials() -> impl Iterator<Item = &'static str> {
    let variables = table::BUILTINS.iter().map(|b| b.credentials);
    variables.flatten().copied()
}

/// Texts as they are kept.
pub fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[cfg(test)]
mod tests;
