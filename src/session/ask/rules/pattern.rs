//! Patterns of rules: `*` matches any text, `?` one character, as in OpenCode.

/// Stands in a shape for any text: what an expansion or a glob comes to is known only when it runs.
pub(super) const ANY: char = '\u{E000}';
/// Stands in a shape for one unknown character.
pub(super) const ONE: char = '\u{E001}';
/// The most steps that a comparison with an unknown text may take; beyond them it counts as possible.
const STEPS: usize = 100_000;

/// Whether a pattern matches a text. A pattern that ends with ` *` also matches with nothing after it.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    glob(pattern, text) || pattern.strip_suffix(" *").is_some_and(|p| glob(p, text))
}

/// Whether a pattern matches a text that may have unknown pieces ([`ANY`], [`ONE`]), whatever they turn out to be.
pub(super) fn could_match(pattern: &str, shape: &str) -> bool {
    if !shape.contains([ANY, ONE]) {
        return matches(pattern, shape);
    }
    overlap(pattern, shape)
        || pattern
            .strip_suffix(" *")
            .is_some_and(|p| overlap(p, shape))
}

/// What a pattern spells out before its first wildcard.
pub(super) fn literal_prefix(pattern: &str) -> &str {
    &pattern[..pattern.find(['*', '?']).unwrap_or(pattern.len())]
}

/// Greedy: after a star, only the last one needs to be tried again.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut again = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                again = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star, from)) = again else {
                    return false;
                };
                again = Some((star, from + 1));
                p = star + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether some text fits both: a row of the table says which beginnings of the shape fit the pattern so far.
fn overlap(pattern: &str, shape: &str) -> bool {
    let shape: Vec<char> = shape.chars().collect();
    if pattern.len().saturating_mul(shape.len()) > STEPS {
        return true;
    }
    let open = |row: &mut Vec<bool>| {
        for i in 0..shape.len() {
            row[i + 1] |= row[i] && shape[i] == ANY;
        }
    };
    let mut row = vec![false; shape.len() + 1];
    row[0] = true;
    open(&mut row);
    for c in pattern.chars() {
        let mut next = vec![false; shape.len() + 1];
        for i in 0..=shape.len() {
            if c == '*' {
                next[i] = row[i] || (i > 0 && next[i - 1]);
                continue;
            }
            // An unknown text may swallow the character and continue.
            next[i] |= i < shape.len() && row[i] && shape[i] == ANY;
            if i > 0 && row[i - 1] {
                let s = shape[i - 1];
                next[i] |= s == c || c == '?' || s == ONE || s == ANY;
            }
        }
        open(&mut next);
        row = next;
    }
    row[shape.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_any_text() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("git *", "git push", true),
            ("git *", "git", false),
            ("*.rs", "src/a.rs", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("ab*ba", "aba", false),
            ("plain", "plain", true),
            ("plain", "plainer", false),
            ("r?", "rm", true),
            ("r?", "r", false),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
        assert!(matches("git *", "git"));
    }

    #[test]
    fn an_unknown_text_could_be_anything() {
        let shape = |text: &str| {
            text.replace('~', &ANY.to_string())
                .replace('!', &ONE.to_string())
        };
        for (pattern, text, expected) in [
            ("rm *", "~ x", true),
            ("rm *", "r! x", true),
            ("rm *", "r~m x", true),
            ("rm *", "g~ x", false),
            ("rm -rf *", "rm ~ x", true),
            ("rm", "~", true),
            ("rm", "~s", false),
            ("*", "~", true),
            ("a*c", "~b", false),
        ] {
            assert_eq!(
                could_match(pattern, &shape(text)),
                expected,
                "{pattern} {text}"
            );
        }
    }
}
