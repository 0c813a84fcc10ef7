//! `/auth/{providerID}`: refused, since Baton keeps no credentials.

pub mod remove;
pub mod set;

use super::error::{BadKind, Problem};

/// The refusal. It names the remedy, since a UI shows it to somebody who wants to sign in.
fn refusal(provider: &str) -> Problem {
    let message = format!(
        "Baton keeps no credentials: every agent signs in by itself. Sign in to or out of \"{provider}\" with its own \
         command; `baton agents` says which one that is.\n  at [\"providerID\"]"
    );
    Problem::bad(BadKind::Params, message)
}
