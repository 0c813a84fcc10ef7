//! `baton send`: a prompt, and its answer as it is written.

use std::collections::HashMap;
use std::io::Read;

use axum::http::Method;
use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::answer::how_to_answer;
use super::failure::Failure;
use super::server::{Event, Events, Server, ServerArgs, SessionArgs};
use super::show::{about, tool_line};
use super::terminal::{Terminal, one_line};
use super::words;
use crate::opencode::message::{Message, Part, ToolPart, ToolState};
use crate::opencode::{MessageId, MessageWithParts, Session};

/// Stands for what comes on stdin.
const STDIN: &str = "-";

/// What `baton send` takes.
#[derive(Debug, Clone, Args)]
pub struct SendArgs {
    /// Which session.
    #[command(flatten)]
    pub session: SessionArgs,

    /// The prompt; `-` reads it from stdin
    #[arg(value_name = "TEXT")]
    pub text: String,

    /// Of which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

type Answering = JoinHandle<Result<MessageWithParts, Failure>>;

/// Sends it, and writes the answer as it comes.
///
/// # Errors
/// When it is refused, or the answer fails.
pub async fn run(args: &SendArgs, server: &Server, terminal: Terminal) -> Result<(), Failure> {
    let text = text_of(&args.text)?;
    let session = server.session(&args.session.session).await?;
    let mut events = server.events(None).await?;
    let prompt = MessageId::new();
    let answering = send(server, &session, &prompt, &text);
    let mut shown = Shown::new(prompt, &session, server, terminal);
    let answer = tokio::select! {
        answer = follow(&mut events, answering, &mut shown) => answer?,
        _ = tokio::signal::ctrl_c() => return stop(&shown, server, &session, terminal).await,
    };
    shown.finish(&answer)
}

fn text_of(given: &str) -> Result<String, Failure> {
    let mut text = given.to_owned();
    if given == STDIN {
        text.clear();
        let read = std::io::stdin().lock().read_to_string(&mut text);
        read.map_err(|error| Failure::Failed(format!("stdin cannot be read: {error}")))?;
    }
    match text.trim().is_empty() {
        true => Err(Failure::Usage(
            "there is nothing to send: the text is empty".to_owned(),
        )),
        false => Ok(text),
    }
}

fn send(server: &Server, session: &Session, prompt: &MessageId, text: &str) -> Answering {
    let (server, path) = (server.clone(), format!("/session/{}/message", session.id));
    let parts = json!([{ "type": "text", "text": text }]);
    let body = json!({ "messageID": prompt, "parts": parts });
    tokio::spawn(async move { Ok(server.ask(Method::POST, &path, Some(body)).await?) })
}

/// Shows the events of a prompt, then what the complete answer has beyond them.
async fn follow(
    events: &mut Events,
    mut answering: Answering,
    shown: &mut Shown<'_>,
) -> Result<MessageWithParts, Failure> {
    let mut streams = true;
    loop {
        tokio::select! {
            answer = &mut answering => return answer.map_err(Failure::of)?,
            event = events.next(), if streams => match event {
                Ok(event) => shown.see(&event)?,
                Err(_) => streams = false,
            },
        }
    }
}

/// Ctrl-C: the answer is broken off if it is the one that is being written.
async fn stop(
    shown: &Shown<'_>,
    server: &Server,
    session: &Session,
    terminal: Terminal,
) -> Result<(), Failure> {
    match shown.answer {
        Some(_) => {
            server.abort(session).await?;
            terminal.say("\nstopped; what was written is kept");
        }
        None => terminal.say("\nthe prompt still waits for its turn; it is answered without you"),
    }
    Err(Failure::Stopped)
}

/// What was shown of an answer.
struct Shown<'a> {
    prompt: MessageId,
    session: &'a Session,
    server: &'a Server,
    terminal: Terminal,
    /// The answer, once there is one.
    answer: Option<String>,
    /// Parts that are text, with what was written of them.
    texts: HashMap<String, String>,
    /// The part that was written last.
    last: Option<String>,
    /// What was said of tool calls, by part.
    tools: HashMap<String, String>,
}

