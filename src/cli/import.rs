//! `baton import`: goes on with a session that an agent has already.

use axum::http::Method;
use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Value, json};

use super::failure::Failure;
use super::server::{Refused, Server, ServerArgs};
use super::table::{NOTHING, table};
use super::terminal::{Terminal, one_line};
use super::words;
use crate::http::native::NativeSessionInfo;
use crate::opencode::Session;

/// The column that gives way.
const TITLE: usize = 2;

/// What `baton import` takes.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The backend whose sessions are meant; all that can be used when it is left out
    #[arg(value_name = "PROVIDER")]
    pub provider: Option<String>,

    /// The session to go on with, as the list has it; the list is printed when it is left out
    #[arg(value_name = "NATIVE_ID")]
    pub native_id: Option<String>,

    /// The directory that the sessions belong to [default: the working directory]
    #[arg(long, value_name = "DIR")]
    pub directory: Option<String>,

    /// List those of all directories
    #[arg(long, conflicts_with_all = ["directory", "native_id"])]
    pub everywhere: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Of which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// A native session with its backend.
#[derive(Debug, Serialize)]
struct Listed {
    #[serde(rename = "providerID")]
    provider: String,
    #[serde(flatten)]
    native: NativeSessionInfo,
}

/// Lists them, or goes on with one.
///
/// # Errors
/// When there is no server, or it refuses.
pub async fn run(args: &ImportArgs, server: &Server, terminal: Terminal) -> Result<(), Failure> {
    let query = match args.everywhere {
        true => String::new(),
        false => format!(
            "?directory={}",
            encoded(&directory(args.directory.as_deref())?)
        ),
    };
    match (&args.provider, &args.native_id) {
        (Some(provider), Some(native)) => {
            let body = json!({ "import": { "providerID": provider, "nativeID": native } });
            let path = format!("/session{query}");
            let session: Session = server.ask(Method::POST, &path, Some(body)).await?;
            terminal.line(&made(&session, args.json)?)?;
            terminal.say(&format!("go on with: baton send {} TEXT", session.id));
            Ok(())
        }
        (Some(provider), None) => {
            let listed = of(provider, &query, server).await?;
            show(&listed, args, terminal)
        }
        (None, _) => {
            let listed = of_all(&query, server, terminal).await?;
            show(&listed, args, terminal)
        }
    }
}

/// The directory that was named, or the working directory, as the server knows it.
pub(super) fn directory(named: Option<&str>) -> Result<String, Failure> {
    let directory = match named {
        Some(directory) => std::path::PathBuf::from(directory),
        None => std::env::current_dir()
            .map_err(|e| Failure::of(format!("the working directory is not known: {e}")))?,
    };
    let shown = directory.display();
    let directory = directory
        .canonicalize()
        .map_err(|e| Failure::of(format!("{shown} cannot be used: {e}")))?;
    Ok(directory.to_string_lossy().into_owned())
}

/// A text as a piece of a path or a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn made(session: &Session, as_json: bool) -> Result<String, Failure> {
    if as_json {
        return serde_json::to_string_pretty(session).map_err(Failure::of);
    }
    let model = session.model.as_ref().map(words::model_ref);
    let model = model.unwrap_or_else(|| NOTHING.to_owned());
    let title = one_line(&session.title);
    Ok(format!("{} · {} · {title}", session.id, one_line(&model)))
}

async fn of(provider: &str, query: &str, server: &Server) -> Result<Vec<Listed>, Refused> {
    let path = format!("/backend/{}/session{query}", encoded(provider));
    let natives: Vec<NativeSessionInfo> = server.get(&path).await?;
    let listed = natives.into_iter().map(|native| Listed {
        provider: provider.to_owned(),
        native,
    });
    Ok(listed.collect())
}

/// Those of all backends that can be used. What one cannot tell is said, and does not keep the others from being listed.
async fn of_all(query: &str, server: &Server, terminal: Terminal) -> Result<Vec<Listed>, Failure> {
    let backends: Vec<Value> = server.get("/backend").await?;
    let ready = backends.iter().filter(|it| it["status"] == "ready");
    let ready = ready.filter_map(|it| it["id"].as_str());
    let asked = ready.map(|id| of(id, query, server));
    let mut all = Vec::new();
    for answer in futures_util::future::join_all(asked).await {
        match answer {
            Ok(listed) => all.extend(listed),
            Err(refused) => terminal.say(&Failure::from(refused).to_string()),
        }
    }
    all.sort_by_key(|listed| std::cmp::Reverse(listed.native.updated));
    Ok(all)
}

fn show(listed: &[Listed], args: &ImportArgs, terminal: Terminal) -> Result<(), Failure> {
    if args.json {
        let json = serde_json::to_string_pretty(listed).map_err(Failure::of)?;
        return Ok(terminal.line(&json)?);
    }
    if listed.is_empty() {
        let hint = match args.everywhere {
            true => "",
            false => "; --everywhere lists those of all directories",
        };
        terminal.say(&format!("no sessions{hint}"));
        return Ok(());
    }
    let mut head = vec!["PROVIDER", "NATIVE_ID", "TITLE", "SESSION", "USED"];
    if args.everywhere {
        head.push("DIRECTORY");
    }
    let rows: Vec<_> = listed.iter().map(|it| row(it, args.everywhere)).collect();
    // A program that reads it gets all of the title.
    let gives_way = terminal.is_screen().then_some(TITLE);
    terminal.line(&table(&head, &rows, gives_way))?;
    Ok(())
}

fn row(listed: &Listed, everywhere: bool) -> Vec<String> {
    let native = &listed.native;
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
    let title = native.title.as_deref().map(one_line);
    let session = native.session_id.as_ref().map(ToString::to_string);
    let mut row = vec![
        one_line(&listed.provider),
        one_line(&native.native_id),
        or_nothing(title.filter(|title| !title.is_empty())),
        or_nothing(session),
        or_nothing(native.updated.map(words::ago)),
    ];
    if everywhere {
        row.push(one_line(&native.directory));
    }
    row
}
