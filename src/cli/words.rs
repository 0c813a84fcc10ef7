//! Figures, times and selections as people write them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::opencode::event::{Source, Transfer, TransferKind};
use crate::opencode::history::ModelSwitch;
use crate::opencode::session::{ModelRef, Tokens};
use crate::opencode::{Selection, Session, now_ms};

const KB: u64 = 1_000;
const MB: u64 = 1_000_000;

/// `provider/model (variant)`.
pub(super) fn selection(selection: &Selection) -> String {
    model(
        &selection.provider_id,
        &selection.model_id,
        selection.variant.as_deref(),
    )
}

/// The same with its agent, where that is not the usual one.
pub(super) fn selection_and_agent(selected: &Selection) -> String {
    match selected.agent.as_str() {
        crate::registry::BUILD => selection(selected),
        agent => format!("{}, agent {agent}", selection(selected)),
    }
}

/// The same of what a session shows.
pub(super) fn model_ref(shown: &ModelRef) -> String {
    model(&shown.provider_id, &shown.id, shown.variant.as_deref())
}

/// `provider/model (variant)`.
pub(super) fn model(provider: &str, id: &str, variant: Option<&str>) -> String {
    match variant {
        Some(variant) => format!("{provider}/{id} ({variant})"),
        None => format!("{provider}/{id}"),
    }
}

/// Who goes on when the selected model cannot answer.
pub(super) fn chain(session: &Session) -> String {
    let Some(chain) = &session.fallback else {
        return "falls back as the server's own chain says".to_owned();
    };
    let chain = chain.iter();
    let chain = chain.map(|m| model(&m.provider_id, &m.model_id, m.variant.as_deref()));
    let chain: Vec<_> = chain.collect();
    match chain.is_empty() {
        true => "nobody goes on for a model that cannot answer".to_owned(),
        false => format!("falls back to {}", chain.join(", ")),
    }
}

/// What a session has spent, of what it may spend.
pub(super) fn spent(session: &Session) -> String {
    let of = |spent: String, most: Option<String>| match most {
        Some(most) => format!("{spent} of {most}"),
        None => spent,
    };
    let limit = session.limit.unwrap_or_default();
    let cost = of(cost(session.cost), limit.cost.map(cost));
    let tokens = of(tokens(&session.tokens), limit.tokens.map(grouped));
    let is_limited = limit.cost.is_some() || limit.tokens.is_some();
    let how = match session.limit {
        None => ", the server's own limit",
        Some(_) if !is_limited => ", no limit",
        Some(_) if limit.hard => ", an answer is stopped there",
        Some(_) => "",
    };
    format!("spent {cost}, {tokens}{how}")
}

/// What a session is doing.
pub(super) fn state(session: &Session) -> String {
    use crate::opencode::session::{PendingReason, RuntimeStatus};
    let status = match session.runtime.status {
        RuntimeStatus::Idle => "idle",
        RuntimeStatus::Busy => "busy",
        RuntimeStatus::Switching => "switching",
    };
    match session.runtime.pending.as_ref().map(|it| it.reason) {
        Some(PendingReason::Turn) => format!("{status}, then switches"),
        Some(PendingReason::Store) => "cannot be stored".to_owned(),
        Some(PendingReason::Starting) | None if is_silent(session) => format!("{status}, silent"),
        Some(PendingReason::Starting) | None => status.to_owned(),
    }
}

fn is_silent(session: &Session) -> bool {
    let turn = session.runtime.turn.as_ref();
    turn.is_some_and(|turn| turn.silent_since.is_some())
}

/// US dollars.
pub(super) fn cost(dollars: f64) -> String {
    match dollars {
        0.0 => "$0".to_owned(),
        small if small.abs() < 0.01 => format!("${small:.4}"),
        other => format!("${other:.2}"),
    }
}

/// Tokens in all.
pub(super) fn tokens(tokens: &Tokens) -> String {
    format!("{} tokens", grouped(tokens.spent()))
}

/// `12,345`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes, in the unit that fits.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        small if small < KB => format!("{small} B"),
        some if some < MB => format!("{:.1} KB", some as f64 / KB as f64),
        many => format!("{:.1} MB", many as f64 / MB as f64),
    }
}

/// Milliseconds, in the unit that fits.
pub(super) fn millis(ms: u64) -> String {
    match ms {
        short if short < 1_000 => format!("{short} ms"),
        long => format!("{:.1} s", Duration::from_millis(long).as_secs_f64()),
    }
}

