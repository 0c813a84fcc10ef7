//! What a command prints, bounded: the beginning and the end are kept.

use std::collections::VecDeque;

use parking_lot::{Mutex, MutexGuard};

/// What is shown while a command runs is at most this much of the end of its output, in bytes. It is sent
/// whole with every change.
pub const PREVIEW_BYTES: usize = 16 * 1024;

/// What a command has printed so far. Shared between the reader and what shows it.
#[derive(Debug)]
pub struct Output {
    kept: Mutex<Kept>,
    half_bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out_bytes: u64,
    total_bytes: u64,
}

impl Output {
    /// An output of which `bytes` are kept.
    pub fn new(bytes: usize) -> Self {
        Self {
            kept: Mutex::default(),
            half_bytes: (bytes / 2).max(1),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock()
    }

    /// Takes in what was printed next.
    pub fn push(&self, bytes: &[u8]) {
        let mut kept = self.kept();
        kept.total_bytes += bytes.len() as u64;
        let room = self.half_bytes - kept.head.len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        kept.head.extend_from_slice(head);
        kept.tail.extend(rest);
        let surplus = kept.tail.len().saturating_sub(self.half_bytes);
        kept.tail.drain(..surplus);
        kept.left_out_bytes += surplus as u64;
    }

    /// How much was printed so far, in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.kept().total_bytes
    }

    /// The end of it, for somebody who watches.
    pub fn preview(&self) -> String {
        let kept = self.kept();
        let from_tail = kept.tail.len().min(PREVIEW_BYTES);
        let from_head = if kept.left_out_bytes > 0 {
            0
        } else {
            kept.head.len().min(PREVIEW_BYTES - from_tail)
        };
        let head = kept.head.iter().skip(kept.head.len() - from_head);
        let mut bytes: Vec<u8> = head.copied().collect();
        bytes.extend(kept.tail.iter().skip(kept.tail.len() - from_tail));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// All of it that was kept; a line says how much is missing in the middle.
    pub fn text(&self) -> String {
        let kept = self.kept();
        let tail: Vec<u8> = kept.tail.iter().copied().collect();
        if kept.left_out_bytes == 0 {
            // One piece, so that a character across the two halves stays whole.
            let all = [kept.head.as_slice(), tail.as_slice()].concat();
            return String::from_utf8_lossy(&all).into_owned();
        }
        format!(
            "{}\n[{} bytes left out]\n{}",
            String::from_utf8_lossy(&kept.head),
            kept.left_out_bytes,
            String::from_utf8_lossy(&tail)
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_middle_is_left_out_and_counted() {
        let output = Output::new(8);
        for piece in ["ab", "cdef", "ghij", "kl"] {
            output.push(piece.as_bytes());
        }
        assert_eq!(output.text(), "abcd\n[4 bytes left out]\nijkl");
        assert_eq!(output.preview(), "ijkl");
        assert_eq!(output.total_bytes(), 12);
    }

    #[test]
    fn a_character_across_the_halves_stays_whole() {
        let output = Output::new(4);
        output.push("aäb".as_bytes());
        assert_eq!(output.text(), "aäb");
    }

    proptest! {
        #[test]
        fn what_fits_is_kept_word_for_word(text in "\\PC{0,60}", cut in 0usize..60) {
            let output = Output::new(1_000);
            let cut = cut.min(text.len());
            output.push(&text.as_bytes()[..cut]);
            output.push(&text.as_bytes()[cut..]);
            prop_assert_eq!(output.text(), text.clone());
            prop_assert_eq!(output.preview(), text);
        }

        #[test]
        fn no_more_than_the_bound_is_kept(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20), bound in 0usize..64) {
            let output = Output::new(bound);
            for piece in &pieces {
                output.push(piece);
            }
            let kept = output.kept();
            prop_assert!(kept.head.len() + kept.tail.len() <= bound.max(2));
            let all: usize = pieces.iter().map(Vec::len).sum();
            prop_assert_eq!(kept.head.len() + kept.tail.len() + kept.left_out_bytes as usize, all);
        }
    }
}
