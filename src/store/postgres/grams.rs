//! What of a title is indexed: its trigrams, pairs and single characters, each as one number. So an index of PostgreSQL's own
//! (GIN over numbers) says which titles can contain a text of any length; pg_trgm, which not every role may install,
//! knows none of less than three characters.

/// Characters of the longest gram.
const GRAM_CHARS: usize = 3;
/// Bits that a character takes in the number of its gram.
const CHAR_BITS: u32 = 21;
/// Grams that a search for a long text asks for: some are enough to leave few candidates.
const WANTED_AT_MOST: usize = 16;

/// The number of some characters. Shorter ones are told from longer ones by their leading zeros, and are the same as those
/// only where a title has U+0000 in it: what is found is compared once more.
fn number(chars: &[char]) -> i64 {
    let join = |number: i64, c: &char| (number << CHAR_BITS) | i64::from(u32::from(*c));
    chars.iter().fold(0, join)
}

/// All grams of a title.
pub(super) fn of_title(title: &str) -> Vec<i64> {
    let chars: Vec<char> = title.to_lowercase().chars().collect();
    let lengths = 1..=GRAM_CHARS;
    let mut grams: Vec<i64> = lengths
        .flat_map(|length| chars.windows(length).map(number))
        .collect();
    grams.sort_unstable();
    grams.dedup();
    grams
}

/// Grams that every title has which contains this text; it is in lower case.
pub(super) fn of_needle(lower: &str) -> Vec<i64> {
    let chars: Vec<char> = lower.chars().collect();
    let windows = chars.windows(chars.len().clamp(1, GRAM_CHARS));
    let step = windows.len().div_ceil(WANTED_AT_MOST).max(1);
    windows.step_by(step).map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_has_the_grams_of_all_that_it_contains() {
        let title = "Ein Ärger 🦀\u{10ffff}\0x";
        let (grams, lower) = (of_title(title), title.to_lowercase());
        let places: Vec<usize> = lower.char_indices().map(|(at, _)| at).collect();
        for start in &places {
            for end in places.iter().filter(|end| *end > start) {
                let wanted = of_needle(&lower[*start..*end]);
                assert!(!wanted.is_empty());
                assert!(wanted.iter().all(|gram| grams.contains(gram)));
            }
        }
        assert!(of_needle("xyz").iter().all(|gram| !grams.contains(gram)));
        assert!(of_title("").is_empty());
    }
}
