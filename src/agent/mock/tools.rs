//! The commands that call a tool or ask the client something.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::ToolSort;
use super::commands::filler;
use super::faults::Without;
use super::turn::Turn;

/// The largest file that is edited, in bytes: its text goes over the wire twice.
const MAX_EDIT_BYTES: u64 = 1024 * 1024;

/// What `question` can be answered with: the value and what the client is to show for it.
const COLORS: [(&str, &str); 2] = [("red", "Red"), ("blue", "Blue")];

/// A picture of one point, as base64.
const DOT_PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A tool call that has been announced.
struct Call {
    id: String,
}

impl Call {
    /// Announces a tool call, pending.
    async fn start(
        turn: &Turn,
        kind: &str,
        title: &str,
        input: &Value,
        path: Option<&Path>,
    ) -> Self {
        let id = format!("call_{:016x}", rand::random::<u64>());
        let mut update = json!({
            "sessionUpdate": "tool_call",
            "toolCallId": id,
            "title": title,
            "kind": kind,
            "status": "pending",
            "rawInput": input,
        });
        if let Some(path) = path {
            update["locations"] = json!([{"path": path}]);
        }
        turn.update(update).await;
        Self { id }
    }

    /// Starts a call that the agent may do without asking, or may not at all: as it was told at its start. `None` where it
    /// must not go on; then it says so.
    async fn start_allowed(
        turn: &mut Turn,
        sort: ToolSort,
        (kind, title): (&str, &str),
        input: &Value,
        path: Option<&Path>,
    ) -> Option<Self> {
        if turn.agent.args.deny.contains(&sort) {
            turn.say(&format!("there is no tool for that: {title}"))
                .await;
            return None;
        }
        let call = Self::start(turn, kind, title, input, path).await;
        if !turn.agent.args.ask.contains(&sort) {
            return Some(call);
        }
        match call.is_granted(turn, kind, title, input).await {
            Ok(_) => Some(call),
            Err(why) => {
                call.refuse(turn, &why).await;
                None
            }
        }
    }

    /// Ends it without having done anything.
    async fn refuse(&self, turn: &mut Turn, why: &str) {
        let by = match why {
            "rejected" => "rejected by the user",
            why => why,
        };
        self.fail(turn, by).await;
        turn.say(&format!("permission {why}")).await;
    }

    /// Asks the client whether it may go on: the option that was chosen, or why not.
    async fn is_granted(
        &self,
        turn: &Turn,
        kind: &str,
        title: &str,
        input: &Value,
    ) -> Result<String, String> {
        let params = json!({
            "sessionId": turn.session_id,
            "toolCall": {
                "toolCallId": self.id,
                "title": title,
                "kind": kind,
                "status": "pending",
                "rawInput": input,
            },
            "options": [
                {"optionId": "once", "name": "Allow once", "kind": "allow_once"},
                {"optionId": "always", "name": "Allow always", "kind": "allow_always"},
                {"optionId": "reject", "name": "Reject", "kind": "reject_once"},
            ],
        });
        let answer = turn.agent.ask("session/request_permission", params).await;
        let answer = answer.unwrap_or_default();
        let field = |pointer| answer.pointer(pointer).and_then(Value::as_str);
        match (field("/outcome/outcome"), field("/outcome/optionId")) {
            (Some("selected"), Some(option @ ("once" | "always"))) => Ok(option.to_owned()),
            (Some("selected"), Some("reject")) => Err("rejected".to_owned()),
            (Some("selected"), option) => {
                Err(format!("answered with an unknown option: {option:?}"))
            }
            _ => Err("cancelled".to_owned()),
        }
    }

    async fn progress(&self, turn: &Turn) {
        turn.update(json!({
            "sessionUpdate": "tool_call_update",
            "toolCallId": self.id,
            "status": "in_progress",
        }))
        .await;
    }

    async fn complete(&self, turn: &Turn, content: Value, output: Value) {
        turn.update(json!({
            "sessionUpdate": "tool_call_update",
            "toolCallId": self.id,
            "status": "completed",
            "content": content,
            "rawOutput": output,
        }))
        .await;
    }

    async fn fail(&self, turn: &Turn, why: &str) {
        turn.update(json!({
            "sessionUpdate": "tool_call_update",
            "toolCallId": self.id,
            "status": "failed",
            "content": [text(why)],
        }))
        .await;
    }
}

/// Text as the content of a tool call.
fn text(text: &str) -> Value {
    json!({"type": "content", "content": {"type": "text", "text": text}})
}

/// `tool`: appends a line to a file.
pub(super) async fn edit(turn: &mut Turn, file: Option<&str>) {
    let Some(file) = file else {
        return turn
            .say("cannot edit: the file name must be plain and relative")
            .await;
    };
    turn.think(&format!("I am going to edit {file}.")).await;
    let path = turn.cwd.join(file);
    let line = format!("edited by {}\n", turn.choice.model);
    let input = json!({"filePath": path, "content": line});
    let title = format!("Edit {file}");
    let what = ("edit", title.as_str());
    let call = Call::start_allowed(turn, ToolSort::Edit, what, &input, Some(&path)).await;
    let Some(call) = call else { return };
    if turn.choice.mode == "plan" {
        call.fail(turn, "plan mode is read-only").await;
        return turn.say("plan mode is read-only").await;
    }
    call.progress(turn).await;
    match append(&path, &line) {
        Ok(old) => {
            let wrote = format!("wrote {} bytes to {file}", line.len());
            let new = format!("{}{line}", old.as_deref().unwrap_or_default());
            let diff = json!({"type": "diff", "path": path, "oldText": old, "newText": new});
            let output = json!({"output": wrote});
            call.complete(turn, json!([diff, text(&wrote)]), output)
                .await;
            turn.say(&format!("edited {file}")).await;
        }
        Err(error) => {
            call.fail(turn, &error.to_string()).await;
            turn.say(&format!("cannot edit {file}: {error}")).await;
        }
    }
}

