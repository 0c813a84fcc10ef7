//! Puts the bounds of requests into the document, from the constants that the server checks them by.
//!
//! A field says which bound is its own by a `format` of ours, since the attributes of utoipa take nothing but
//! literals: `bound:name` for the length of a text, `range:page` and `number:from-0` for a number. What no attribute has a place for
//! stands in [`keywords`]. The settings are at their defaults here.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::marks::reach;
use super::tidy::{each_object, operations};
use crate::http::bounds::{ANSWERS_MAX, Bound};
use crate::http::config::MODEL_PATTERN;
use crate::http::directory::WITHOUT_NUL;
use crate::http::read::INTEGER_MAX;
use crate::http::tui::execute_command;
use crate::http::v2::cursor::PAGE_MAX;
use crate::http::{find, vcs};
use crate::session::Sizes;

/// Does all of it.
pub(super) fn apply(document: &mut Value) {
    replace_marks(document);
    let sizes = Sizes::default();
    for (pointer, more) in keywords(&sizes) {
        let schema = document["components"]["schemas"].pointer_mut(pointer);
        let Some(schema) = schema.and_then(Value::as_object_mut) else {
            unreachable!("there is no schema {pointer} to put a bound on");
        };
        schema.extend(more.as_object().cloned().unwrap_or_default());
    }
    for operation in operations(document) {
        operation.get_mut("parameters").map(bound_integers);
    }
    bound_inputs(document);
}

/// The most characters of a text: one takes at least a byte.
fn length(name: &str) -> Option<usize> {
    let bound = Bound::marked(&format!("bound:{name}"))?;
    Some(bound.of(&Sizes::default()).0)
}

fn range(name: &str) -> Option<RangeInclusive<usize>> {
    Some(match name {
        "page" => 1..=PAGE_MAX,
        "find" => 1..=find::LIMIT_MAX,
        "fs-find" => 1..=INTEGER_MAX as usize,
        "context" => 0..=vcs::CONTEXT_MAX,
        _ => return None,
    })
}

/// Keywords of schemas that no mark stands for, by JSON pointer.
fn keywords(sizes: &Sizes) -> Vec<(&'static str, Value)> {
    let at_most = |count: usize| json!({ "maxItems": count });
    let answers = at_most(ANSWERS_MAX);
    vec![
        ("/PromptInput/properties/parts", at_most(sizes.prompt_parts)),
        (
            "/CommandInput/properties/parts",
            at_most(sizes.prompt_parts),
        ),
        (
            "/V2PromptContent/properties/files",
            at_most(sizes.prompt_parts),
        ),
        (
            "/V2PromptContent/properties/agents",
            at_most(sizes.prompt_parts),
        ),
        (
            "/SessionCreateInput/properties/permission",
            at_most(sizes.permission_rules),
        ),
        (
            "/SessionUpdateInput/properties/permission",
            at_most(sizes.permission_rules),
        ),
        ("/QuestionReplyInput/properties/answers", answers.clone()),
        ("/QuestionReplyInput/properties/answers/items", answers),
        (
            "/QuestionReplyInput/properties/answers/items/items",
            json!({ "maxLength": sizes.text_bytes }),
        ),
        (
            "/ExecuteCommandInput/properties/command",
            execute_command::names(),
        ),
        (
            "/TuiCommandInput/properties/command",
            execute_command::own_names(),
        ),
        (
            "/V2LocationInput/properties/directory",
            json!({ "pattern": WITHOUT_NUL }),
        ),
        (
            "/ConfigUpdateInput/properties/model",
            json!({ "pattern": MODEL_PATTERN }),
        ),
    ]
}

/// The keywords in place of a mark.
fn meaning(kind: &str, name: &str) -> Option<Value> {
    Some(match kind {
        "bound" => json!({ "maxLength": length(name)? }),
        "range" => {
            let range = range(name)?;
            json!({ "format": "int64", "minimum": range.start(), "maximum": range.end() })
        }
        _ => {
            let from: u64 = name.strip_prefix("from-")?.parse().ok()?;
            json!({ "format": "double", "minimum": from, "maximum": INTEGER_MAX })
        }
    })
}

/// Every mark becomes what it stands for.
fn replace_marks(document: &mut Value) {
    each_object(document, &mut |map| {
        let format = map.get("format").and_then(Value::as_str);
        if let Some((kind, name)) = format.and_then(|format| format.split_once(':')) {
            let Some(Value::Object(found)) = meaning(kind, name) else {
                unreachable!("there is no bound {kind}:{name}");
            };
            map.remove("format");
            map.extend(found);
        }
    });
}

/// A number that says nothing else is one that JSON holds exactly.
fn bound_integers(value: &mut Value) {
    each_object(value, &mut |map| {
        let format = map.get("format").and_then(Value::as_str);
        if format == Some("int64") && !map.contains_key("maximum") {
            map.insert("maximum".to_owned(), json!(INTEGER_MAX));
        }
    });
}

/// The numbers of whatever a body can have.
fn bound_inputs(document: &mut Value) {
    let bodies = operations(document).filter_map(|o| o.get("requestBody").cloned());
    let bodies: Vec<Value> = bodies.collect();
    let mut inputs = Vec::new();
    for body in &bodies {
        reach(body, document, &mut inputs);
    }
    for input in inputs {
        let schema = input.strip_prefix('#');
        schema
            .and_then(|schema| document.pointer_mut(schema))
            .map(bound_integers);
    }
}
