//! Request bodies and the document: what a server takes is valid by the schema that the document has for it, and what
//! that schema allows is refused for a reason that no schema can have.
//!
//! Bodies are made from the schema of each operation and changed here and there. `BATON_SEED=2` makes others.

use jsonschema::Validator;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::harness::Server;

/// Bodies of each operation.
const CASES: usize = 80;
/// What a body is changed into, at one place or another.
const STRAYS: [&str; 16] = [
    "null",
    "5",
    "-1",
    "1.5",
    "7.0",
    "1e300",
    "9007199254740993",
    "true",
    "\"x\"",
    "\"\"",
    "[]",
    "{}",
    "[[]]",
    "[null]",
    "[\"x\", 5]",
    "{\"a\": {\"b\": null}}",
];

/// An operation that takes a body.
struct Operation {
    name: String,
    method: Method,
    path: String,
    schema: Value,
    checker: Validator,
    is_required: bool,
}

/// Those of the document.
fn operations(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let body = &operation["requestBody"];
            let content = &body["content"]["application/json"];
            if content.is_null() {
                continue;
            }
            let schema = content["schema"].clone();
            let mut whole = schema.clone();
            whole["components"] = document["components"].clone();
            found.push(Operation {
                name: operation["operationId"]
                    .as_str()
                    .expect("a name")
                    .to_owned(),
                method: method.to_uppercase().parse().expect("a method"),
                path: filled(path),
                schema,
                checker: jsonschema::validator_for(&whole).expect("a schema"),
                is_required: body["required"] == true,
            });
        }
    }
    found
}

/// The parameters of a path: nothing that exists, so that a body changes nothing.
fn filled(path: &str) -> String {
    let ids = [
        ("{sessionID}", "ses_missing"),
        ("{messageID}", "msg_missing"),
        ("{partID}", "prt_missing"),
        ("{permissionID}", "per_missing"),
        ("{backendID}", "missing"),
        ("{providerID}", "missing"),
        ("{projectID}", "missing"),
    ];
    let request = match path.contains("question") {
        true => "que_missing",
        false => "per_missing",
    };
    let path = path.replace("{requestID}", request);
    ids.iter()
        .fold(path, |path, (name, id)| path.replace(name, id))
}

/// Makes values of schemas.
struct Maker<'d> {
    document: &'d Value,
    rng: StdRng,
}

impl Maker<'_> {
    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.rng.random_range(0..of.len())]
    }

    fn is(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    /// A value that the schema allows, as far as a body of a few lines can be sure of it.
    fn make(&mut self, schema: &Value) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.document.pointer(&reference[1..]);
            return self.make(&target.expect("a schema").clone());
        }
        if !schema["const"].is_null() {
            return schema["const"].clone();
        }
        if let Some(words) = schema["enum"].as_array() {
            return self.one(words).clone();
        }
        if let Some(variants) = schema["oneOf"].as_array() {
            let variant = self.one(variants).clone();
            return self.make(&variant);
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => self.one(kinds).clone(),
            kind => kind.clone(),
        };
        match kind.as_str() {
            Some("object") => self.object(schema),
            Some("array") => {
                let least = schema["minItems"].as_u64().unwrap_or(0);
                let length = self.rng.random_range(least..=least + 2);
                (0..length).map(|_| self.make(&schema["items"])).collect()
            }
            Some("string") => self.string(schema),
            Some("integer") => {
                json!(self.one(&[1, 2, 7]) + schema["minimum"].as_i64().unwrap_or(0))
            }
            Some("number") => json!(self.one(&[1.5, 2.0, 1_700_000_000_000.0]) + 0.0),
            Some("boolean") => json!(self.is(50)),
            Some("null") => Value::Null,
            _ => json!({ "any": [1, "x"] }),
        }
    }

    fn object(&mut self, schema: &Value) -> Value {
        let mut object = Map::new();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&json!(name)) || self.is(40) {
                object.insert(name.clone(), self.make(property));
            }
        }
        if schema["properties"].is_null() && self.is(70) {
            let more = &schema["additionalProperties"];
            let value = if more.is_object() {
                self.make(more)
            } else {
                json!([1])
            };
            object.insert("some".to_owned(), value);
        }
        Value::Object(object)
    }

    fn string(&mut self, schema: &Value) -> Value {
        if let Some(example) = schema["example"].as_str()
            && self.is(50)
        {
            return json!(example);
        }
        let pattern = schema["pattern"].as_str().unwrap_or_default();
        let prefix = ["ses", "msg", "prt", "per", "que"];
        let prefix = prefix
            .into_iter()
            .find(|id| pattern.starts_with(&format!("^{id}")));
        json!(
            match (prefix, pattern.contains('|'), pattern.contains('/')) {
                (Some(prefix), ..) => format!("{prefix}_missing"),
                (None, true, _) => "session.new".to_owned(),
                (None, _, true) => "nobody/none".to_owned(),
                _ => (*self.one(&["", "x", "ä b", "/tmp", "high"])).to_owned(),
            }
        )
    }

    /// The value with some place in it changed.
    fn change(&mut self, value: &mut Value) {
        let deeper = self.is(75);
        match value {
            Value::Object(map) if deeper && !map.is_empty() => {
                let names: Vec<_> = map.keys().cloned().collect();
                let name = self.one(&names).clone();
                match self.rng.random_range(0..10) {
                    0 => drop(map.shift_remove(&name)),
                    1 => drop(map.insert("unknown".to_owned(), json!([name]))),
                    2 => {
                        let value = map.shift_remove(&name).unwrap_or_default();
                        map.insert(name.to_uppercase(), value);
                    }
                    _ => self.change(&mut map[&name]),
                }
            }
            Value::Array(list) if deeper && !list.is_empty() => {
                let place = self.rng.random_range(0..list.len());
                match self.rng.random_range(0..6) {
                    0 => list.extend(vec![list[place].clone(); 1_001]),
                    _ => self.change(&mut list[place]),
                }
            }
            Value::String(text) if self.is(50) => {
                *text = match self.rng.random_range(0..4) {
                    0 => text.repeat(2) + "\0",
                    1 => "x".repeat(257),
                    2 => "ä".repeat(5_000),
                    _ => format!("/{text}"),
                }
            }
            other => {
                let stray = self.one(&STRAYS);
                *other = serde_json::from_str(stray).expect("JSON");
            }
        }
    }
}

