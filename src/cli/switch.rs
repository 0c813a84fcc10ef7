//! `baton switch`: hands a session to another model.

use axum::http::Method;
use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::failure::Failure;
use super::server::{Server, ServerArgs, SessionArgs};
use super::terminal::{Terminal, one_line};
use super::words;
use crate::opencode::Session;
use crate::opencode::history::{ModelHistory, ModelSwitch};
use crate::opencode::session::{PendingReason, RuntimeStatus};

/// What `baton switch` takes.
#[derive(Debug, Clone, Args)]
pub struct SwitchArgs {
    /// Which session.
    #[command(flatten)]
    pub session: SessionArgs,

    /// The model to continue with, and its reasoning effort; left out, only the agent is changed
    #[arg(
        value_name = "PROVIDER/MODEL[:VARIANT]",
        required_unless_present_any = ["agent", "fallback", "preview"]
    )]
    pub model: Option<String>,

    /// The agent to continue with: build, plan, or a mode of the backend
    #[arg(long)]
    pub agent: Option<String>,

    /// A model that goes on when the selected one cannot answer for now; several in the order in which they are tried,
    /// `none` for none, and `default` for the server's own chain
    #[arg(long, value_name = "PROVIDER/MODEL[:VARIANT]")]
    pub fallback: Vec<String>,

    /// What the model is given of the conversation: what it has not seen, a summary of that, nothing, or a summary where the
    /// rest does not fit
    #[arg(long, value_name = "HOW", value_parser = ["transcript", "summary", "none", "auto"])]
    pub handoff: Option<String>,

    /// What the model is told beside it
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,

    /// Print what would be handed over, and change nothing
    #[arg(long)]
    pub preview: bool,

    /// Wait until the agent has confirmed it: status 1, and the reason, if it does not
    #[arg(long)]
    pub wait: bool,

    /// Print the entry of the audit trail as JSON
    #[arg(long)]
    pub json: bool,

    /// Of which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Switches it.
///
/// # Errors
/// When it is refused, or with `--wait` when it fails.
pub async fn run(args: &SwitchArgs, server: &Server, terminal: Terminal) -> Result<(), Failure> {
    let session = server.session(&args.session.session).await?;
    let mut body = match &args.model {
        Some(model) => wish(model, &session, server).await?,
        None => Map::new(),
    };
    if let Some(agent) = &args.agent {
        body.insert("agent".to_owned(), Value::from(agent.as_str()));
    }
    for (name, value) in [("handoff", &args.handoff), ("note", &args.note)] {
        if let Some(value) = value {
            body.insert(name.to_owned(), Value::from(value.as_str()));
        }
    }
    if args.fallback == ["default"] {
        body.insert("fallback".to_owned(), Value::Null);
    } else if !args.fallback.is_empty() {
        let mut chain = Vec::new();
        for model in args.fallback.iter().filter(|model| *model != "none") {
            chain.push(Value::from(wish(model, &session, server).await?));
        }
        body.insert("fallback".to_owned(), chain.into());
    }
    if args.preview {
        return preview(&session, &body, args, server, terminal).await;
    }
    if args.wait && session.runtime.status == RuntimeStatus::Busy {
        terminal.say("an answer is being written: the switch comes behind it");
    }
    let wait = if args.wait { "?wait=true" } else { "" };
    let path = format!("/session/{}{wait}", session.id);
    let switched: Session = server.ask(Method::PATCH, &path, Some(body.into())).await?;
    if switched.revision == session.revision {
        return unchanged(&switched, args, terminal);
    }
    let history: ModelHistory = server
        .get(&format!("/session/{}/model", session.id))
        .await?;
    // Others may switch at the same time.
    let made = |entry: &&ModelSwitch| {
        entry.revision > session.revision && entry.revision <= switched.revision
    };
    let Some(entry) = history.switches.iter().rfind(made) else {
        if switched.fallback != session.fallback {
            return Ok(terminal.line(&one_line(&words::chain(&switched)))?);
        }
        return unchanged(&switched, args, terminal);
    };
    if args.json {
        let json = serde_json::to_string_pretty(entry).map_err(Failure::of)?;
        terminal.line(&json)?;
    } else {
        let line = match args.wait {
            true => words::switch(entry),
            false => announced(entry, &switched),
        };
        terminal.line(&one_line(&line))?;
    }
    if let Some(failure) = &entry.failure {
        return Err(Failure::of(failure.message()));
    }
    if args.wait && entry.transfer.is_none() {
        return Err(Failure::of(
            "another switch came before the agent had confirmed this one.",
        ));
    }
    Ok(())
}

