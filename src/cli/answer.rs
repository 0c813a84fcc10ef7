//! `baton answer`: what an agent waits for.

use axum::http::Method;
use clap::Args;
use serde_json::{Value, json};

use super::failure::Failure;
use super::server::{Server, ServerArgs};
use super::terminal::{Terminal, beginning, one_line};
use crate::opencode::{PermissionId, QuestionId};

/// What is allowed for a permission.
const REPLIES: [&str; 3] = ["once", "always", "reject"];
/// The word that refuses either.
const REJECT: &str = "reject";
/// At most this much of a question or a permission is shown, in characters.
const SHOWN_CHARS: usize = 300;

/// What `baton answer` takes.
#[derive(Debug, Clone, Args)]
pub struct AnswerArgs {
    /// What waits, as `baton send` and `baton events` name it: per_… or que_…
    #[arg(value_name = "REQUEST")]
    pub request: String,

    /// For a permission once, always or reject; for a question the chosen label or a text for each, or reject
    #[arg(value_name = "ANSWER", required = true)]
    pub answers: Vec<String>,

    /// Of which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Gives the answer to the agent.
///
/// # Errors
/// When nothing of that name waits, or the answer does not fit it.
pub async fn run(args: &AnswerArgs, server: &Server, terminal: Terminal) -> Result<(), Failure> {
    let id = args.request.as_str();
    let (path, body) = if PermissionId::parse(id).is_ok() {
        let [reply] = args.answers.as_slice() else {
            return Err(not_a_reply());
        };
        if !REPLIES.contains(&reply.as_str()) {
            return Err(not_a_reply());
        }
        (format!("/permission/{id}/reply"), json!({ "reply": reply }))
    } else if QuestionId::parse(id).is_err() {
        return Err(Failure::Usage(format!(
            "\"{id}\" names nothing that waits: a permission begins with {}_, a question with {}_",
            PermissionId::PREFIX,
            QuestionId::PREFIX
        )));
    } else if args.answers == [REJECT] {
        (format!("/question/{id}/reject"), json!({}))
    } else {
        let answers: Vec<_> = args.answers.iter().map(|answer| [answer]).collect();
        (
            format!("/question/{id}/reply"),
            json!({ "answers": answers }),
        )
    };
    let _true: Value = server.ask(Method::POST, &path, Some(body)).await?;
    terminal.say("the agent has your answer");
    Ok(())
}

fn not_a_reply() -> Failure {
    Failure::Usage(format!(
        "a permission is answered with one of: {}",
        REPLIES.join(", ")
    ))
}

/// What an agent asks, and the command that answers it.
pub(super) fn how_to_answer(kind: &str, asked: &Value, server: &Server) -> String {
    let id = asked["id"].as_str().unwrap_or_default();
    let flags = &server.flags;
    if kind == "permission.asked" {
        let what = asked["patterns"].as_array().into_iter().flatten();
        let what: Vec<_> = what.filter_map(Value::as_str).collect();
        let tool = one_line(asked["permission"].as_str().unwrap_or_default());
        let what = beginning(&what.join(" "), SHOWN_CHARS);
        return format!(
            "the agent waits for your permission: {tool} {what}\nanswer with: baton answer{flags} {id} once|always|reject"
        );
    }
    let questions = asked["questions"].as_array().into_iter().flatten();
    let questions: Vec<_> = questions.map(question).collect();
    format!(
        "the agent asks: {}\nanswer with: baton answer{flags} {id} ANSWER{} (or reject)",
        questions.join("; "),
        if questions.len() > 1 { "…" } else { "" }
    )
}

fn question(question: &Value) -> String {
    let text = beginning(
        question["question"].as_str().unwrap_or_default(),
        SHOWN_CHARS,
    );
    let options = question["options"].as_array().into_iter().flatten();
    let labels: Vec<_> = options
        .filter_map(|option| option["label"].as_str().map(one_line))
        .collect();
    match labels.is_empty() {
        true => text,
        false => format!("{text} [{}]", labels.join(" | ")),
    }
}
