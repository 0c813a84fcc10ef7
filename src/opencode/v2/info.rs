//! Sessions, models and what else OpenCode 2 lists.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::opencode::request::{PermissionRequest, ToolRef};
use crate::opencode::session::{CacheTokens, ModelRef, Revert, Session, Tokens};
use crate::opencode::{PermissionId, SessionId};

/// Where something is: a directory of the server's machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LocationRef {
    /// The directory.
    pub directory: String,
}

/// Tokens spent, as OpenCode 2 counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2Tokens {
    /// Given to the model, without cache reads.
    pub input: u64,
    /// Written by the model.
    pub output: u64,
    /// Spent on hidden reasoning.
    pub reasoning: u64,
    /// Prompt cache use.
    pub cache: CacheTokens,
}

impl From<Tokens> for V2Tokens {
    fn from(tokens: Tokens) -> Self {
        Self {
            input: tokens.input,
            output: tokens.output,
            reasoning: tokens.reasoning,
            cache: tokens.cache,
        }
    }
}

/// When things happened to a session, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2SessionTime {
    /// When it was created.
    pub created: u64,
    /// When it was last used or changed.
    pub updated: u64,
    /// When it was archived.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub archived: Option<u64>,
}

/// A session, as OpenCode 2 shows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Session {
    /// The session's id.
    pub id: SessionId,
    /// The session that this one was forked from or belongs to.
    #[serde(rename = "parentID", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parent_id: Option<SessionId>,
    /// The project's id.
    #[serde(rename = "projectID")]
    pub project_id: String,
    /// The selected agent; absent before the first selection.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub agent: Option<String>,
    /// The selected model; absent before the first selection.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub model: Option<ModelRef>,
    /// Cost of all answers, in US dollars where the agents say so.
    pub cost: f64,
    /// Tokens of all answers.
    pub tokens: V2Tokens,
    /// When things happened.
    pub time: V2SessionTime,
    /// The title.
    pub title: String,
    /// Where its agents work.
    pub location: LocationRef,
    /// Set while the session is reverted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub revert: Option<Revert>,
}

impl From<Session> for V2Session {
    fn from(session: Session) -> Self {
        Self {
            id: session.id,
            parent_id: session.parent_id,
            project_id: session.project_id,
            agent: session.agent,
            model: session.model,
            cost: session.cost,
            tokens: session.tokens.into(),
            time: V2SessionTime {
                created: session.time.created,
                updated: session.time.updated,
                archived: session.time.archived,
            },
            title: session.title,
            location: LocationRef {
                directory: session.directory,
            },
            revert: session.revert,
        }
    }
}

/// How a provider is reached. OpenCode 2 has `native` providers besides those of its npm packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum V2ApiType {
    /// By the server's own means: over ACP.
    Native,
}

/// How a provider is reached.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2ProviderApi {
    /// The kind.
    pub r#type: V2ApiType,
    /// Settings; empty.
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
}

/// How a model is reached.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2ModelApi {
    /// The model's id there.
    pub id: String,
    /// The kind.
    pub r#type: V2ApiType,
    /// Settings; empty.
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
}

/// What is added to requests of a provider: nothing, since agents make them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct V2Request {
    /// Headers; empty.
    #[schema(value_type = Object)]
    pub headers: Map<String, Value>,
    /// Fields of the body; empty.
    #[schema(value_type = Object)]
    pub body: Map<String, Value>,
}

/// A backend, as OpenCode 2 shows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Provider {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub api: V2ProviderApi,
    /// What is added to requests; nothing.
    pub request: V2Request,
}

/// What a model can take and give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2Capabilities {
    /// It can call tools.
    pub tools: bool,
    /// What it takes: `text`, `image`.
    pub input: Vec<String>,
    /// What it gives: `text`.
    pub output: Vec<String>,
}

/// A reasoning effort of a model.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Variant {
    /// Its id.
    pub id: String,
    /// What is added to requests; nothing.
    #[serde(flatten)]
    pub request: V2Request,
}