/// Prints what would be handed over.
async fn preview(
    session: &Session,
    body: &Map<String, Value>,
    args: &SwitchArgs,
    server: &Server,
    terminal: Terminal,
) -> Result<(), Failure> {
    let named = ["providerID", "modelID", "handoff", "note"];
    let said = named
        .iter()
        .filter_map(|name| Some((name, body.get(*name)?.as_str()?)));
    let query = said.map(|(name, value)| {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        format!("{name}={value}")
    });
    let query = query.collect::<Vec<_>>().join("&");
    let path = format!("/session/{}/handoff?{query}", session.id);
    let preview: Value = server.get(&path).await?;
    if args.json {
        let json = serde_json::to_string_pretty(&preview).map_err(Failure::of)?;
        return Ok(terminal.line(&json)?);
    }
    let number = |place: &str| preview.pointer(place).and_then(Value::as_u64).unwrap_or(0);
    if let Some(by) = preview.pointer("/summary/by") {
        let by = format!(
            "{}/{}",
            by["providerID"].as_str().unwrap_or_default(),
            by["modelID"].as_str().unwrap_or_default()
        );
        return Ok(terminal.line(&format!(
            "a summary, written by {} from {} messages, {} (about {} tokens)",
            one_line(&by),
            words::grouped(number("/summary/messages")),
            words::bytes(number("/summary/bytes")),
            words::grouped(number("/summary/tokens")),
        ))?);
    }
    terminal.line(&format!(
        "{} messages, {}, {} left out or shortened",
        words::grouped(number("/messages")),
        words::bytes(number("/bytes")),
        words::grouped(number("/elided")),
    ))?;
    terminal.line(preview["text"].as_str().unwrap_or_default().trim_end())?;
    Ok(())
}

fn unchanged(session: &Session, args: &SwitchArgs, terminal: Terminal) -> Result<(), Failure> {
    let model = session.model.as_ref().map(words::model_ref);
    let model = model.unwrap_or_else(|| "no model".to_owned());
    match args.json {
        true => terminal.line("null")?,
        false => terminal.line(&format!("{} · unchanged", one_line(&model)))?,
    }
    Ok(())
}

/// What is known of a switch that was not waited for.
fn announced(entry: &ModelSwitch, session: &Session) -> String {
    let line = words::switch(entry);
    let is_told = entry.transfer.is_some() || entry.failure.is_some();
    match session.runtime.pending.as_ref().map(|it| it.reason) {
        _ if is_told => line,
        Some(PendingReason::Turn) => format!("{line} · behind the answer that is being written"),
        _ => format!("{line} · its agent is being prepared"),
    }
}

/// A model, as the body of a request names it.
async fn wish(
    text: &str,
    session: &Session,
    server: &Server,
) -> Result<Map<String, Value>, Failure> {
    let named = text.split_once('/');
    let Some((provider, rest)) = named.filter(|(p, m)| !p.is_empty() && !m.is_empty()) else {
        return Err(Failure::Usage(format!(
            "\"{text}\" is no model: give PROVIDER/MODEL or PROVIDER/MODEL:VARIANT. `baton agents` lists them."
        )));
    };
    let (model, variant) = match rest.contains(':') {
        true => split(rest, &models_of(provider, session, server).await?),
        false => (rest, None),
    };
    let named = [
        ("providerID", Some(provider)),
        ("modelID", Some(model)),
        ("variant", variant),
    ];
    let named = named.into_iter();
    let named = named.filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    Ok(named.collect())
}

/// Model and variant of `MODEL[:VARIANT]`, where the id of a model may have a `:` in it, too.
fn split<'a>(text: &'a str, models: &[String]) -> (&'a str, Option<&'a str>) {
    let is_known = |id: &str| models.iter().any(|model| model == id);
    match text.rsplit_once(':') {
        Some((model, variant)) if !is_known(text) && !variant.is_empty() && is_known(model) => {
            (model, Some(variant))
        }
        // What is unknown either way is refused under the name that was given, and with suggestions.
        _ => (text, None),
    }
}

/// The models of a backend in the directory of a session.
async fn models_of(
    provider: &str,
    session: &Session,
    server: &Server,
) -> Result<Vec<String>, Failure> {
    let directory = utf8_percent_encode(&session.directory, NON_ALPHANUMERIC);
    let providers: Value = server
        .get(&format!("/provider?directory={directory}"))
        .await?;
    let all = providers["all"].as_array().into_iter().flatten();
    let models = all.filter(|it| it["id"] == provider);
    let models = models.filter_map(|it| it["models"].as_object());
    Ok(models.flat_map(|models| models.keys().cloned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_what_stands_behind_a_known_model() {
        let models = ["llama3:8b", "opus", "a:b"].map(str::to_owned);
        for (text, expected) in [
            ("opus:high", ("opus", Some("high"))),
            ("llama3:8b", ("llama3:8b", None)),
            ("llama3:8b:high", ("llama3:8b", Some("high"))),
            ("a:b", ("a:b", None)),
            ("opus:", ("opus:", None)),
            ("opsu:high", ("opsu:high", None)),
            ("unknown", ("unknown", None)),
        ] {
            assert_eq!(split(text, &models), expected, "{text}");
        }
    }
}
