//! How a backend is started, and what must be known about it beforehand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::fence::Fence;
use super::installed;
use super::quirks::keeps::Keeps;
use super::quirks::{self, owned};
use crate::environment::Environment;

/// Stands in a command or an environment value for the model: such a backend gets one process per
/// model, and is restarted to switch.
pub const MODEL_PLACEHOLDER: &str = "{model}";

/// Where a backend is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Built into Baton.
    Builtin,
    /// In the config file.
    Config,
}

/// A backend as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSpec {
    /// Its id, used as `providerID`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Its environment.
    pub environment: Environment,
    /// Where it is defined.
    pub origin: Origin,
    /// What to do when the program is missing.
    pub install: String,
    /// How its user signs in, as words that follow "To sign in: ".
    pub login: String,
    /// Modes that mean `plan` for this backend, best first.
    pub plan_modes: Vec<String>,
    /// Models besides those that the agent itself advertises; the values for `{model}`.
    pub models: Vec<String>,
    /// What their contexts hold, in tokens, where the user knows it.
    pub contexts: BTreeMap<String, u64>,
    /// Each session needs a process of its own: a native session would end the other ones, or change their model.
    pub one_session_per_process: bool,
    /// What it starts and puts into a session of its own (`setsid`) is meant to outlive it.
    pub leaves_children: bool,
    /// A native session goes on with the model of its first prompt, whatever is selected in it later: another model
    /// needs another native session, and so does one that would be opened again.
    pub keeps_first_model: bool,
    /// What was stopped, or has failed in its middle, it takes out of the native session, with all that came with it.
    pub forgets_unfinished: bool,
    /// What the tokens in its reply to a prompt are those of.
    pub token_count: TokenCount,
    /// How it is made to keep rules about its tools.
    pub keeps: Keeps,
    /// How what it says begins when that is an error of its provider's and no answer.
    pub error_texts: &'static [&'static str],
    /// Variables with which it does not try again for minutes by itself when its provider refuses.
    pub few_retries: &'static [(&'static str, &'static str)],
    /// How a native session is taken out of its own store where the protocol offers no way.
    pub removal: Option<Removal>,
    /// Whether Baton's own tests run it.
    pub tested: bool,
    /// Where `baton install` puts it; `None` where the user has given a command.
    pub installed_in: Option<PathBuf>,
}

/// What the tokens in an agent's reply to a prompt are those of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenCount {
    /// The answer.
    #[default]
    Answer,
    /// All answers of the native session.
    NativeSession,
    /// All answers since the process has opened the native session, or its model was chosen.
    SinceChoice,
}

/// A command line of an agent's program that removes one of its native sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// The arguments with which the program is an agent. A command that ends in another way is not understood.
    pub instead_of: &'static [&'static str],
    /// The arguments instead of those; the native session's id follows.
    pub arguments: &'static [&'static str],
}

/// Where a backend's program was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// Where its command says, which is that of the config file, or Baton's own.
    Command,
    /// Where `baton install` has put it.
    Installed,
    /// On the PATH.
    Path,
}

/// A program with its arguments and environment: what a process is started from, and the key under
/// which sessions share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Launch {
    /// The backend.
    pub backend: String,
    /// Program and arguments, without placeholders.
    pub command: Vec<String>,
    /// Its environment.
    pub environment: Environment,
    /// The session that it belongs to, where sessions cannot share a process.
    pub session: Option<String>,
    /// What somebody who is not signed in can do, as a sentence.
    pub sign_in_advice: String,
    /// The process serves one model or one session only and ends when its last session leaves.
    pub ends_with_last_session: bool,
    /// What has left its process group goes on when it ends.
    pub leaves_children: bool,
    /// Which MCP servers its native sessions are given ([`crate::mcp`]); 0 for none. Agents keep a server until their process
    /// ends, for all native sessions, whatever a reopened one is given.
    pub mcp: u64,
}

impl AgentSpec {
    /// A backend that only the config file knows.
    pub fn from_config(id: &str, command: Vec<String>) -> Self {
        Self {
            id: id.to_owned(),
            name: id.to_owned(),
            install: format!("check [agents.{id}] command in the config file"),
            command,
            environment: Environment::default(),
            origin: Origin::Config,
            login: quirks::UNKNOWN_LOGIN.to_owned(),
            plan_modes: owned(quirks::COMMON_PLAN_MODES),
            models: Vec::new(),
            contexts: BTreeMap::new(),
            // Nothing is known of it: its model may be one of the whole process.
            one_session_per_process: true,
            leaves_children: false,
            keeps_first_model: false,
            forgets_unfinished: false,
            token_count: TokenCount::Answer,
            keeps: Keeps::Nothing,
            error_texts: &[],
            few_retries: &[],
            removal: None,
            tested: false,
            installed_in: None,
        }
    }

    /// Leaves it to Baton to try again, unless the user has set how often it does.
    pub fn retries_little(&mut self) {
        for (name, value) in self.few_retries {
            let set = &mut self.environment.set;
            if std::env::var_os(name).is_none() {
                set.entry((*name).to_owned())
                    .or_insert_with(|| (*value).to_owned());
            }
        }
    }

    /// How to sign in, as a sentence for the user.
    pub fn sign_in_advice(&self) -> String {
        format!("To sign in: {}", self.login)
    }

    /// Whether the model is in the command or the environment.
    pub fn per_model(&self) -> bool {
        let texts = self.command.iter().chain(self.environment.set.values());
        texts.into_iter().any(|t| t.contains(MODEL_PLACEHOLDER))
    }

