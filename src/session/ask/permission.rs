//! Permissions: from an agent's request to the user and back.
//!
//! A permission that was given for good is remembered here and the agent is told "once", so that nothing
//! it remembers by itself can outlive the session or reach another one.

use std::sync::Arc;

use agent_client_protocol_schema::v1::{PermissionOptionKind, RequestPermissionRequest, ToolKind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::agent::connection::Connection;
use crate::opencode::request::{PermissionReply, PermissionRequest, ToolRef};
use crate::opencode::session::{PermissionAction, PermissionRule};
use crate::opencode::{PermissionId, Selection, SessionId};
use crate::session::conversation::tool::ToolCall;

/// A permission that the user gave for good, to one backend of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Always {
    /// To whom. A switch of the backend takes no approval along.
    pub backend: String,
    /// In which mode. What was allowed while building is not allowed while planning.
    #[serde(default)]
    pub agent: String,
    /// The kind of thing.
    pub permission: String,
    /// What it is done to.
    pub pattern: String,
}

/// A permission request that waits.
#[derive(Debug)]
pub struct WaitingPermission {
    /// What clients see.
    pub request: PermissionRequest,
    /// The backend that asks.
    pub backend: String,
    /// The mode that it asks in.
    pub agent: String,
    options: Vec<(String, PermissionOptionKind)>,
    rpc_id: Value,
    connection: Arc<Connection>,
}

impl WaitingPermission {
    /// Reads `session/request_permission`. `call` is what is known about its tool call.
    pub fn read(
        session: &SessionId,
        message_id: &str,
        selection: &Selection,
        connection: &Arc<Connection>,
        rpc_id: Value,
        params: &Value,
        known_tool: Option<&str>,
    ) -> Option<Self> {
        let request: RequestPermissionRequest = serde_json::from_value(params.clone()).ok()?;
        let call_id = request.tool_call.tool_call_id.0.to_string();
        let mut call = ToolCall::new(0);
        call.merge(
            params.get("toolCall").unwrap_or(&Value::Null),
            0,
            usize::MAX,
        );
        let permission = permission_kind(&call, known_tool);
        let patterns = patterns(&call, request.tool_call.fields.title.as_deref());
        let always = patterns
            .iter()
            .map(|p| generalised(&permission, p))
            .collect();
        let mut metadata = call.input().clone();
        if let Some(title) = request.tool_call.fields.title {
            metadata.entry("title").or_insert(Value::String(title));
        }
        if permission == "edit" {
            metadata.extend(call.proposed_edit());
        }
        let request_for_clients = PermissionRequest {
            id: PermissionId::new(),
            session_id: session.clone(),
            permission,
            patterns,
            metadata,
            always,
            tool: Some(ToolRef {
                message_id: message_id.to_owned(),
                call_id,
            }),
        };
        Some(Self {
            request: request_for_clients,
            backend: selection.provider_id.clone(),
            agent: selection.agent.clone(),
            options: request
                .options
                .into_iter()
                .map(|o| (o.option_id.0.to_string(), o.kind))
                .collect(),
            rpc_id,
            connection: Arc::clone(connection),
        })
    }

    /// What the rules of the session say to it, if anything.
    pub fn decided(&self, rules: &[PermissionRule], always: &[Always]) -> Option<PermissionReply> {
        let decide = |pattern: &String| {
            let remembered = always.iter().any(|a| {
                a.backend == self.backend
                    && a.agent == self.agent
                    && a.permission == self.request.permission
                    && covers(&a.pattern, pattern, &self.request.permission)
            });
            if remembered {
                return Some(PermissionAction::Allow);
            }
            // Like OpenCode: the last rule that matches decides.
            let matching = |r: &&PermissionRule| {
                matches(&r.permission, &self.request.permission) && matches(&r.pattern, pattern)
            };
            rules.iter().rev().find(matching).map(|r| r.action)
        };
        let decisions: Vec<_> = self.request.patterns.iter().map(decide).collect();
        if decisions.contains(&Some(PermissionAction::Deny)) {
            return Some(PermissionReply::Reject);
        }
        let all_allowed = !decisions.is_empty()
            && decisions
                .iter()
                .all(|d| *d == Some(PermissionAction::Allow));
        all_allowed.then_some(PermissionReply::Once)
    }

