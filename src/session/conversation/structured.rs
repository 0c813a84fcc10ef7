//! Answers that must be JSON of a given form: the instruction to the model, and how its answer is read.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use crate::opencode::message::OutputFormat;

/// At most this much of a schema's complaint is quoted, in characters.
const COMPLAINT_CHARS: usize = 500;
/// Corrections that a model may make where the client names no number, as in OpenCode.
const RETRIES: u32 = 2;
/// Corrections that a model may make at most.
pub(crate) const RETRIES_MAX: u32 = 10;

/// The form of an answer, and how often a model may correct itself.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    schema: Map<String, Value>,
    /// Corrections.
    pub retries: u32,
}

impl Form {
    /// The form that a prompt asks for; `None` for plain text.
    pub(crate) fn of(format: Option<&OutputFormat>) -> Option<Self> {
        match format? {
            OutputFormat::Text {} => None,
            OutputFormat::JsonSchema {
                schema,
                retry_count,
            } => Some(Self {
                schema: schema.clone(),
                retries: retry_count.unwrap_or(RETRIES).min(RETRIES_MAX),
            }),
        }
    }

    /// What precedes the prompt.
    pub(crate) fn instruction(&self) -> String {
        let schema = Value::Object(self.schema.clone());
        format!(
            "Answer with one JSON value and nothing else: no explanation, no Markdown. It has to be valid against this \
             JSON Schema:\n{schema}"
        )
    }

    /// Why a schema cannot be used. What it refers to elsewhere is not fetched.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.validator().map(|_| ())
    }

    fn validator(&self) -> Result<Validator, String> {
        // A pattern of the client's must not take for ever: this engine does not.
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        let schema = Value::Object(self.schema.clone());
        options.build(&schema).map_err(|error| shortened(&error))
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// What is wrong with it, in words for the model.
    pub(crate) fn read(&self, text: &str) -> Result<Value, String> {
        let validator = self.validator()?;
        let value = json_in(text).ok_or("it is not JSON")?;
        let wrong = validator.iter_errors(&value).next().map(|error| {
            let place = error.instance_path().to_string();
            let at = if place.is_empty() {
                "the whole"
            } else {
                &place
            };
            format!("at {at}: {}", shortened(&error))
        });
        wrong.map_or(Ok(value), Err)
    }
}

/// What a model is told about an answer that does not fit.
pub(crate) fn correction(why: &str) -> String {
    format!(
        "Your answer does not fit the JSON Schema: {why}. Answer again with the JSON value alone."
    )
}

fn shortened(error: &impl ToString) -> String {
    error.to_string().chars().take(COMPLAINT_CHARS).collect()
}

/// The JSON of an answer: all of it, the content of a fence, or from the first bracket to the last one.
fn json_in(text: &str) -> Option<Value> {
    let whole = text.trim();
    let fenced = whole.split_once("```").and_then(|(_, rest)| {
        let (inside, _) = rest.rsplit_once("```")?;
        Some(inside.split_once('\n').map_or(inside, |(_, body)| body))
    });
    let between = |open: char, close: char| {
        let (from, to) = (whole.find(open)?, whole.rfind(close)?);
        whole.get(from..=to)
    };
    let candidates = [Some(whole), fenced, between('{', '}'), between('[', ']')];
    let mut found = candidates.into_iter().flatten();
    found.find_map(|candidate| serde_json::from_str(candidate.trim()).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(schema: Value) -> Form {
        let format = json!({"type": "json_schema", "schema": schema});
        let format: OutputFormat = serde_json::from_value(format).expect("a format");
        Form::of(Some(&format)).expect("a form")
    }

    #[test]
    fn json_is_found_in_what_models_write() {
        let form = form(json!({"type": "object", "required": ["a"]}));
        for text in [
            "{\"a\": 1}",
            "  {\"a\": 1}\n",
            "```json\n{\"a\": 1}\n```",
            "Here it is:\n```\n{\"a\": 1}\n```\nDone.",
            "The answer is {\"a\": 1}.",
        ] {
            assert_eq!(form.read(text), Ok(json!({"a": 1})), "{text}");
        }
        let list = super::tests::form(json!({"type": "array"}));
        assert_eq!(list.read("So: [1, 2]!"), Ok(json!([1, 2])));
    }

    #[test]
    fn what_does_not_fit_says_where() {
        let form = form(json!({"properties": {"a": {"type": "number"}}, "required": ["a"]}));
        let wrong = form.read("{\"a\": \"x\"}").expect_err("wrong");
        assert!(wrong.contains("/a") && wrong.contains("number"), "{wrong}");
        assert!(form.read("{}").expect_err("wrong").contains("\"a\""));
        assert_eq!(form.read("no idea"), Err("it is not JSON".to_owned()));
        assert_eq!(form.read(""), Err("it is not JSON".to_owned()));
    }

    #[test]
    fn schemas_that_are_none_or_lead_elsewhere_are_refused_and_circles_end() {
        for bad in [
            json!({"type": 5}),
            json!({"$ref": "http://127.0.0.1:1/x"}),
            json!({"$ref": "file:///etc/passwd"}),
            json!({"pattern": "("}),
        ] {
            assert!(form(bad.clone()).check().is_err(), "{bad}");
        }
        for circle in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"pattern": "^(a+)+$"}),
        ] {
            let form = form(circle);
            assert_eq!(form.check(), Ok(()));
            let _whatever = form.read("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"");
        }
    }
}