    /// What a process is started from that keeps to a fence. `modes` are those that its native sessions may be in.
    ///
    /// # Errors
    /// A sentence: the user's configuration leaves no way to pass it to the agent.
    pub fn launch_within(
        &self,
        fence: &Fence,
        modes: &[String],
        model: &str,
        session: &str,
    ) -> Result<Launch, String> {
        let open = self.launch(model, session);
        if fence.is_open() {
            return Ok(open);
        }
        let mut launch = open.clone();
        let (command, environment) = (&mut launch.command, &mut launch.environment);
        self.keeps
            .put_into_launch(fence, modes, command, environment)?;
        // Sessions with the same rules share it; there may be many sets of rules.
        launch.ends_with_last_session |= launch != open;
        Ok(launch)
    }

    /// What a process for this model and this session is started from.
    pub fn launch(&self, model: &str, session: &str) -> Launch {
        let fill = |text: &String| text.replace(MODEL_PLACEHOLDER, model);
        let mut environment = self.environment.clone();
        for value in environment.set.values_mut() {
            *value = fill(value);
        }
        let mut command: Vec<_> = self.command.iter().map(fill).collect();
        if let Some((program, path)) = self.installed() {
            // Its other programs are next to it.
            environment.put_in_front_of_path(&path);
            command[0] = program.to_string_lossy().into_owned();
        }
        Launch {
            backend: self.id.clone(),
            command,
            environment,
            sign_in_advice: self.sign_in_advice(),
            session: self.one_session_per_process.then(|| session.to_owned()),
            ends_with_last_session: self.per_model() || self.one_session_per_process,
            leaves_children: self.leaves_children,
            mcp: 0,
        }
    }

    /// The command line that removes a native session, where there is one.
    pub fn removal(&self, native_session: &str) -> Option<Launch> {
        let removal = self.removal?;
        let mut launch = self.launch("", "");
        let agent_from = launch.command.len().checked_sub(removal.instead_of.len())?;
        // An id must not look like an option, whatever its agent calls it.
        let is_understood = agent_from > 0 && launch.command[agent_from..] == *removal.instead_of;
        if !is_understood || native_session.starts_with('-') {
            return None;
        }
        launch.command.truncate(agent_from);
        let arguments = removal.arguments.iter().copied().chain([native_session]);
        launch.command.extend(arguments.map(str::to_owned));
        Some(launch)
    }

    /// Its program as `baton install` has installed it, and the folder of its programs.
    fn installed(&self) -> Option<(PathBuf, PathBuf)> {
        let folder = self.installed_in.as_deref()?;
        let program = installed::program(folder, self.command.first()?)?;
        Some((program, installed::programs(folder)))
    }

    /// The program on disk: the one that the config file names, else the one that Baton has installed, else the one
    /// on the PATH.
    ///
    /// # Errors
    /// A sentence for the user, when the command is empty or the program is not found.
    pub fn find_program(&self) -> Result<(PathBuf, Found), String> {
        let Some(program) = self.command.first() else {
            return Err(format!(
                "The command of backend \"{}\" is empty. Set [agents.{}] command in the config file.",
                self.id, self.id
            ));
        };
        if let Some((program, _)) = self.installed() {
            return Ok((program, Found::Installed));
        }
        let found = match self.installed_in {
            Some(_) => Found::Path,
            None => Found::Command,
        };
        which::which(program)
            .map(|path| (path, found))
            .map_err(|_| {
                format!(
                    "The program \"{program}\" of backend \"{}\" was not found. To install it: {}",
                    self.id, self.install
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_in_a_command_makes_one_process_per_model() {
        let mut spec = AgentSpec::from_config("x", vec!["agent".into(), "--model={model}".into()]);
        spec.one_session_per_process = false;
        assert!(spec.per_model());
        assert_eq!(spec.launch("a/b", "s").command[1], "--model=a/b");
        spec.command.pop();
        assert!(!spec.per_model());
        assert_eq!(spec.launch("a", "s"), spec.launch("b", "t"));
        spec.environment
            .set
            .insert("MODEL".into(), "{model}".into());
        assert_ne!(spec.launch("a", "s"), spec.launch("b", "s"));
    }

    #[test]
    fn sessions_that_cannot_share_a_process_have_one_each() {
        let spec = AgentSpec::from_config("x", vec!["agent".into()]);
        assert_eq!(spec.launch("a", "s"), spec.launch("b", "s"));
        assert_ne!(spec.launch("a", "s"), spec.launch("a", "t"));
        assert!(spec.launch("a", "s").ends_with_last_session);
    }

    #[test]
    fn a_native_session_is_removed_by_the_agents_own_program() {
        let command = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let removal = Removal {
            instead_of: &["acp"],
            arguments: &["session", "delete"],
        };
        let mut spec = AgentSpec::from_config("x", command("npx agent acp"));
        assert_eq!(spec.removal("ses_1"), None);
        spec.removal = Some(removal);
        let launch = spec.removal("ses_1").expect("known");
        assert_eq!(launch.command, command("npx agent session delete ses_1"));
        assert_eq!(spec.removal("--all"), None);
        for other in ["agent acp --port 1", "acp", "agent"] {
            spec.command = command(other);
            assert_eq!(spec.removal("ses_1"), None, "{other}");
        }
    }

    #[test]
    fn a_missing_program_says_how_to_get_it() {
        let spec = AgentSpec::from_config("x", vec!["/nonexistent/agent".into()]);
        let error = spec.find_program().expect_err("does not exist");
        assert!(
            error.contains("/nonexistent/agent") && error.contains("[agents.x]"),
            "{error}"
        );
    }
}
