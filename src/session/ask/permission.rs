//! Permissions: from an agent's request to the user and back.
//!
//! A permission that was given for good is remembered here and the agent is told "once", so that nothing
//! it remembers by itself can outlive the session or reach another one.

use std::sync::Arc;

use agent_client_protocol_schema::v1::{PermissionOptionKind, RequestPermissionRequest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::rules::{Decision, Law, Place};
use super::subject::{self, Subject};
use crate::agent::connection::Connection;
use crate::opencode::request::{PermissionReply, PermissionRequest, ToolRef};
use crate::opencode::session::PermissionRule;
use crate::opencode::{PermissionId, Selection, SessionId};
use crate::session::conversation::tool::ToolCall;

/// A permission that the user gave for good, to one backend of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Always {
    /// To whom. A switch of the backend takes no approval along.
    pub backend: String,
    /// In which mode. What was allowed while building is not allowed while planning.
    #[serde(default)]
    pub agent: String,
    /// The kind of thing.
    pub permission: String,
    /// What it is done to, as the request says. It covers a later request that says the same.
    pub pattern: String,
}

/// Who asks, and where.
pub(crate) struct Asking<'a> {
    /// The session.
    pub session: &'a SessionId,
    /// Its directory.
    pub directory: &'a str,
    /// The answer that the tool call is part of.
    pub message_id: &'a str,
    /// The selection of the turn.
    pub selection: &'a Selection,
    /// The rules that its turn began with; what these forbid is forbidden.
    pub rules: Option<TurnRules>,
    /// The agent.
    pub connection: &'a Arc<Connection>,
    /// The id of its request.
    pub rpc_id: Value,
    /// Its place among what all agents ask, if there is one.
    pub waits_at: Option<OwnedSemaphorePermit>,
}

/// The rules that a prompt has come with.
#[derive(Debug, Clone)]
pub(crate) struct TurnRules {
    /// Those of its agent, which stay while it is answered, whatever is selected meanwhile.
    pub agent: Arc<[PermissionRule]>,
    /// All of them. What they forbid stays forbidden, whatever is changed since.
    pub all: Arc<[PermissionRule]>,
}

impl TurnRules {
    /// Those that hold now, with what the session's are by now.
    pub(crate) fn now(&self, session: &[PermissionRule]) -> Vec<PermissionRule> {
        self.agent.iter().chain(session).cloned().collect()
    }
}

/// A permission request that waits.
#[derive(Debug)]
pub(crate) struct WaitingPermission {
    /// What clients see.
    pub request: PermissionRequest,
    /// The backend that asks.
    pub backend: String,
    /// The mode that it asks in.
    pub agent: String,
    subject: Subject,
    place: Place,
    rules: Option<TurnRules>,
    options: Vec<(String, PermissionOptionKind)>,
    rpc_id: Value,
    connection: Arc<Connection>,
    waits_at: Option<OwnedSemaphorePermit>,
    is_cut: bool,
    /// It was asked outside of a turn.
    pub is_late: bool,
}