    /// What an answer `always` allows from then on.
    pub fn remembered(&self) -> impl Iterator<Item = Always> + '_ {
        self.request.always.iter().map(|pattern| Always {
            backend: self.backend.clone(),
            agent: self.agent.clone(),
            permission: self.request.permission.clone(),
            pattern: pattern.clone(),
        })
    }

    /// Answers the agent. It is gone when that fails, and then nobody waits.
    pub async fn answer(&self, reply: PermissionReply) {
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
            // An agent that offers no way to say no is told that nobody said yes.
            None => json!({ "outcome": "cancelled" }),
        };
        let _gone = self
            .connection
            .respond(self.rpc_id.clone(), json!({ "outcome": outcome }))
            .await;
    }

    /// Tells the agent that nobody will answer.
    pub async fn cancel(&self) {
        let _gone = self
            .connection
            .respond(
                self.rpc_id.clone(),
                json!({ "outcome": { "outcome": "cancelled" } }),
            )
            .await;
    }
}

fn permission_kind(call: &ToolCall, known_tool: Option<&str>) -> String {
    match call.kind() {
        ToolKind::Execute => "bash",
        ToolKind::Edit | ToolKind::Delete | ToolKind::Move => "edit",
        ToolKind::Read => "read",
        ToolKind::Search => "grep",
        ToolKind::Fetch => "webfetch",
        _ => known_tool.unwrap_or_else(|| call.tool()),
    }
    .to_owned()
}

fn patterns(call: &ToolCall, title: Option<&str>) -> Vec<String> {
    let named = |keys: &[&str]| keys.iter().find_map(|key| call.input().get(*key)).cloned();
    let text = match named(&[
        "command",
        "filePath",
        "file_path",
        "path",
        "url",
        "pattern",
        "query",
    ]) {
        Some(Value::String(text)) => Some(text),
        Some(Value::Array(words)) => Some(
            words
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(" "),
        ),
        _ => None,
    };
    vec![
        text.or_else(|| title.map(str::to_owned))
            .unwrap_or_else(|| call.tool().to_owned()),
    ]
}

/// A command that the shell would read as more than one plain command.
fn is_compound(command: &str) -> bool {
    command.contains(|c: char| ";&|`$()<>\n\r\\".contains(c))
}

/// What `always` stands for: every call of the same plain program, every edit, or exactly this.
fn generalised(permission: &str, pattern: &str) -> String {
    match permission {
        "bash" if is_compound(pattern) => pattern.to_owned(),
        "bash" => format!("{} *", pattern.split_whitespace().next().unwrap_or(pattern)),
        "edit" | "read" | "grep" | "webfetch" => "*".to_owned(),
        _ => pattern.to_owned(),
    }
}

/// Whether a remembered pattern covers a request. `echo *` must not cover `echo x; rm -rf /`.
fn covers(remembered: &str, pattern: &str, permission: &str) -> bool {
    if remembered == pattern {
        return true;
    }
    let plain = permission != "bash" || !is_compound(pattern);
    plain && (matches(remembered, pattern) || remembered.strip_suffix(" *") == Some(pattern))
}

/// Whether a rule's pattern matches; `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pattern.contains('*').then(|| pieces.next_back()).flatten() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_any_text() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("git *", "git push", true),
            ("git *", "git", false),
            ("*.rs", "src/a.rs", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("ab*ba", "aba", false),
            ("plain", "plain", true),
            ("plain", "plainer", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn always_covers_the_same_plain_program_and_no_compound_command() {
        let echo = generalised("bash", "echo one");
        assert_eq!(echo, "echo *");
        assert!(covers(&echo, "echo two", "bash"));
        assert!(covers(&echo, "echo", "bash"));
        for evil in [
            "echo x; rm -rf /",
            "echo $(rm x)",
            "echo `rm x`",
            "echo x > /etc/passwd",
            "echo x && rm y",
            "echo x\nrm y",
        ] {
            assert!(!covers(&echo, evil, "bash"), "{evil}");
        }
        let compound = generalised("bash", "make && make test");
        assert!(covers(&compound, "make && make test", "bash"));
        assert!(!covers(&compound, "make && make install", "bash"));
    }
}
