//! The agent without a process around it. Everything that it sends is parsed with the protocol's
//! published types before a test sees it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod faulty;
mod normal;

use agent_client_protocol_schema::v1 as acp;
use clap::Parser;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::wire::Out;
use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: MockArgs,
}

/// A client of an agent in this process.
struct Client {
    agent: Arc<Agent>,
    queue: mpsc::Receiver<Out>,
    /// What the client answers to the agent's next request.
    answer: Value,
    requests: i64,
    /// The slash commands that were told last.
    commands: Value,
}

/// What came back: the updates before the response, and the response.
struct Answer {
    updates: Vec<Value>,
    requests: Vec<Value>,
    response: Value,
}

impl Answer {
    fn text(&self) -> String {
        let chunks = self
            .updates
            .iter()
            .filter(|update| update["sessionUpdate"] == "agent_message_chunk");
        chunks
            .map(|update| update["content"]["text"].as_str().unwrap())
            .collect()
    }

    fn code(&self) -> i64 {
        self.response["error"]["code"].as_i64().unwrap()
    }

    fn result(&self) -> &Value {
        assert!(self.response["error"].is_null(), "{}", self.response);
        &self.response["result"]
    }

    fn kinds(&self) -> Vec<&str> {
        let kinds = self.updates.iter();
        kinds
            .map(|update| update["sessionUpdate"].as_str().unwrap())
            .collect()
    }
}

impl Client {
    fn new(flags: &[&str]) -> Self {
        let args = Cli::parse_from([&["mock-agent"], flags].concat()).args;
        let (out, queue) = Outgoing::new();
        Self {
            agent: Arc::new(Agent::new(args, out, None).unwrap()),
            queue,
            answer: Value::Null,
            requests: 0,
            commands: Value::Null,
        }
    }

    /// A client with one session, and the reply to `session/new`.
    async fn with_session(flags: &[&str]) -> (Self, String, Value) {
        let mut client = Self::new(flags);
        let capabilities = json!({"elicitation": {"form": {}}});
        let params = json!({"protocolVersion": 1, "clientCapabilities": capabilities});
        client.call("initialize", params).await.result();
        let params = json!({"cwd": "/", "mcpServers": []});
        let new = client.call("session/new", params).await.result().clone();
        (client, new["sessionId"].as_str().unwrap().to_owned(), new)
    }

    fn give(&self, line: &[u8]) {
        let (agent, line) = (self.agent.clone(), line.to_vec());
        tokio::spawn(async move { agent.receive(Line::Complete(line)).await });
    }

    /// The next message. The slash commands, which come whenever a session was opened and belong to no
    /// answer, are kept aside.
    async fn next(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(30), self.queue.recv());
            let message = match next.await.unwrap().unwrap() {
                Out::Message(message) => check(message),
                Out::Flush(_) => panic!("nobody flushes here"),
            };
            let update = &message["params"]["update"];
            if update["sessionUpdate"] != "available_commands_update" {
                return message;
            }
            self.commands = update["availableCommands"].clone();
        }
    }

    fn send(&mut self, method: &str, params: Value) -> i64 {
        self.requests += 1;
        let id = self.requests;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.give(request.to_string().as_bytes());
        id
    }

    async fn response(&mut self, id: i64) -> Answer {
        let (mut updates, mut requests) = (Vec::new(), Vec::new());
        loop {
            let message = self.next().await;
            match message["method"].as_str() {
                Some("session/update") => updates.push(message["params"]["update"].clone()),
                Some(_) => {
                    let answer =
                        json!({"jsonrpc": "2.0", "id": message["id"], "result": self.answer});
                    self.give(answer.to_string().as_bytes());
                    requests.push(message);
                }
                None => {
                    assert_eq!(message["id"], id);
                    return Answer {
                        updates,
                        requests,
                        response: message,
                    };
                }
            }
        }
    }

    async fn call(&mut self, method: &str, params: Value) -> Answer {
        let id = self.send(method, params);
        self.response(id).await
    }

    async fn prompt(&mut self, session: &str, text: &str) -> Answer {
        self.call("session/prompt", prompt(session, &[text])).await
    }

    async fn set(&mut self, session: &str, option: &str, value: &str) -> Answer {
        let params = json!({"sessionId": session, "configId": option, "value": value});
        self.call("session/set_config_option", params).await
    }

    async fn back(&mut self, method: &str, session: &str) -> Answer {
        let params = json!({"sessionId": session, "cwd": "/", "mcpServers": []});
        self.call(method, params).await
    }
}

fn prompt(session: &str, texts: &[&str]) -> Value {
    let blocks: Vec<Value> = texts
        .iter()
        .map(|text| json!({"type": "text", "text": text}))
        .collect();
    json!({"sessionId": session, "prompt": blocks})
}

/// The current value of a config option.
fn current<'a>(reply: &'a Value, option: &str) -> Option<&'a str> {
    let options = reply["configOptions"].as_array()?;
    let option = options.iter().find(|each| each["id"] == option)?;
    option["currentValue"].as_str()
}

/// Checks a message of the agent against the protocol's types.
fn check(message: Value) -> Value {
    assert_eq!(message["jsonrpc"], "2.0");
    let params = &message["params"];
    match message["method"].as_str() {
        Some("session/update") => exact::<acp::SessionNotification>(params),
        Some("session/request_permission") => exact::<acp::RequestPermissionRequest>(params),
        Some("elicitation/create") => exact::<acp::CreateElicitationRequest>(params),
        Some(method) => panic!("unknown method {method}"),
        None if message["error"].is_null() => assert!(message["result"].is_object()),
        None => exact::<acp::Error>(&message["error"]),
    }
    message
}

/// Parses a value and checks that the type knew every part of it: the types skip what they do not
/// understand, so parsing alone proves little.
fn exact<T: DeserializeOwned + Serialize>(value: &Value) {
    let parsed: T =
        serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{e}: {value}"));
    let again = serde_json::to_value(parsed).unwrap();
    assert_eq!(without_defaults(&again), without_defaults(value));
}

/// The value without the fields that the types leave out when they write.
fn without_defaults(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, value)| match name.as_str() {
                "status" => *value != "pending",
                "kind" => *value != "other",
                "mcpCapabilities" | "auth" | "audio" => false,
                _ => !value.is_null(),
            })
            .map(|(name, value)| (name.clone(), without_defaults(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_defaults).collect(),
        other => other.clone(),
    }
}