impl WaitingPermission {
    /// Reads `session/request_permission`. `known` is what was told before about its tool call.
    pub(crate) fn read(
        asking: Asking<'_>,
        params: &Value,
        known: Option<ToolCall>,
    ) -> Option<Self> {
        let request: RequestPermissionRequest = serde_json::from_value(params.clone()).ok()?;
        let call_id = request.tool_call.tool_call_id.0.to_string();
        let known_tool = known.as_ref().map(|call| call.tool().to_owned());
        let mut call = known.unwrap_or_else(|| ToolCall::new(0));
        call.merge(
            params.get("toolCall").unwrap_or(&Value::Null),
            0,
            usize::MAX,
        );
        let title = request.tool_call.fields.title;
        let place = subject::place(&call, asking.directory);
        let subject = Subject::read(&call, title.as_deref(), known_tool.as_deref(), &place);
        let permission = subject.permission().to_owned();
        let mut metadata = call.input().clone();
        if let Some(title) = title {
            metadata.entry("title").or_insert(Value::String(title));
        }
        if permission == "edit" {
            metadata.extend(call.proposed_edit());
        }
        let request_for_clients = PermissionRequest {
            id: PermissionId::new(),
            session_id: asking.session.clone(),
            permission,
            patterns: subject.patterns(),
            metadata,
            always: subject.always(&place),
            tool: Some(ToolRef {
                message_id: asking.message_id.to_owned(),
                call_id,
            }),
        };
        Some(Self {
            request: request_for_clients,
            backend: asking.selection.provider_id.clone(),
            agent: asking.selection.agent.clone(),
            subject,
            place,
            rules: asking.rules,
            options: request
                .options
                .into_iter()
                .map(|o| (o.option_id.0.to_string(), o.kind))
                .collect(),
            rpc_id: asking.rpc_id,
            connection: Arc::clone(asking.connection),
            waits_at: asking.waits_at,
            is_cut: call.is_cut(),
            is_late: false,
        })
    }

    /// Whether its arguments were too large to be kept, so that nobody can see what is asked.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether the agent that asks is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.connection.is_closed()
    }

    /// Whether there is a place for it among what all agents ask.
    pub(crate) fn may_wait(&self) -> bool {
        self.waits_at.is_some()
    }

    /// What the rules say to it, if anything: those of its turn's agent, or else of the selected one, and of the session.
    pub(crate) fn decided(
        &self,
        selected: &[PermissionRule],
        session: &[PermissionRule],
        always: &[Always],
    ) -> Option<PermissionReply> {
        let remembered = |pattern: &str| {
            always.iter().any(|a| {
                a.backend == self.backend
                    && a.agent == self.agent
                    && a.permission == self.request.permission
                    && a.pattern == pattern
            })
        };
        let say = |rules: &[PermissionRule]| {
            self.subject.decided(&Law {
                rules,
                remembered: &remembered,
                place: &self.place,
            })
        };
        let at_first = self.rules.as_ref().map(|rules| say(&rules.all));
        let agent = self.rules.as_ref().map_or(selected, |rules| &rules.agent);
        let now: Vec<_> = agent.iter().chain(session).cloned().collect();
        match at_first
            .filter(|said| *said == Decision::Deny)
            .unwrap_or_else(|| say(&now))
        {
            Decision::Allow => Some(PermissionReply::Once),
            Decision::Deny => Some(PermissionReply::Reject),
            Decision::Ask => None,
        }
    }

    /// What an answer `always` allows from then on.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = Always> + '_ {
        self.request.always.iter().map(|pattern| Always {
            backend: self.backend.clone(),
            agent: self.agent.clone(),
            permission: self.request.permission.clone(),
            pattern: pattern.clone(),
        })
    }

    /// Answers the agent. If that fails the agent is gone, and does not wait.
    pub(crate) async fn answer(&self, reply: PermissionReply) {
        use PermissionOptionKind::{AllowAlways, AllowOnce, RejectAlways, RejectOnce};
        let preferred = match reply {
            PermissionReply::Once | PermissionReply::Always => [AllowOnce, AllowAlways],
            PermissionReply::Reject => [RejectOnce, RejectAlways],
        };
        let option = preferred
            .iter()
            .find_map(|kind| self.options.iter().find(|(_, k)| k == kind));
        let outcome = match option {
            Some((id, _)) => json!({ "outcome": "selected", "optionId": id }),
            // An agent that offers no way to refuse gets a cancelled request.
            None => json!({ "outcome": "cancelled" }),
        };
        let _gone = self
            .connection
            .respond(self.rpc_id.clone(), json!({ "outcome": outcome }))
            .await;
    }

    /// Tells the agent that no answer will come.
    pub(crate) async fn cancel(&self) {
        let _gone = self
            .connection
            .respond(
                self.rpc_id.clone(),
                json!({ "outcome": { "outcome": "cancelled" } }),
            )
            .await;
    }
}
