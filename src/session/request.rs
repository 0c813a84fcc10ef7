//! What callers ask of a session, in typed values.

use serde::{Deserialize, Serialize};

use crate::opencode::event::{FallbackReason, Source};
use crate::opencode::handoff::{HandoffMode, HandoffWish};
use crate::opencode::message::OutputFormat;
use crate::opencode::prompt::PartInput;
use crate::opencode::session::{MessageModel, PermissionRule};
use crate::opencode::spending::SpendingLimit;
use crate::opencode::{MessageId, Metadata, SessionId};
use crate::project::Place;
use crate::registry::Wish;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// By which way.
    pub source: Source,
    /// The `x-client-id` of the request.
    pub client: Option<String>,
    /// Its `user-agent`, the beginning of it.
    pub program: Option<String>,
    /// Why Baton does it.
    pub reason: Option<FallbackReason>,
}

impl Caller {
    /// Baton, or an agent.
    pub fn nobody(source: Source) -> Self {
        Self {
            source,
            client: None,
            program: None,
            reason: None,
        }
    }

    /// As whom it is known.
    pub fn who(&self) -> Who {
        match (&self.client, &self.program) {
            (Some(client), _) => Who::Client(client.clone()),
            (None, Some(program)) => Who::Program(program.clone()),
            (None, None) => Who::Unknown,
        }
    }
}

/// As whom a client is known. Only what it calls itself with `x-client-id` is sure to be one client: programs of the same
/// kind have the same `user-agent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// By its `x-client-id`.
    Client(String),
    /// By its `user-agent`.
    Program(String),
    /// It has told neither.
    Unknown,
}

impl Who {
    /// Its name, where it has one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Client(name) | Self::Program(name) => Some(name),
            Self::Unknown => None,
        }
    }
}

/// A session to be made.
#[derive(Debug, Clone, Default)]
pub struct NewSession {
    /// The working directory of its agents: an absolute path.
    pub directory: String,
    /// Where that is, if it was found out already.
    pub place: Option<Place>,
    /// The session that it belongs to.
    pub parent_id: Option<SessionId>,
    /// Its title; one with the time is made when there is none.
    pub title: Option<String>,
    /// What it shall select; empty leaves the choice to the first prompt.
    pub wish: Wish,
    /// Free data of the client.
    pub metadata: Option<Metadata>,
    /// Permission rules.
    pub permission: Vec<PermissionRule>,
    /// The native session that it goes on with.
    pub import: Option<ImportWish>,
}

/// A native session that shall become a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportWish {
    /// The backend.
    pub provider_id: String,
    /// The native session's id, in the agent's numbering.
    pub native_id: String,
}

/// What a request says about a session's chain of models. As a field it is absent (which `#[serde(default)]` reads), null, or
/// a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ChainWish {
    /// Nothing: it stays as it is.
    #[default]
    Keep,
    /// The server's own chain is used.
    Default,
    /// This one; empty for none.
    Set(Vec<MessageModel>),
}

/// Changes of a session: all or nothing.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// What it shall select.
    pub wish: Wish,
    /// A new title.
    pub title: Option<String>,
    /// New data of the client, in place of the old.
    pub metadata: Option<Metadata>,
    /// Permission rules, behind the old ones.
    pub permission: Vec<PermissionRule>,
    /// Permission rules in place of all others: what a prompt says about tools.
    pub tools: Vec<PermissionRule>,
    /// When it was archived, in milliseconds since the Unix epoch.
    pub archived: Option<u64>,
    /// Whether messages are kept from selecting another model from now on; left out, a change of the selection ends it.
    pub pin: Option<bool>,
    /// What goes on when the selected model cannot answer.
    pub fallback: ChainWish,
    /// What it may spend from now on; the inner `None` for the server's own limit.
    pub limit: Option<Option<SpendingLimit>>,
    /// How the conversation gets to what it selects, or to what is selected.
    pub handoff: Option<HandoffWish>,
    /// The same, for the prompt alone that comes with it.
    pub handoff_now: Option<HandoffWish>,
    /// The revision that the session has to have.
    pub if_match: Option<u64>,
}

/// A prompt.
#[derive(Debug, Clone, Default)]
pub struct Prompt {
    /// The message's id, where the client brings one.
    pub message_id: Option<MessageId>,
    /// What the session shall select for this prompt and from then on.
    pub wish: Wish,
    /// Its parts; at least one.
    pub parts: Vec<PartInput>,
    /// Only store it; it goes to the model with the next prompt.
    pub no_reply: bool,
    /// An instruction for this prompt alone.
    pub system: Option<String>,
    /// The form that its answer shall have; `None` for text.
    pub format: Option<OutputFormat>,
    /// What it says about tools, as permission rules. They are the session's from then on, as in OpenCode.
    pub tools: Vec<PermissionRule>,
    /// It is one of the backend's own slash commands.
    pub native_command: bool,
    /// How the conversation gets to its model.
    pub handoff: Option<HandoffWish>,
    /// What applies where nothing is wished.
    pub handoff_default: HandoffMode,
    /// The transcript does not fit into its model's context.
    pub is_too_much: bool,
}

impl Prompt {
    /// Bytes of its texts and files, roughly.
    pub fn bytes(&self) -> usize {
        let part = |part: &PartInput| match part {
            PartInput::Text(text) => text.text.len(),
            PartInput::File(file) => file.url.len(),
            PartInput::Agent(agent) => agent.name.len(),
            PartInput::Subtask(task) => task.prompt.len() + task.description.len(),
        };
        let system = self.system.as_ref().map_or(0, String::len);
        self.parts.iter().map(part).sum::<usize>() + system
    }
}

/// Which sessions to list.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Only of this project.
    pub project_id: Option<String>,
    /// Only of this directory.
    pub directory: Option<String>,
    /// Only of this directory of the worktree and of those below it; empty for all.
    pub path: Option<String>,
    /// Only those without a parent.
    pub roots: bool,
    /// Only those used since then, in milliseconds since the Unix epoch.
    pub start: Option<u64>,
    /// Only those used before then, in milliseconds since the Unix epoch.
    pub before: Option<u64>,
    /// Only those behind this session, most recently used first. Where it has moved or is gone, only `before` counts.
    pub behind: Option<SessionId>,
    /// Leaves out what is archived.
    pub without_archived: bool,
    /// Only those with this text in their title, whatever its case.
    pub search: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Which page of a list that is ordered by when sessions were made.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The one made first comes first.
    pub oldest_first: bool,
    /// Only what comes behind this session.
    pub after: Option<SessionId>,
}
