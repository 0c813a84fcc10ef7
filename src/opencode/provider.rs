//! OpenCode's catalogue: providers, models, agents, paths and projects.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::session::{CacheTokens, PermissionRule};

/// A provider: one of Baton's backends.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Provider {
    /// The backend's id, used as `providerID`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Where it is defined: `custom` for one that is built in, `config` for one from the config file.
    pub source: ProviderSource,
    /// Environment variables that hold its credentials; Baton leaves them to the agent.
    pub env: Vec<String>,
    /// Options; Baton has none.
    #[schema(value_type = Object)]
    pub options: Map<String, Value>,
    /// Its models by id.
    pub models: BTreeMap<String, Model>,
}

/// Where a provider is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderSource {
    /// In the config file.
    Config,
    /// In Baton, and usable: its agent has its credentials itself.
    Api,
    /// In Baton, and not usable as it is.
    Custom,
}

/// A model that a backend advertises.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Model {
    /// The model's id, verbatim; it may contain `/`.
    pub id: String,
    /// The backend's id.
    #[serde(rename = "providerID")]
    pub provider_id: String,
    /// How it is reached.
    pub api: ModelApi,
    /// Its name for people.
    pub name: String,
    /// What it can do, as far as the agent says.
    pub capabilities: ModelCapabilities,
    /// Price per million tokens; zero or next to it, since agents bill by themselves.
    pub cost: ModelCost,
    /// Limits in tokens.
    pub limit: ModelLimit,
    /// `active`.
    pub status: String,
    /// Options; Baton has none.
    #[schema(value_type = Object)]
    pub options: Map<String, Value>,
    /// Headers; Baton has none.
    #[schema(value_type = Object)]
    pub headers: Map<String, Value>,
    /// Unknown to Baton, therefore empty.
    pub release_date: String,
    /// Its reasoning efforts by name, in the order in which the backend has them: clients show them in it.
    #[schema(value_type = Object)]
    pub variants: Map<String, Value>,
}

/// How a model is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ModelApi {
    /// The model's id.
    pub id: String,
    /// Empty: the agent knows.
    pub url: String,
    /// `acp`: over the Agent Client Protocol.
    pub npm: String,
}

/// What a model can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ModelCapabilities {
    /// Takes a temperature.
    pub temperature: bool,
    /// Has reasoning efforts.
    pub reasoning: bool,
    /// Takes attachments.
    pub attachment: bool,
    /// Calls tools.
    pub toolcall: bool,
    /// What it reads.
    pub input: Modalities,
    /// What it writes.
    pub output: Modalities,
    /// Interleaves reasoning and text.
    pub interleaved: bool,
}

/// Kinds of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Modalities {
    /// Text.
    pub text: bool,
    /// Sound.
    pub audio: bool,
    /// Pictures.
    pub image: bool,
    /// Films.
    pub video: bool,
    /// PDF documents.
    pub pdf: bool,
}

/// Price per million tokens, in US dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct ModelCost {
    /// Given.
    pub input: f64,
    /// Written.
    pub output: f64,
    /// Cached.
    pub cache: CacheTokens,
}

/// Limits of a model, in tokens. Clients divide by them, so that one that is not known is a usual one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ModelLimit {
    /// Of the context.
    pub context: u64,
    /// Of an answer.
    pub output: u64,
}

/// How an agent is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AgentMode {
    /// In the agent list of a client.
    Primary,
    /// To other agents.
    Subagent,
    /// Everywhere.
    All,
}

/// The model of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AgentModel {
    /// The backend's id.
    #[serde(rename = "providerID")]
    pub provider_id: String,
    /// The model's id.
    #[serde(rename = "modelID")]
    pub model_id: String,
}

/// An agent that a session can select.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Agent {
    /// Its name, used as `agent`.
    pub name: String,
    /// What it is.
    pub description: String,
    /// How it is offered.
    pub mode: AgentMode,
    /// Part of Baton.
    pub native: bool,
    /// Not in the Tab list of the terminal UI.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub hidden: Option<bool>,
    /// Its permission rules.
    pub permission: Vec<PermissionRule>,
    /// The model that it selects; absent where it keeps the session's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub model: Option<AgentModel>,
    /// The reasoning effort of that model; absent for its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub variant: Option<String>,
    /// Options; Baton has none.
    #[schema(value_type = Object)]
    pub options: Map<String, Value>,
}

/// Paths of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Paths {
    /// The user's home directory.
    pub home: String,
    /// Baton's data directory.
    pub state: String,
    /// The folder of the config file.
    pub config: String,
    /// The root of the project.
    pub worktree: String,
    /// The working directory.
    pub directory: String,
}

/// All providers.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ProviderCatalog)]
pub struct ProviderList {
    /// Every backend, in order of preference. One that cannot run has the models that it had when it did, or none.
    pub all: Vec<Provider>,
    /// The model that each of them starts with.
    pub default: BTreeMap<String, String>,
    /// The ids of the backends that can run.
    pub connected: Vec<String>,
}

/// The providers that can be used.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ConfiguredProviders)]
pub struct ConfigProviders {
    /// The backends that can run, in order of preference.
    pub providers: Vec<Provider>,
    /// The model that each of them starts with.
    pub default: BTreeMap<String, String>,
}

/// How a provider takes credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderAuthKind {
    /// In the browser.
    Oauth,
    /// As a key.
    Api,
}

/// A way to sign in to a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProviderAuthMethod {
    /// How.
    pub r#type: ProviderAuthKind,
    /// Its name.
    pub label: String,
}

/// How the flow goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderAuthFlow {
    /// By itself: the client calls `provider.oauth.callback` and waits.
    Auto,
}

/// What somebody who signs in has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProviderAuthAuthorization {
    /// Empty: the agent opens a browser itself, where it needs one.
    pub url: String,
    /// How it goes on.
    pub method: ProviderAuthFlow,
    /// What happens, for people.
    pub instructions: String,
}
