//! Permissions and questions: from an agent's request to the user and back.
//!
//! The requests that wait are kept by [`Asks`], outside of the session's lock, because their answers
//! go to the agent. A permission that was given for good is remembered here and the agent is told
//! "once", so that nothing it remembers by itself can outlive the session or reach another one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_client_protocol_schema::v1::{PermissionOptionKind, RequestPermissionRequest, ToolKind};
use serde_json::{Map, Value, json};

use super::Error;
use super::state::Always;
use super::tool::ToolCall;
use crate::agent::connection::Connection;
use crate::opencode::request::{
    PermissionReply, PermissionRequest, QuestionInfo, QuestionOption, QuestionRequest, ToolRef,
};
use crate::opencode::session::{PermissionAction, PermissionRule};
use crate::opencode::{PermissionId, QuestionId, SessionId};

/// Questions of one form, at most.
const QUESTIONS_MAX: usize = 20;
/// A header is a very short label: this many characters.
const HEADER_CHARS: usize = 30;

/// A permission request that waits.
#[derive(Debug)]
pub struct WaitingPermission {
    /// What clients see.
    pub request: PermissionRequest,
    /// The backend that asks.
    pub backend: String,
    options: Vec<(String, PermissionOptionKind)>,
    rpc_id: Value,
    connection: Arc<Connection>,
}

/// A question that waits.
#[derive(Debug)]
pub struct WaitingQuestion {
    /// What clients see.
    pub request: QuestionRequest,
    fields: Vec<Field>,
    rpc_id: Value,
    connection: Arc<Connection>,
}

