//! `baton sessions`: the sessions to continue with.

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::failure::Failure;
use super::server::{Server, ServerArgs};
use super::table::{NOTHING, table};
use super::terminal::{Terminal, one_line};
use super::words;
use crate::opencode::Session;

/// The column that gives way.
const TITLE: usize = 1;

/// What `baton sessions` takes.
#[derive(Debug, Clone, Args)]
pub struct SessionsArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Only those of the working directory
    #[arg(long)]
    pub here: bool,

    /// Only those with this text in their title
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,

    /// Archived ones, too
    #[arg(long)]
    pub archived: bool,

    /// At most this many, most recently used first
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,

    /// Of which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Lists them.
///
/// # Errors
/// When there is no server, or stdout cannot be written.
pub async fn run(args: &SessionsArgs, server: &Server, terminal: Terminal) -> Result<(), Failure> {
    // One more, to see whether there are more.
    let mut query = format!("limit={}", args.limit.saturating_add(1));
    let mut add = |name: &str, value: &str| {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        query.push_str(&format!("&{name}={value}"));
    };
    if args.here {
        let here = std::env::current_dir().and_then(|here| here.canonicalize());
        let here =
            here.map_err(|e| Failure::of(format!("the working directory is not known: {e}")))?;
        add("directory", &here.to_string_lossy());
    }
    if let Some(text) = &args.search {
        add("search", text);
    }
    if args.archived {
        add("archived", "true");
    }
    let mut sessions = server.sessions(&query).await?;
    let are_more = sessions.len() > args.limit;
    sessions.truncate(args.limit);
    if args.json {
        let json = serde_json::to_string_pretty(&sessions).map_err(Failure::of)?;
        return Ok(terminal.line(&json)?);
    }
    if sessions.is_empty() {
        terminal.say("no sessions");
        return Ok(());
    }
    let head = ["ID", "TITLE", "MODEL", "STATE", "COST", "USED"];
    let rows: Vec<_> = sessions.iter().map(row).collect();
    // A program that reads it gets all of the title.
    let gives_way = terminal.is_screen().then_some(TITLE);
    terminal.line(&table(&head, &rows, gives_way))?;
    if are_more {
        terminal.say(&format!("… and more than these {} (--limit)", args.limit));
    }
    Ok(())
}

fn row(session: &Session) -> Vec<String> {
    let title = one_line(&session.title);
    let model = session.model.as_ref().map(words::model_ref);
    vec![
        session.id.to_string(),
        if title.is_empty() {
            NOTHING.to_owned()
        } else {
            title
        },
        model.map_or_else(|| NOTHING.to_owned(), |model| one_line(&model)),
        words::state(session),
        words::cost(session.cost),
        words::ago(session.time.updated),
    ]
}
