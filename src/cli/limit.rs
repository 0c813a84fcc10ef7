//! `baton limit`: what a session has spent, and what it may spend.

use axum::http::Method;
use clap::Args;
use serde_json::{Value, json};

use super::failure::Failure;
use super::server::{Server, ServerArgs, SessionArgs};
use super::terminal::{Terminal, one_line};
use super::{show, words};
use crate::opencode::history::{ModelHistory, ModelUsage};
use crate::opencode::spending::SpendingLimit;
use crate::session::uncounted;

/// What `baton limit` takes.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Which session.
    #[command(flatten)]
    pub session: SessionArgs,

    /// The most that it may cost, in US dollars; with neither this nor --tokens, what was spent is shown
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub cost: Option<f64>,

    /// The most tokens that it may use
    #[arg(long, value_name = "N")]
    pub tokens: Option<u64>,

    /// Stop an answer that goes beyond it; it is finished otherwise
    #[arg(long)]
    pub hard: bool,

    /// No limit
    #[arg(long, conflicts_with_all = ["cost", "tokens", "hard"])]
    pub none: bool,

    /// The server's own limit, of `[spending]` in its config file
    #[arg(long, conflicts_with_all = ["cost", "tokens", "hard", "none"])]
    pub default: bool,

    /// Print JSON: what was spent by model, the limit, and who does not count
    #[arg(long)]
    pub json: bool,

    /// Of which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// An amount of money.
fn dollars(text: &str) -> Result<f64, String> {
    let amount = text.strip_prefix('$').unwrap_or(text).parse().ok();
    let amount = amount.filter(|amount: &f64| amount.is_finite() && *amount >= 0.0);
    amount.ok_or_else(|| "expected dollars, as in 2.50".to_owned())
}

/// Shows what was spent, or sets the limit and shows it.
///
/// # Errors
/// When it is refused, or stdout cannot be written.
pub async fn run(args: &LimitArgs, server: &Server, terminal: Terminal) -> Result<(), Failure> {
    let mut session = server.session(&args.session.session).await?;
    let path = format!("/session/{}", session.id);
    if let Some(limit) = wish(args)? {
        let body = json!({ "limit": limit });
        session = server.ask(Method::PATCH, &path, Some(body)).await?;
    }
    let history: ModelHistory = server.get(&format!("{path}/model")).await?;
    let uncounted = uncounted(&history.usage, &session.limit.unwrap_or(BOTH));
    if args.json {
        let all = json!({
            "limit": session.limit,
            "spent": { "cost": session.cost, "tokens": session.tokens.spent() },
            "usage": history.usage,
            "uncounted": uncounted,
        });
        let json = serde_json::to_string_pretty(&all).map_err(Failure::of)?;
        return Ok(terminal.line(&json)?);
    }
    terminal.line(&words::spent(&session))?;
    for backend in uncounted {
        terminal.line(&one_line(&silent(&backend, &history.usage)))?;
    }
    show::usage(&history.usage, terminal)
}

/// Counts all that can be counted: who would not count with any limit.
const BOTH: SpendingLimit = SpendingLimit {
    cost: Some(0.0),
    tokens: Some(0),
    hard: false,
};

/// The limit as a PATCH has it; none where nothing was said of it.
fn wish(args: &LimitArgs) -> Result<Option<Value>, Failure> {
    let limit = SpendingLimit {
        cost: args.cost,
        tokens: args.tokens,
        hard: args.hard,
    };
    match limit.cost.is_some() || limit.tokens.is_some() {
        true => Ok(Some(json!(limit))),
        false if args.none => Ok(Some(json!({}))),
        false if args.default => Ok(Some(Value::Null)),
        false if args.hard => Err(Failure::Usage(
            "--hard needs a limit: give --cost, --tokens or both.".to_owned(),
        )),
        false => Ok(None),
    }
}

/// Of a backend that does not count: why.
fn silent(backend: &str, usage: &[ModelUsage]) -> String {
    let of = || usage.iter().filter(|used| used.provider_id == backend);
    let cost = of().all(|used| used.cost == 0.0).then_some("no cost");
    let tokens = of()
        .all(|used| used.tokens.spent() == 0)
        .then_some("no tokens");
    let missing: Vec<_> = cost.into_iter().chain(tokens).collect();
    let missing = missing.join(" and ");
    format!("{backend} has reported {missing}: what it used does not count")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_an_amount() {
        for (text, amount) in [("2.5", 2.5), ("$3", 3.0), ("0", 0.0)] {
            assert_eq!(dollars(text), Ok(amount));
        }
        for wrong in ["", "-1", "inf", "NaN", "two", "$"] {
            assert!(dollars(wrong).is_err(), "{wrong}");
        }
    }
}