/// All requests that wait.
#[derive(Debug, Default)]
pub struct Asks {
    permissions: Mutex<HashMap<PermissionId, WaitingPermission>>,
    questions: Mutex<HashMap<QuestionId, WaitingQuestion>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Asks {
    /// The permission requests that wait, oldest first.
    pub fn permissions(&self) -> Vec<PermissionRequest> {
        let mut all: Vec<_> = lock(&self.permissions)
            .values()
            .map(|w| w.request.clone())
            .collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// The questions that wait, oldest first.
    pub fn questions(&self) -> Vec<QuestionRequest> {
        let mut all: Vec<_> = lock(&self.questions)
            .values()
            .map(|w| w.request.clone())
            .collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// Lets a permission request wait.
    pub fn add_permission(&self, waiting: WaitingPermission) {
        lock(&self.permissions).insert(waiting.request.id.clone(), waiting);
    }

    /// Lets a question wait.
    pub fn add_question(&self, waiting: WaitingQuestion) {
        lock(&self.questions).insert(waiting.request.id.clone(), waiting);
    }

    /// Takes a permission request out, to answer it. Of several who try, one gets it.
    ///
    /// # Errors
    /// When it does not wait (any more).
    pub fn take_permission(&self, id: &PermissionId) -> Result<WaitingPermission, Error> {
        lock(&self.permissions)
            .remove(id)
            .ok_or_else(|| Error::PermissionNotFound(id.clone()))
    }

    /// Takes a question out, to answer it, once `check` finds nothing wrong with the answer.
    ///
    /// # Errors
    /// When it does not wait (any more), or what `check` says.
    pub fn take_question<T>(
        &self,
        id: &QuestionId,
        check: impl FnOnce(&WaitingQuestion) -> Result<T, Error>,
    ) -> Result<(WaitingQuestion, T), Error> {
        let mut questions = lock(&self.questions);
        let waiting = questions
            .get(id)
            .ok_or_else(|| Error::QuestionNotFound(id.clone()))?;
        let checked = check(waiting)?;
        let waiting = questions
            .remove(id)
            .ok_or_else(|| Error::QuestionNotFound(id.clone()))?;
        Ok((waiting, checked))
    }

    /// Takes out everything that waits for a session.
    pub fn take_all(&self, session: &SessionId) -> (Vec<WaitingPermission>, Vec<WaitingQuestion>) {
        let permissions = lock(&self.permissions)
            .extract_if(|_, w| w.request.session_id == *session)
            .map(|(_, w)| w)
            .collect();
        let questions = lock(&self.questions)
            .extract_if(|_, w| w.request.session_id == *session)
            .map(|(_, w)| w)
            .collect();
        (permissions, questions)
    }
}

impl WaitingPermission {
    /// Reads `session/request_permission`. `call` is what is known about its tool call.
    pub fn read(
        session: &SessionId,
        message_id: &str,
        backend: &str,
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
            backend: backend.to_owned(),
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
            permission: self.request.permission.clone(),
            pattern: pattern.clone(),
        })
    }

    /// Answers the agent. It is gone when that fails, and then nobody waits.
    pub async fn answer(self, reply: PermissionReply) {
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
            .respond(self.rpc_id, json!({ "outcome": outcome }))
            .await;
    }

    /// Tells the agent that nobody will answer.
    pub async fn cancel(self) {
        let _gone = self
            .connection
            .respond(
                self.rpc_id,
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

#[derive(Debug, Clone, PartialEq)]
struct Field {
    name: String,
    kind: FieldKind,
}

#[derive(Debug, Clone, PartialEq)]
enum FieldKind {
    /// Labels and the values that they stand for.
    Choice {
        values: Vec<(String, Value)>,
        multiple: bool,
    },
    Text,
    Number {
        integer: bool,
    },
}

impl WaitingQuestion {
    /// Reads `elicitation/create` in form mode; `None` for other modes and for forms that are no form.
    pub fn read(
        session: &SessionId,
        message_id: &str,
        connection: &Arc<Connection>,
        rpc_id: Value,
        params: &Value,
    ) -> Option<Self> {
        if params.get("mode").and_then(Value::as_str) != Some("form") {
            return None;
        }
        let message = params
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let properties = params.pointer("/requestedSchema/properties")?.as_object()?;
        if properties.is_empty() {
            return None;
        }
        let (fields, questions) = properties
            .iter()
            .take(QUESTIONS_MAX)
            .map(|(name, schema)| question(name, schema, message))
            .unzip();
        let tool = params.get("toolCallId").and_then(Value::as_str);
        let request = QuestionRequest {
            id: QuestionId::new(),
            session_id: session.clone(),
            questions,
            tool: tool.map(|call| ToolRef {
                message_id: message_id.to_owned(),
                call_id: call.to_owned(),
            }),
        };
        Some(Self {
            request,
            fields,
            rpc_id,
            connection: Arc::clone(connection),
        })
    }

    /// The form's content from the user's answers.
    ///
    /// # Errors
    /// When there are too few answers, or one is not of its question's kind.
    pub fn content(&self, answers: &[Vec<String>]) -> Result<Map<String, Value>, Error> {
        let invalid = |index: usize, message: String| Error::Invalid {
            field: format!("[\"answers\"][{index}]"),
            message,
        };
        if answers.len() != self.fields.len() {
            let message = format!(
                "Expected {} answers, one for each question, got {}",
                self.fields.len(),
                answers.len()
            );
            return Err(Error::Invalid {
                field: "[\"answers\"]".to_owned(),
                message,
            });
        }
        let mut content = Map::new();
        for (index, (field, answer)) in self.fields.iter().zip(answers).enumerate() {
            if let Some(value) = field
                .kind
                .value(answer)
                .map_err(|message| invalid(index, message))?
            {
                content.insert(field.name.clone(), value);
            }
        }
        Ok(content)
    }

    /// Gives the agent the user's answers.
    pub async fn accept(self, content: Map<String, Value>) {
        let _gone = self
            .connection
            .respond(
                self.rpc_id,
                json!({ "action": "accept", "content": content }),
            )
            .await;
    }

    /// Tells the agent that the user does not answer (`decline`), or that nobody will (`cancel`).
    pub async fn refuse(self, action: &str) {
        let _gone = self
            .connection
            .respond(self.rpc_id, json!({ "action": action }))
            .await;
    }
}

fn question(name: &str, schema: &Value, message: &str) -> (Field, QuestionInfo) {
    let text = |key: &str| schema.get(key).and_then(Value::as_str).map(str::to_owned);
    let items = schema.get("items").unwrap_or(schema);
    let multiple = schema.get("type").and_then(Value::as_str) == Some("array");
    let values = choices(items);
    let kind = match text("type").as_deref() {
        _ if !values.is_empty() => FieldKind::Choice { values, multiple },
        Some("boolean") => FieldKind::Choice {
            values: vec![
                ("Yes".into(), Value::Bool(true)),
                ("No".into(), Value::Bool(false)),
            ],
            multiple: false,
        },
        Some("integer") => FieldKind::Number { integer: true },
        Some("number") => FieldKind::Number { integer: false },
        _ => FieldKind::Text,
    };
    let options = match &kind {
        FieldKind::Choice { values, .. } => values
            .iter()
            .map(|(label, _)| QuestionOption {
                label: label.clone(),
                description: String::new(),
            })
            .collect(),
        _ => Vec::new(),
    };
    let title = text("title").unwrap_or_else(|| name.to_owned());
    let asked = text("description").unwrap_or_else(|| title.clone());
    let info = QuestionInfo {
        question: if message.is_empty() {
            asked
        } else {
            message.to_owned()
        },
        header: title.chars().take(HEADER_CHARS).collect(),
        multiple: multiple.then_some(true),
        custom: Some(options.is_empty()),
        options,
    };
    (
        Field {
            name: name.to_owned(),
            kind,
        },
        info,
    )
}

/// The labels of an enumeration and the values that they stand for.
fn choices(schema: &Value) -> Vec<(String, Value)> {
    let titled = schema
        .get("oneOf")
        .or_else(|| schema.get("anyOf"))
        .and_then(Value::as_array);
    if let Some(options) = titled {
        let choice = |option: &Value| {
            let value = option.get("const")?.clone();
            let label = option
                .get("title")
                .and_then(Value::as_str)
                .map(str::to_owned);
            Some((label.unwrap_or_else(|| plain(&value)), value))
        };
        return options.iter().filter_map(choice).collect();
    }
    let values = schema.get("enum").and_then(Value::as_array);
    values
        .into_iter()
        .flatten()
        .map(|value| (plain(value), value.clone()))
        .collect()
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

impl FieldKind {
    /// The value of an answer; `None` when nothing was chosen.
    fn value(&self, answer: &[String]) -> Result<Option<Value>, String> {
        let Some(first) = answer.first() else {
            return Ok(None);
        };
        match self {
            Self::Choice { values, multiple } => {
                let chosen = answer
                    .iter()
                    .map(|label| value_of(values, label))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(if *multiple {
                    Some(Value::Array(chosen))
                } else {
                    chosen.into_iter().next()
                })
            }
            Self::Text => Ok(Some(Value::String(first.clone()))),
            Self::Number { integer: true } => {
                let number: i64 = first
                    .trim()
                    .parse()
                    .map_err(|_| format!("Expected a whole number, got \"{first}\""))?;
                Ok(Some(json!(number)))
            }
            Self::Number { integer: false } => {
                let number: f64 = first
                    .trim()
                    .parse()
                    .map_err(|_| format!("Expected a number, got \"{first}\""))?;
                Ok(Some(json!(number)))
            }
        }
    }
}

fn value_of(values: &[(String, Value)], label: &str) -> Result<Value, String> {
    let chosen = values
        .iter()
        .find(|(l, v)| l == label || v.as_str() == Some(label));
    chosen.map(|(_, value)| value.clone()).ok_or_else(|| {
        let labels: Vec<_> = values.iter().map(|(l, _)| l.as_str()).collect();
        format!("Expected one of {}, got \"{label}\"", labels.join(", "))
    })
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

    #[test]
    fn a_form_becomes_questions_and_answers_become_its_values() {
        let schema = json!({"type": "string", "title": "Color", "oneOf": [{"const": "red", "title": "Red"}, {"const": "blue"}]});
        let (color, info) = question("color", &schema, "Which color?");
        assert_eq!(
            (info.question.as_str(), info.header.as_str()),
            ("Which color?", "Color")
        );
        assert_eq!(
            info.options
                .iter()
                .map(|o| o.label.as_str())
                .collect::<Vec<_>>(),
            ["Red", "blue"]
        );
        assert_eq!(color.kind.value(&["Red".into()]), Ok(Some(json!("red"))));
        assert!(color.kind.value(&["Green".into()]).is_err());
        assert_eq!(color.kind.value(&[]), Ok(None));
        let (sure, _) = question("sure", &json!({"type": "boolean"}), "");
        assert_eq!(sure.kind.value(&["Yes".into()]), Ok(Some(json!(true))));
        let (many, info) = question(
            "many",
            &json!({"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}),
            "",
        );
        assert_eq!(
            (info.multiple, many.kind.value(&["a".into(), "b".into()])),
            (Some(true), Ok(Some(json!(["a", "b"]))))
        );
        let (count, _) = question("count", &json!({"type": "integer"}), "");
        assert_eq!(count.kind.value(&[" 3 ".into()]), Ok(Some(json!(3))));
        assert!(count.kind.value(&["three".into()]).is_err());
    }
}