/// How long ago something was.
pub(super) fn ago(at_ms: u64) -> String {
    let seconds = now_ms().saturating_sub(at_ms) / 1_000;
    match seconds {
        0..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// A moment as the clock on the wall shows it.
pub(super) fn clock(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok();
    let at = at.and_then(|at| Timestamp::from_millisecond(at).ok());
    at.map_or_else(String::new, |at| {
        let local = at.to_zoned(TimeZone::system());
        local.strftime("%Y-%m-%d %H:%M:%S").to_string()
    })
}

/// Who has changed a selection.
pub(super) fn by_whom(switch: &ModelSwitch) -> String {
    let way = match switch.source {
        Source::Create => "when the session was made",
        Source::Patch => "by a PATCH",
        Source::Message => "by a message",
        Source::Init => "by /init",
        Source::Command => "by a slash command",
        Source::Fork => "with the fork",
        Source::Agent => "by the agent itself",
        Source::Revert => "by Baton, as the last one that works",
        Source::Fallback => "by Baton, from the chain",
    };
    match &switch.client {
        Some(client) => format!("{way} of {client}"),
        None => way.to_owned(),
    }
}

/// How the conversation reaches an agent.
pub(super) fn transfer(transfer: &Transfer) -> String {
    let how = match transfer.kind {
        TransferKind::None if transfer.elided > 0 => {
            return "nothing of the conversation goes over".to_owned();
        }
        TransferKind::None => return "nothing to hand over yet".to_owned(),
        TransferKind::Native => return "in its live session".to_owned(),
        TransferKind::Resume => return "its session was resumed".to_owned(),
        TransferKind::Load => return "its session was loaded".to_owned(),
        TransferKind::CatchUp => "what it missed goes with the next prompt",
        TransferKind::Transcript => "the conversation goes with the next prompt",
        TransferKind::Summary if transfer.bytes == 0 => {
            return "a summary is written before the next prompt".to_owned();
        }
        TransferKind::Summary => "a summary goes with the prompt",
    };
    let messages = match transfer.messages {
        1 => "1 message".to_owned(),
        many => format!("{} messages", grouped(many)),
    };
    let left_out = match transfer.elided {
        0 => String::new(),
        some => format!(", {} left out or shortened", grouped(some)),
    };
    format!("{how}: {messages}, {}{left_out}", bytes(transfer.bytes))
}

/// What came of a switch, in one line.
pub(super) fn switch(switch: &ModelSwitch) -> String {
    let current = selection_and_agent(&switch.current);
    let change = match &switch.previous {
        Some(previous) if *previous == switch.current => match switch.pinned {
            true => format!("{current} pinned"),
            false => format!("{current} no longer pinned"),
        },
        Some(previous) => format!("{} → {current}", selection_and_agent(previous)),
        None => format!("→ {current}"),
    };
    let took = switch.duration_ms.map(millis);
    let came = match (&switch.failure, &switch.transfer) {
        (Some(failure), _) => Some(format!("failed: {}", failure.message())),
        (None, Some(how)) => Some(transfer(how)),
        (None, None) => None,
    };
    let why = switch.reason.as_ref();
    let why = why.map(|why| format!("{}: {}", why.cause.in_words(), why.message));
    let told = [Some(change), why, came, took];
    told.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(
            [cost(0.0), cost(0.00123), cost(1.5)],
            ["$0", "$0.0012", "$1.50"]
        );
        assert_eq!([grouped(7), grouped(1_234_567)], ["7", "1,234,567"]);
        assert_eq!(
            [bytes(999), bytes(1_500), bytes(2_000_000)],
            ["999 B", "1.5 KB", "2.0 MB"]
        );
        assert_eq!([millis(999), millis(1_250)], ["999 ms", "1.2 s"]);
        assert_eq!(ago(now_ms()), "just now");
        assert_eq!(ago(now_ms() - 7_200_000), "2 h ago");
    }

    #[test]
    fn tokens_are_all_that_were_spent() {
        let mut spent = Tokens::default();
        (spent.input, spent.output, spent.cache.read) = (1_000, 200, 34);
        assert_eq!(tokens(&spent), "1,234 tokens");
        spent.total = Some(7);
        assert_eq!(tokens(&spent), "7 tokens");
    }

    #[test]
    fn a_handover_says_what_goes_over() {
        let mut how = Transfer {
            kind: TransferKind::Native,
            messages: 0,
            bytes: 0,
            elided: 0,
        };
        assert_eq!(transfer(&how), "in its live session");
        how.kind = TransferKind::Summary;
        assert_eq!(
            transfer(&how),
            "a summary is written before the next prompt"
        );
        (how.kind, how.messages, how.bytes, how.elided) = (TransferKind::CatchUp, 1, 1_200, 2);
        assert_eq!(
            transfer(&how),
            "what it missed goes with the next prompt: 1 message, 1.2 KB, 2 left out or shortened"
        );
    }
}