impl<'a> Shown<'a> {
    fn new(
        prompt: MessageId,
        session: &'a Session,
        server: &'a Server,
        terminal: Terminal,
    ) -> Self {
        Self {
            prompt,
            session,
            server,
            terminal,
            answer: None,
            texts: HashMap::new(),
            last: None,
            tools: HashMap::new(),
        }
    }

    fn see(&mut self, event: &Event) -> Result<(), Failure> {
        if event.session() != Some(self.session.id.as_str()) {
            return Ok(());
        }
        let it = event.properties();
        match event.kind() {
            "message.updated" if it["info"]["parentID"] == self.prompt.as_str() => {
                self.answer = it["info"]["id"].as_str().map(str::to_owned);
            }
            "message.part.updated" if self.is_answer(&it["part"]["messageID"]) => {
                if let Ok(part) = serde_json::from_value(it["part"].clone()) {
                    self.part(&part)?;
                }
            }
            "message.part.delta" if self.is_answer(&it["messageID"]) && it["field"] == "text" => {
                let part = it["partID"].as_str().unwrap_or_default();
                if self.texts.contains_key(part) {
                    self.write(part, it["delta"].as_str().unwrap_or_default())?;
                }
            }
            "permission.asked" | "question.asked" => {
                let told = how_to_answer(event.kind(), it, self.server);
                self.terminal.warn(&format!("\n{told}"));
            }
            "session.silent" => {
                let about = it["tool"]
                    .as_str()
                    .map(|tool| format!(" ({})", one_line(tool)));
                let about = about.unwrap_or_default();
                self.terminal.warn(&format!(
                    "the agent has said nothing for a while{about}; Ctrl-C stops it"
                ));
            }
            _ => {}
        }
        Ok(())
    }

    fn is_answer(&self, message: &Value) -> bool {
        message
            .as_str()
            .is_some_and(|id| self.answer.as_deref() == Some(id))
    }

    fn part(&mut self, part: &Part) -> Result<(), Failure> {
        match part {
            Part::Text(text) if text.ignored != Some(true) && text.synthetic != Some(true) => {
                let id = part.id().as_str();
                let written = self.texts.entry(id.to_owned()).or_default();
                // What was added since.
                if let Some(more) = text.text.strip_prefix(written.as_str()) {
                    let more = more.to_owned();
                    self.write(id, &more)?;
                }
            }
            Part::Tool(tool) => self.tool(tool)?,
            _ => {}
        }
        Ok(())
    }

    fn write(&mut self, part: &str, more: &str) -> Result<(), Failure> {
        if more.is_empty() {
            return Ok(());
        }
        if self.last.as_deref() != Some(part) {
            self.end_line()?;
            self.last = Some(part.to_owned());
        }
        self.texts
            .entry(part.to_owned())
            .or_default()
            .push_str(more);
        Ok(self.terminal.text(more)?)
    }

    /// What comes next begins a line.
    fn end_line(&mut self) -> Result<(), Failure> {
        let written = self.last.take().and_then(|last| self.texts.get(&last));
        match written.is_some_and(|text| !text.is_empty() && !text.ends_with('\n')) {
            true => Ok(self.terminal.line("")?),
            false => Ok(()),
        }
    }

    fn tool(&mut self, tool: &ToolPart) -> Result<(), Failure> {
        let is_news = matches!(
            tool.state,
            ToolState::Completed { .. } | ToolState::Error { .. }
        );
        let line = tool_line(tool);
        if is_news && self.tools.get(tool.id.as_str()) != Some(&line) {
            self.end_line()?;
            self.terminal.say(&line);
            self.tools.insert(tool.id.to_string(), line);
        }
        Ok(())
    }

    /// Writes what the stream has left out, and who has answered.
    fn finish(mut self, answer: &MessageWithParts) -> Result<(), Failure> {
        for part in &answer.parts {
            self.part(part)?;
        }
        self.end_line()?;
        let Message::Assistant(info) = &answer.info else {
            return Ok(());
        };
        let model = words::model(&info.provider_id, &info.model_id, info.variant.as_deref());
        let agent = match info.agent.as_str() {
            crate::registry::BUILD => String::new(),
            agent => format!(", agent {agent}"),
        };
        self.terminal
            .say(&one_line(&format!("— {model}{agent} · {}", about(info))));
        match &info.error {
            Some(error) => Err(Failure::of(error.message())),
            None => Ok(()),
        }
    }
}
