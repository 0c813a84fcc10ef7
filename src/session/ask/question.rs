//! Questions: an agent's form becomes questions, and the user's answers become its content.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::OwnedSemaphorePermit;

use crate::agent::connection::Connection;
use crate::opencode::request::{QuestionInfo, QuestionOption, QuestionRequest, ToolRef};
use crate::opencode::{QuestionId, SessionId};
use crate::session::Error;

/// Questions of one form, at most.
const QUESTIONS_MAX: usize = 20;
/// A header is a very short label: this many characters.
const HEADER_CHARS: usize = 30;

/// A question that waits.
#[derive(Debug)]
pub(crate) struct WaitingQuestion {
    /// What clients see.
    pub request: QuestionRequest,
    fields: Vec<Field>,
    rpc_id: Value,
    connection: Arc<Connection>,
    waits_at: Option<OwnedSemaphorePermit>,
    /// It was asked outside of a turn.
    pub is_late: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Field {
    name: String,
    kind: FieldKind,
}

#[derive(Debug, Clone, PartialEq)]
enum FieldKind {
    /// Labels and their values.
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
    pub(crate) fn read(
        session: &SessionId,
        message_id: &str,
        connection: &Arc<Connection>,
        rpc_id: Value,
        params: &Value,
        waits_at: Option<OwnedSemaphorePermit>,
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
            waits_at,
            is_late: false,
        })
    }

    /// Whether the agent that asks is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.connection.is_closed()
    }

    /// Whether there is a place for it among what all agents ask.
    pub(crate) fn may_wait(&self) -> bool {
        self.waits_at.is_some()
    }

    /// The form's content from the user's answers.
    ///
    /// # Errors
    /// When there are too few answers, or one is not of its question's kind.
    pub(crate) fn content(&self, answers: &[Vec<String>]) -> Result<Map<String, Value>, Error> {
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
    pub(crate) async fn accept(&self, content: Map<String, Value>) {
        let _gone = self
            .connection
            .respond(
                self.rpc_id.clone(),
                json!({ "action": "accept", "content": content }),
            )
            .await;
    }

    /// Tells the agent that the user declines to answer (`decline`), or that no answer will come (`cancel`).
    pub(crate) async fn refuse(&self, action: &str) {
        let _gone = self
            .connection
            .respond(self.rpc_id.clone(), json!({ "action": action }))
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

/// The labels of an enumeration and their values.
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