/// Appends to a file and returns what was in it, or `None` if it is new.
fn append(path: &Path, line: &str) -> io::Result<Option<String>> {
    let old = match std::fs::metadata(path) {
        Ok(file) if !file.is_file() => return Err(io::Error::other("not a file")),
        Ok(file) if file.len() > MAX_EDIT_BYTES => return Err(io::Error::other("too large")),
        Ok(_) => Some(String::from_utf8_lossy(&std::fs::read(path)?).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(line.as_bytes())?;
    Ok(old)
}

/// `bash`: pretends to run a command.
pub(super) async fn bash(turn: &mut Turn, cmd: &str) {
    let input = json!({"command": cmd});
    let call = Call::start_allowed(turn, ToolSort::Bash, ("execute", cmd), &input, None).await;
    let Some(call) = call else { return };
    call.progress(turn).await;
    pretend(turn, &call, cmd).await;
    turn.say(&format!("ran {cmd}")).await;
}

/// `job`: begins a call that goes on after its turn.
pub(super) async fn begin_job(turn: &Turn) -> String {
    let input = json!({"command": "make"});
    let call = Call::start(turn, "execute", "make", &input, None).await;
    call.progress(turn).await;
    call.id
}

/// Ends it.
pub(super) async fn end_job(turn: &Turn, id: String) {
    pretend(turn, &Call { id }, "make").await;
}

/// Completes a call as if the command had run.
async fn pretend(turn: &Turn, call: &Call, cmd: &str) {
    let output = format!("mock output of: {cmd}");
    let raw = json!({"output": output, "exitCode": 0});
    call.complete(turn, json!([text(&output)]), raw).await;
}

/// `read`: a tool call with a long output.
pub(super) async fn read(turn: &mut Turn, kb: usize) {
    let input = json!({"kilobytes": kb});
    let title = format!("Read {kb} KB");
    let call = Call::start_allowed(turn, ToolSort::Read, ("read", &title), &input, None).await;
    let Some(call) = call else { return };
    call.progress(turn).await;
    let output = filler(kb * 1_024);
    let raw = json!({"bytes": output.len()});
    call.complete(turn, json!([text(&output)]), raw).await;
    turn.say(&format!("read {kb} KB")).await;
}

/// `image`: a picture that a tool has returned, and one in the answer.
pub(super) async fn image(turn: &mut Turn) {
    let input = json!({"filePath": "dot.png"});
    let what = ("read", "Look at dot.png");
    let call = Call::start_allowed(turn, ToolSort::Read, what, &input, None).await;
    let Some(call) = call else { return };
    call.progress(turn).await;
    let image = json!({"type": "image", "mimeType": "image/png", "data": DOT_PNG});
    let content = json!([text("a dot"), {"type": "content", "content": image.clone()}]);
    call.complete(turn, content, Value::Null).await;
    turn.say("This is it: ").await;
    turn.update(json!({"sessionUpdate": "agent_message_chunk", "content": image}))
        .await;
    turn.say("a dot.").await;
}

/// `permission`: asks the client for one.
pub(super) async fn permission(turn: &mut Turn, cmd: &str) {
    let input = json!({"command": cmd});
    let call = Call::start(turn, "execute", cmd, &input, None).await;
    match call.is_granted(turn, "execute", cmd, &input).await {
        Ok(option) => {
            call.progress(turn).await;
            pretend(turn, &call, cmd).await;
            turn.say(&format!("permission granted: {option}")).await;
        }
        Err(why) => {
            call.refuse(turn, &why).await;
        }
    }
}

/// `question`: asks the client for a colour, with a form.
pub(super) async fn question(turn: &mut Turn) {
    if turn.agent.lacks(Without::Elicitation) {
        return turn.say("this agent cannot ask questions").await;
    }
    if !turn.agent.client_has_forms.load(Ordering::Relaxed) {
        return turn.say("the client cannot ask questions").await;
    }
    let call = Call::start(
        turn,
        "other",
        "Ask a question",
        &json!({"asks": "color"}),
        None,
    )
    .await;
    let answer = turn
        .agent
        .ask("elicitation/create", form(turn, &call))
        .await;
    let answer = answer.unwrap_or_default();
    match answer.get("action").and_then(Value::as_str) {
        Some("accept") => {
            let color = answer.pointer("/content/color");
            let known = COLORS
                .iter()
                .find(|(value, _)| color == Some(&json!(value)));
            let said = known.map_or_else(
                || format!("you chose no color that was offered: {color:?}"),
                |(_, name)| format!("you chose {name}"),
            );
            call.complete(turn, json!([text(&said)]), answer["content"].clone())
                .await;
            turn.say(&said).await;
        }
        Some("decline") => {
            call.fail(turn, "declined").await;
            turn.say("question declined").await;
        }
        _ => {
            call.fail(turn, "cancelled").await;
            turn.say("question cancelled").await;
        }
    }
}

fn form(turn: &Turn, call: &Call) -> Value {
    let options: Vec<Value> = COLORS
        .iter()
        .map(|(value, name)| json!({"const": value, "title": name}))
        .collect();
    json!({
        "mode": "form",
        "sessionId": turn.session_id,
        "toolCallId": call.id,
        "message": "Which color?",
        "requestedSchema": {
            "type": "object",
            "properties": {
                "color": {"type": "string", "title": "Color", "oneOf": options},
            },
            "required": ["color"],
        },
    })
}
