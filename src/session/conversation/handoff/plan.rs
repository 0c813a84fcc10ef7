//! What has to be left out so that a conversation fits. One pass to measure, one to choose: the cost
//! grows with the size of the conversation and with nothing else.

use std::cmp::Ordering;

use super::Entry;
use super::render::{self, Detail, MESSAGES_LEFT_OUT_MAX_BYTES};

/// The newest messages that together fill no more than one part in this many of the room stay whole:
/// what was said last is worth more than old tool results.
const SPARED_SHARE_DIVISOR: usize = 2;

/// What is kept of a conversation.
pub(super) struct Plan {
    /// The oldest message that is kept. If it is the only one, it may still be too large.
    pub first_message: usize,
    /// The place (message, item) of the oldest tool result that is kept; of the older ones only those
    /// too small to be worth a marker are.
    results_from: (usize, usize),
    tool_output_bytes: usize,
}

impl Plan {
    /// How much of the tool calls of the message at `index` is kept.
    pub(super) fn detail(&self, index: usize) -> Detail {
        let (message, item) = self.results_from;
        let results_from_item = match index.cmp(&message) {
            Ordering::Less => usize::MAX,
            Ordering::Equal => item,
            Ordering::Greater => 0,
        };
        Detail {
            tool_output_bytes: self.tool_output_bytes,
            results_from_item,
        }
    }
}

/// Decides what is kept of `entries` in `room` bytes.
pub(super) fn plan(entries: &[Entry], room: usize, tool_output_bytes: usize) -> Plan {
    let mut plan = Plan {
        first_message: 0,
        results_from: (0, 0),
        tool_output_bytes,
    };
    let whole_length = |entry| render::entry_length(entry, plan.detail(0));
    let mut sizes: Vec<usize> = entries.iter().map(whole_length).collect();
    let mut total: usize = sizes.iter().sum();
    if total <= room {
        return plan;
    }

    let room_beside_marker = room - MESSAGES_LEFT_OUT_MAX_BYTES;
    let spared_from = spared_from(&sizes, room, room_beside_marker);
    let savings = savings(&entries[..spared_from], tool_output_bytes);
    let mut left_out = 0;
    while left_out < savings.len() && total > room {
        let saving = &savings[left_out];
        sizes[saving.at.0] -= saving.bytes;
        total -= saving.bytes;
        left_out += 1;
    }

    if total > room {
        while total > room_beside_marker && plan.first_message + 1 < entries.len() {
            total -= sizes[plan.first_message];
            plan.first_message += 1;
        }
        // A large message may have gone last; then there is room again for the newest of the results.
        while let Some(saving) = savings[..left_out].last() {
            let is_kept = saving.at.0 >= plan.first_message;
            if !is_kept || total + saving.bytes > room_beside_marker {
                break;
            }
            total += saving.bytes;
            left_out -= 1;
        }
    }
    plan.results_from = savings
        .get(left_out)
        .map_or((spared_from, 0), |saving| saving.at);
    plan
}

/// The first of the newest messages that stay whole; the number of messages if none does.
fn spared_from(sizes: &[usize], room: usize, room_beside_marker: usize) -> usize {
    let mut from = sizes.len();
    let mut total = 0;
    for size in sizes.iter().rev() {
        let is_newest = from == sizes.len();
        let limit = if is_newest {
            room_beside_marker
        } else {
            room / SPARED_SHARE_DIVISOR
        };
        total += size;
        if total > limit {
            break;
        }
        from -= 1;
    }
    from
}

/// What leaving out one tool result makes room for.
struct Saving {
    /// The place of the result: message, item.
    at: (usize, usize),
    bytes: usize,
}

/// Every tool result that can be left out, oldest first.
fn savings(entries: &[Entry], tool_output_bytes: usize) -> Vec<Saving> {
    let in_entry = |(message, entry): (usize, &Entry)| {
        let saving = |(item, bytes)| Saving {
            at: (message, item),
            bytes,
        };
        render::result_savings(entry, tool_output_bytes)
            .into_iter()
            .map(saving)
            .collect::<Vec<_>>()
    };
    entries.iter().enumerate().flat_map(in_entry).collect()
}
