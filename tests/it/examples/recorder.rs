//! Keeps requests and answers as examples.

use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::mask::Mask;
use crate::harness::Server;

/// Keeps what a server answers.
pub(super) struct Recorder<'a> {
    pub server: &'a Server,
    pub mask: Mask,
    pub operations: Map<String, Value>,
    pub errors: Map<String, Value>,
}

impl<'a> Recorder<'a> {
    /// Has kept nothing yet.
    pub(super) fn new(server: &'a Server) -> Self {
        Self {
            server,
            mask: Mask::new(server),
            operations: Map::new(),
            errors: Map::new(),
        }
    }

    /// Does what has to succeed, and keeps it as the example of an operation.
    pub(super) async fn done(
        &mut self,
        id: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Value {
        let path = format!("/opencode{path}");
        let (status, answer) = self.server.send(method, &path, body.clone()).await;
        assert!(status.is_success(), "{id}: {status}: {answer}");
        self.keep(id, status, body, &answer);
        answer
    }

    fn keep(&mut self, id: &str, status: StatusCode, body: Option<Value>, answer: &Value) {
        let mut example = Map::new();
        if let Some(body) = body {
            example.insert("request".to_owned(), self.mask.apply(&body));
        }
        example.insert("status".to_owned(), json!(status.as_str()));
        if !answer.is_null() {
            example.insert("answer".to_owned(), self.mask.apply(answer));
        }
        self.operations
            .insert(id.to_owned(), Value::Object(example));
    }

    /// Does what has to be refused, and keeps the error with its cause.
    pub(super) async fn refused(
        &mut self,
        cause: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) {
        self.refused_with(cause, method, path, body, &[]).await;
    }

    /// The same with headers.
    pub(super) async fn refused_with(
        &mut self,
        cause: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) {
        let path = format!("/opencode{path}");
        let response = self.server.request(method, &path, body, headers).await;
        let status = response.status();
        let error: Value = response.json().await.expect("JSON");
        self.keep_error(cause, status, &error);
    }

    /// Keeps an error with its cause.
    pub(super) fn keep_error(&mut self, cause: &str, status: StatusCode, error: &Value) {
        let tagged = error["_tag"].as_str().filter(|_| error["data"].is_null());
        let name = tagged.or(error["name"].as_str()).expect("a name");
        let (schema, key) = match tagged {
            Some(_) => ("TaggedError".to_owned(), name.to_owned()),
            None if name.ends_with("Error") => (name.to_owned(), name.to_owned()),
            None => (format!("{name}Error"), name.to_owned()),
        };
        let key = match tagged {
            Some(_) => format!("tagged{key}"),
            None => key,
        };
        // One that comes with several statuses is there once for each.
        let key = match self.errors.contains_key(&key) {
            true => format!("{key}{}", status.as_str()),
            false => key,
        };
        let recorded = json!({
            "cause": cause,
            "schema": schema,
            "status": status.as_str(),
            "body": self.mask.apply(error),
        });
        assert!(self.errors.insert(key.clone(), recorded).is_none(), "{key}");
    }
}
