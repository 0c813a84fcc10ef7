//! Where a conversation is cut: what a revert takes out of it, until it is brought back or gone for good.
//!
//! Pure. Messages are ordered by turn, and within one by arrival: an answer belongs to its prompt, also
//! when other prompts came in before it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::transcript::Stored;
use crate::opencode::message::{Message, Part};
use crate::opencode::session::{FileDiff, Revert, SessionSummary};
use crate::opencode::{MessageId, PartId};

/// Where the conversation of a session is cut, and what its working directory was like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Past {
    /// Where the conversation ends while the session is reverted.
    pub cut: Option<Cut>,
    /// The state that reverting has left the working directory in.
    pub reverted_tree: Option<String>,
    /// The working directory before the first turn of which that is known: turn and state.
    pub first: Option<(u64, String)>,
    /// The working directory after the last turn of which that is known.
    pub last: Option<String>,
    /// What is being done to the working directory, so that it is done after a crash, too.
    pub restoring: Option<Move>,
}

/// From one state of a working directory to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Move {
    /// The state before.
    pub from: String,
    /// The state after.
    pub to: String,
}

/// A place between two messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Cut {
    /// The turn of the first message that is out.
    pub turn: u64,
    /// Its place in the session.
    pub seq: u64,
}

impl Cut {
    /// Whether a message stays.
    pub(crate) fn keeps(&self, turn: u64, seq: u64) -> bool {
        (turn, seq) < (self.turn, self.seq)
    }
}

/// Files that one answer has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patch {
    /// The state of the working directory before.
    pub tree: String,
    /// The files, as absolute paths.
    pub files: Vec<String>,
}

/// What a revert does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// As clients see it, without snapshot and diff.
    pub revert: Revert,
    /// Where the conversation is cut.
    pub cut: Cut,
    /// What to undo in the working directory, the oldest first.
    pub patches: Vec<Patch>,
    /// The states of the working directory before and after what is taken out.
    pub range: Option<Move>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There is no such message.
    Message,
    /// The message has no such part.
    Part,
}

/// What it means to revert to a message, or to a part of it: the message goes with its whole turn, a part
/// with everything after it. A part before which nothing was said or done means the whole turn.
///
/// # Errors
/// When there is no such message or part.
pub(crate) fn plan(
    mut messages: Vec<Stored>,
    message: &MessageId,
    part: Option<&PartId>,
) -> Result<Plan, Missing> {
    messages.sort_by_key(|m| (m.turn, m.seq));
    let at = messages
        .iter()
        .position(|m| m.message.info.id() == message)
        .ok_or(Missing::Message)?;
    let target = &messages[at];
    let part_at = match part {
        None => None,
        Some(part) => {
            let parts = &target.message.parts;
            let found = parts.iter().position(|p| p.id() == part);
            Some(found.ok_or(Missing::Part)?).filter(|at| parts[..*at].iter().any(says_or_does))
        }
    };
    let (revert_to, cut, first_out, first_part) = match part_at {
        Some(part_at) => {
            let (turn, seq) = (target.turn, target.seq + 1);
            (at, Cut { turn, seq }, at, part_at)
        }
        None => {
            let prompt = messages[..=at]
                .iter()
                .rposition(|m| m.turn == target.turn && matches!(m.message.info, Message::User(_)));
            let first = prompt.unwrap_or(at);
            let (turn, seq) = (messages[first].turn, messages[first].seq);
            (first, Cut { turn, seq }, first, 0)
        }
    };
    let out = messages[first_out..].iter().enumerate();
    let parts: Vec<&Part> = out
        .flat_map(|(index, m)| &m.message.parts[if index == 0 { first_part } else { 0 }..])
        .collect();
    let patches = parts.iter().filter_map(|part| match part {
        Part::Patch(patch) => Some(Patch {
            tree: patch.hash.clone(),
            files: patch.files.clone(),
        }),
        _ => None,
    });
    Ok(Plan {
        revert: Revert {
            message_id: messages[revert_to].message.info.id().clone(),
            part_id: part_at.and(part).cloned(),
            snapshot: None,
            diff: None,
        },
        cut,
        patches: patches.collect(),
        range: range(messages[first_out..].iter()),
    })
}

fn says_or_does(part: &Part) -> bool {
    matches!(part, Part::Text(_) | Part::Tool(_))
}

/// The states of the working directory before and after some messages.
pub(crate) fn range<'a>(messages: impl Iterator<Item = &'a Stored>) -> Option<Move> {
    let parts: Vec<&Part> = messages.flat_map(|m| &m.message.parts).collect();
    let from = parts.iter().find_map(|part| match part {
        Part::StepStart(step) => step.snapshot.clone(),
        _ => None,
    })?;
    let to = parts.iter().rev().find_map(|part| match part {
        Part::StepFinish(step) => step.snapshot.clone(),
        _ => None,
    })?;
    Some(Move { from, to })
}

/// The messages that are part of the conversation while it is cut.
pub(crate) fn remaining(
    messages: Vec<Stored>,
    cut: Option<&Cut>,
    revert: Option<&Revert>,
) -> Vec<Stored> {
    let (Some(cut), Some(revert)) = (cut, revert) else {
        return messages;
    };
    let kept = messages.into_iter().filter(|m| cut.keeps(m.turn, m.seq));
    let whole = |mut stored: Stored| {
        if *stored.message.info.id() == revert.message_id
            && let Some(first_out) = parts_out(&stored, revert)
        {
            stored.message.parts.truncate(first_out);
        }
        stored
    };
    kept.map(whole).collect()
}

/// The first part that is out, of a message that is reverted in part.
pub(crate) fn parts_out(stored: &Stored, revert: &Revert) -> Option<usize> {
    let part = revert.part_id.as_ref()?;
    let mut parts = stored.message.parts.iter();
    parts.position(|p| p.id() == part)
}

/// The sum of some changes.
pub(crate) fn summary(diffs: &[FileDiff]) -> SessionSummary {
    SessionSummary {
        additions: diffs.iter().map(|d| d.additions).sum(),
        deletions: diffs.iter().map(|d| d.deletions).sum(),
        files: diffs.len() as u64,
    }
}

/// The backends that were given a message, or have made it.
pub(crate) fn backends<'a>(messages: impl Iterator<Item = &'a Message>) -> BTreeSet<&'a str> {
    messages
        .map(|message| match message {
            Message::User(m) => m.model.provider_id.as_str(),
            Message::Assistant(m) => m.provider_id.as_str(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