/// Whether a body was refused because of itself, and what was said.
fn refusal(status: StatusCode, answer: &Value) -> Option<&str> {
    // OpenCode 2's shape has the fields of `data` next to its `_tag`.
    let data = answer.get("data").unwrap_or(answer);
    let message = data["message"].as_str().unwrap_or_default();
    // A list within a list, each longer than it may be, can be more than is read at all.
    let is_huge = data["kind"] == "Body" && message.contains("limits.body_values");
    let is = status == StatusCode::BAD_REQUEST && (data["kind"] == "Payload" || is_huge);
    is.then_some(message)
}

/// Whether a refusal is about what a schema says: a type, a word, a field that has to be there.
fn is_of_the_schema(message: &str) -> bool {
    let kinds = [
        "string",
        "boolean",
        "object",
        "array",
        "a number",
        "a whole number",
        "a whole part",
        "an id",
    ];
    let wrong = |kind: &&str| message.starts_with(&format!("Expected {kind}"));
    message.starts_with("Missing key") || kinds.iter().any(wrong) || message.contains("\" | \"")
}

#[tokio::test]
async fn what_is_taken_and_what_is_refused_is_what_the_document_says() {
    let server = Server::start().await;
    let document = server.get("/openapi.json").await;
    let seed = std::env::var("BATON_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut maker = Maker {
        document: &document,
        rng: StdRng::seed_from_u64(seed),
    };
    let operations = operations(&document);
    assert!(operations.len() > 30, "{} take a body", operations.len());
    for operation in &operations {
        let (mut valid, mut invalid) = (0, 0);
        for case in 0..CASES {
            let mut body = maker.make(&operation.schema);
            for _ in 0..case % 3 {
                maker.change(&mut body);
            }
            if operation.name == "part.update" {
                as_in_the_path(&mut body);
            }
            if body.is_null() && !operation.is_required {
                // Clients of languages with a type for "or nothing" send null for it. Generators must not.
                continue;
            }
            let is_valid = operation.checker.is_valid(&body);
            *(if is_valid { &mut valid } else { &mut invalid }) += 1;
            let (status, answer) = send(&server, operation, &body).await;
            let about = || format!("{}: {body}\n{status}: {answer}", operation.name);
            assert!(
                !status.is_server_error() || status == StatusCode::SERVICE_UNAVAILABLE,
                "{}",
                about()
            );
            match refusal(status, &answer) {
                None => assert!(is_valid, "taken, though the schema forbids it: {}", about()),
                Some(message) => {
                    let fits = !is_valid || !is_of_the_schema(message);
                    assert!(fits, "refused, though the schema allows it: {}", about());
                }
            }
        }
        let takes_anything = operation.schema.as_object().is_some_and(Map::is_empty);
        assert!(
            valid > 5 && (invalid > 5 || takes_anything),
            "{}: {valid}, {invalid}",
            operation.name
        );
    }
    server.stop().await;
}

/// Most bodies of a part are about its other fields.
fn as_in_the_path(body: &mut Value) {
    for (name, id) in [
        ("id", "prt_missing"),
        ("sessionID", "ses_missing"),
        ("messageID", "msg_missing"),
    ] {
        if body[name].is_string() {
            body[name] = json!(id);
        }
    }
}

async fn send(server: &Server, operation: &Operation, body: &Value) -> (StatusCode, Value) {
    let url = format!("{}{}", server.url, operation.path);
    let request = server.client.request(operation.method.clone(), url);
    let answer = request.json(body).send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("text");
    (status, serde_json::from_str(&text).unwrap_or_default())
}
