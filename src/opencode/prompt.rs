//! What a client sends as a prompt.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::bounded;
use super::id::PartId;

/// One part of a prompt; a client may bring the part's id.
#[derive(Debug, Clone, PartialEq, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum PartInput {
    /// Text.
    Text(TextPartInput),
    /// A file, as a `data:` or `file:` URL.
    File(FilePartInput),
    /// A mention of an agent.
    Agent(AgentPartInput),
    /// A task for a sub-agent.
    Subtask(SubtaskPartInput),
}

impl PartInput {
    /// A text, and nothing else about it.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(TextPartInput {
            id: None,
            text: text.into(),
            synthetic: None,
            ignored: None,
            metadata: None,
        })
    }
}

/// How it is read. serde reads a tagged enum from a copy, in which an error has no place; this one names itself
/// `tagged`, and the reader of request bodies looks at the tag by itself. The compiler compares the two.
#[derive(Deserialize)]
#[serde(remote = "PartInput", rename = "tagged", rename_all = "kebab-case")]
enum Tagged {
    Text(TextPartInput),
    File(FilePartInput),
    Agent(AgentPartInput),
    Subtask(SubtaskPartInput),
}

impl<'de> Deserialize<'de> for PartInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Tagged::deserialize(deserializer)
    }
}

impl PartInput {
    /// The id that the client brought.
    pub fn id(&self) -> Option<&PartId> {
        match self {
            Self::Text(p) => p.id.as_ref(),
            Self::File(p) => p.id.as_ref(),
            Self::Agent(p) => p.id.as_ref(),
            Self::Subtask(p) => p.id.as_ref(),
        }
    }
}

/// Text of a prompt.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
pub struct TextPartInput {
    /// The part's id.
    pub id: Option<PartId>,
    /// The text.
    #[serde(deserialize_with = "bounded::text")]
    #[schema(format = "bound:text")]
    pub text: String,
    /// Made by the client, not by the user.
    pub synthetic: Option<bool>,
    /// Shown, but not given to the model.
    pub ignored: Option<bool>,
    /// Free data.
    #[serde(default, deserialize_with = "bounded::data")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// A file of a prompt.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
pub struct FilePartInput {
    /// The part's id.
    pub id: Option<PartId>,
    /// Its media type.
    #[schema(format = "bound:name", example = "text/plain")]
    pub mime: String,
    /// Its name.
    #[serde(default, deserialize_with = "bounded::path")]
    #[schema(format = "bound:path")]
    pub filename: Option<String>,
    /// `data:` or `file:` URL.
    #[serde(deserialize_with = "bounded::attachment")]
    #[schema(format = "bound:attachment")]
    pub url: String,
    /// Where in the prompt it was mentioned.
    #[serde(default, deserialize_with = "bounded::data")]
    #[schema(value_type = Option<Object>)]
    pub source: Option<Map<String, Value>>,
}

/// A mention of an agent.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
pub struct AgentPartInput {
    /// The part's id.
    pub id: Option<PartId>,
    /// The agent's name.
    #[schema(format = "bound:name")]
    pub name: String,
    /// Where in the prompt it was mentioned.
    #[serde(default, deserialize_with = "bounded::data")]
    #[schema(value_type = Option<Object>)]
    pub source: Option<Map<String, Value>>,
}

/// A task for a sub-agent.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
pub struct SubtaskPartInput {
    /// The part's id.
    pub id: Option<PartId>,
    /// What to do.
    #[serde(deserialize_with = "bounded::text")]
    #[schema(format = "bound:text")]
    pub prompt: String,
    /// The same in a few words.
    #[serde(deserialize_with = "bounded::title")]
    #[schema(format = "bound:title")]
    pub description: String,
    /// Who is to do it.
    #[schema(format = "bound:name")]
    pub agent: String,
}
