//! Which session a command means.

use clap::Args;
use serde_json::Value;

use super::{Refused, Server};
use crate::cli::failure::Failure;
use crate::opencode::{Session, SessionId};

/// The word for the session that was used last.
const LAST: &str = "last";
/// What every session's id begins with.
const PREFIX: &str = "ses_";
/// Sessions that a beginning of an id is looked up among.
const LOOKED_AT: usize = 10_000;
/// Sessions that are named when several could be meant.
const NAMED: usize = 5;

/// Which session.
#[derive(Debug, Clone, Args)]
pub struct SessionArgs {
    /// The session: its id, the beginning of its id, or `last` for the one used last
    #[arg(value_name = "SESSION")]
    pub session: String,
}

impl Server {
    /// Sessions of all directories, most recently used first.
    ///
    /// # Errors
    /// When there is no server, or it refuses.
    pub async fn sessions(&self, query: &str) -> Result<Vec<Session>, Failure> {
        Ok(self.get(&format!("/experimental/session?{query}")).await?)
    }

    /// The session that was meant.
    ///
    /// # Errors
    /// When there is none, or when several could be meant.
    pub async fn session(&self, wanted: &str) -> Result<Session, Failure> {
        if wanted == LAST {
            let sessions = self.sessions("limit=1").await?;
            let last = sessions.into_iter().next();
            return last.ok_or_else(|| Failure::of("there are no sessions yet."));
        }
        let beginning = match wanted.starts_with(PREFIX) {
            true => wanted.to_owned(),
            false => format!("{PREFIX}{wanted}"),
        };
        if let Ok(id) = SessionId::parse(&beginning) {
            match self.get(&format!("/session/{id}")).await {
                Ok(session) => return Ok(session),
                // It may be the beginning of one.
                Err(Refused::ByServer { status, .. }) if status.as_u16() == 404 => {}
                Err(refused) => return Err(refused.into()),
            }
        }
        let query = format!("limit={LOOKED_AT}&archived=true");
        let mut fitting = self.sessions(&query).await?;
        fitting.retain(|session| session.id.as_str().starts_with(&beginning));
        match fitting.len() {
            0 => Err(Failure::Failed(format!(
                "no session's id begins with \"{wanted}\". `baton sessions{}` lists what there is.",
                self.flags
            ))),
            1 => Ok(fitting.remove(0)),
            many => Err(Failure::Failed(ambiguous(wanted, &fitting, many))),
        }
    }

    /// The same session, read again.
    ///
    /// # Errors
    /// When there is no server, or it refuses.
    pub async fn session_again(&self, session: &Session) -> Result<Session, Failure> {
        Ok(self.get(&format!("/session/{}", session.id)).await?)
    }

    /// Aborts what a session does for a prompt; what waits after it continues.
    ///
    /// # Errors
    /// When there is no server, or it refuses.
    pub async fn abort(&self, session: &Session) -> Result<(), Failure> {
        let path = format!("/session/{}/abort?queue=keep", session.id);
        let _done: Value = self.ask(axum::http::Method::POST, &path, None).await?;
        Ok(())
    }
}

fn ambiguous(wanted: &str, fitting: &[Session], many: usize) -> String {
    let named = fitting.iter().take(NAMED);
    let named: Vec<_> = named.map(|session| session.id.as_str()).collect();
    let more = match many > NAMED {
        true => format!(" and {} more", many - NAMED),
        false => String::new(),
    };
    format!(
        "{many} sessions begin with \"{wanted}\": {}{more}. Give more of the id.",
        named.join(", ")
    )
}