/// When a model came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2ModelTime {
    /// In milliseconds since the Unix epoch; 0, since agents do not report it.
    pub released: u64,
}

/// What a model costs; zero, since agents do not report it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct V2Cost {
    /// Per million tokens given to it, in US dollars.
    pub input: f64,
    /// Per million tokens written by it, in US dollars.
    pub output: f64,
    /// The prompt cache's.
    pub cache: V2CacheCost,
}

/// What the prompt cache of a model costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct V2CacheCost {
    /// Per million tokens read, in US dollars.
    pub read: f64,
    /// Per million tokens written, in US dollars.
    pub write: f64,
}

/// How many tokens a model takes and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2Limit {
    /// Context, in tokens.
    pub context: u64,
    /// Output, in tokens.
    pub output: u64,
}

/// A model, as OpenCode 2 shows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Model {
    /// Its id, verbatim as the backend advertises it.
    pub id: String,
    /// The backend.
    #[serde(rename = "providerID")]
    pub provider_id: String,
    /// Its name for people.
    pub name: String,
    /// How it is reached.
    pub api: V2ModelApi,
    /// What it can take and give.
    pub capabilities: V2Capabilities,
    /// What is added to requests; nothing.
    pub request: V2Request,
    /// Its reasoning efforts.
    pub variants: Vec<V2Variant>,
    /// When it came out.
    pub time: V2ModelTime,
    /// What it costs.
    pub cost: Vec<V2Cost>,
    /// `active`.
    pub status: String,
    /// `true`: it can be selected.
    pub enabled: bool,
    /// Its limits.
    pub limit: V2Limit,
}

/// A permission rule, as OpenCode 2 shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2PermissionRule {
    /// The kind of thing.
    pub action: String,
    /// What it is done to.
    pub resource: String,
    /// `allow`, `deny` or `ask`.
    pub effect: String,
}

/// An agent, as OpenCode 2 shows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Agent {
    /// Its id.
    pub id: String,
    /// The model that it selects; absent where it keeps the session's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub model: Option<ModelRef>,
    /// What is added to requests; nothing.
    pub request: V2Request,
    /// What it does.
    pub description: String,
    /// How it is offered: `primary`, or `all`.
    pub mode: String,
    /// It is not offered in lists.
    pub hidden: bool,
    /// Its rules, besides those that the agents have themselves.
    pub permissions: Vec<V2PermissionRule>,
}

/// A slash command, as OpenCode 2 shows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Command {
    /// Its name.
    pub name: String,
    /// The prompt that it expands to.
    pub template: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub description: Option<String>,
    /// The agent that it selects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub agent: Option<String>,
    /// The model that it selects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub model: Option<ModelRef>,
    /// OpenCode runs it in a sub-agent; Baton answers it like any other.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub subtask: Option<bool>,
}

/// The tool call that a permission request belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2PermissionSource {
    /// `tool`.
    pub r#type: String,
    /// The call.
    #[serde(flatten)]
    pub tool: ToolRef,
}

/// A permission request, as OpenCode 2 shows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Permission {
    /// The request's id.
    pub id: PermissionId,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The kind of thing: `edit`, `bash`, …
    pub action: String,
    /// What it is done to.
    pub resources: Vec<String>,
    /// What the answer `always` would allow from then on.
    pub save: Vec<String>,
    /// What the agent says about it.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// The tool call that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub source: Option<V2PermissionSource>,
}

impl From<PermissionRequest> for V2Permission {
    fn from(request: PermissionRequest) -> Self {
        Self {
            id: request.id,
            session_id: request.session_id,
            action: request.permission,
            resources: request.patterns,
            save: request.always,
            metadata: request.metadata,
            source: request.tool.map(|tool| V2PermissionSource {
                r#type: "tool".to_owned(),
                tool,
            }),
        }
    }
}
