//! What the routes of OpenCode 2 answer with, around the shapes of what they are about.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::event::V2Event;
use super::info::{V2Agent, V2Command, V2Model, V2Permission, V2Provider, V2Session};
use super::message::{SessionMessage, V2Prompt};
use crate::opencode::absent::{Skill, V2Integration, V2Reference};
use crate::opencode::file::FileSystemEntry;
use crate::opencode::project::LocationInfo;
use crate::opencode::request::QuestionRequest;
use crate::opencode::{MessageId, SessionId};

/// `NAME: TYPE` is `{"data": TYPE}`; with `at LocationInfo`, the location that it is about is next to it.
macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident $(at $location:ty)?: $type:ty = $what:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
        pub struct $name {
            $(
                /// The location.
                pub location: $location,
            )?
            #[doc = $what]
            pub data: $type,
        }
    )+};
}

answers! {
    /// The agents at a location.
    V2Agents at LocationInfo: Vec<V2Agent> = "The agents.";
    /// The slash commands at a location.
    V2Commands at LocationInfo: Vec<V2Command> = "The commands.";
    /// The permission requests at a location.
    V2Permissions at LocationInfo: Vec<V2Permission> = "The requests.";
    /// The permission requests of a session.
    V2SessionPermissions: Vec<V2Permission> = "The requests.";
    /// A permission request.
    V2PermissionAnswer: V2Permission = "The request.";
    /// The questions at a location.
    V2Questions at LocationInfo: Vec<QuestionRequest> = "The questions.";
    /// The questions of a session.
    V2SessionQuestions: Vec<QuestionRequest> = "The questions.";
    /// Entries, with the place that they were asked for.
    V2FileEntries at LocationInfo: Vec<FileSystemEntry> = "The entries; paths are relative to the location's directory.";
    /// The providers at a location.
    V2Providers at LocationInfo: Vec<V2Provider> = "The providers.";
    /// A provider at a location.
    V2ProviderAt at LocationInfo: V2Provider = "The provider.";
    /// The models at a location.
    V2Models at LocationInfo: Vec<V2Model> = "The models.";
    /// The references at a location.
    V2References at LocationInfo: Vec<V2Reference> = "The references.";
    /// The skills at a location.
    V2Skills at LocationInfo: Vec<Skill> = "The skills.";
    /// The integrations at a location.
    V2Integrations at LocationInfo: Vec<V2Integration> = "The integrations.";
    /// An integration at a location.
    V2IntegrationAt at LocationInfo: V2Integration = "The integration.";
    /// A session.
    V2SessionAnswer: V2Session = "The session.";
    /// A prompt that was stored.
    V2AdmittedAnswer: V2Admitted = "The prompt.";
    /// The sessions that are at work.
    V2ActiveSessions: BTreeMap<String, V2Active> = "By their ids.";
    /// A message.
    V2MessageAnswer: SessionMessage = "The message.";
    /// The messages that count.
    V2Context: Vec<SessionMessage> = "The messages, oldest first.";
}

/// The default model at a location.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2DefaultModel {
    /// The location.
    pub location: LocationInfo,
    /// The model; null when no backend can run.
    #[schema(required)]
    pub data: Option<V2Model>,
}

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActiveType {
    /// A prompt is being answered or waits.
    Running,
}

/// A session that is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2Active {
    /// What it does.
    pub r#type: ActiveType,
}

/// A page of messages.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Messages {
    /// The messages.
    pub data: Vec<SessionMessage>,
    /// Where other pages are.
    pub cursor: Cursors,
}

/// A page of a session's log.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2History {
    /// The events, oldest first.
    pub data: Vec<V2Event>,
    /// There are more after them.
    #[serde(rename = "hasMore")]
    pub has_more: bool,
}

/// A page of sessions.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Sessions {
    /// The sessions.
    pub data: Vec<V2Session>,
    /// Where other pages are.
    pub cursor: Cursors,
}

/// The cursors of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cursors {
    /// Leads to the page before; absent on the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub previous: Option<String>,
    /// Leads to the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next: Option<String>,
}

/// The permissions that were given for good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2SavedPermissions {
    /// The permissions.
    pub data: Vec<V2SavedPermission>,
}

/// A permission that was given for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2SavedPermission {
    /// Its id.
    pub id: String,
    /// The project.
    #[serde(rename = "projectID")]
    pub project_id: String,
    /// The kind of thing.
    pub action: String,
    /// What it is done to.
    pub resource: String,
}

/// A prompt that was stored.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Admitted {
    /// The number of its event in the session's log.
    #[serde(rename = "admittedSeq")]
    pub admitted_seq: u64,
    /// The message's id.
    pub id: MessageId,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// What it says.
    pub prompt: V2Prompt,
    /// `queue`: it waits for its turn.
    pub delivery: String,
    /// When it was stored, in milliseconds since the Unix epoch.
    #[serde(rename = "timeCreated")]
    pub time_created: u64,
}
