//! Whether what clients were answered about one session could have come from one place, one thing after the other.
//!
//! Each change of a session has a revision of its own, and each answer tells one. So the order is known, and what is left to look at
//! is short: no revision is given twice; whoever asks after an answer came sees that revision or a later one; and what is read at
//! a revision is what was written there, or by the last one before it that has changed it.

use std::collections::BTreeMap;

/// One request and its answer.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// When it was sent and when the answer had come, by one clock.
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    /// The title that it has written; none for one that only reads.
    pub(crate) wrote: Option<String>,
    /// The title that was answered.
    pub(crate) saw: String,
    /// The revision that was answered.
    pub(crate) revision: u64,
}

/// Titles of which it is not known whether they were written: their request has failed without an answer.
pub(crate) type Doubtful = Vec<String>;

/// What is wrong with a history of one session; nothing if nothing is.
pub(crate) fn wrong(operations: &[Operation], doubtful: &Doubtful) -> Option<String> {
    let mut writes: BTreeMap<u64, &Operation> = BTreeMap::new();
    for operation in operations.iter().filter(|it| it.wrote.is_some()) {
        if operation.wrote.as_ref() != Some(&operation.saw) {
            return Some(format!("a write has answered another title: {operation:?}"));
        }
        if let Some(other) = writes.insert(operation.revision, operation) {
            return Some(format!(
                "a revision was given twice: {other:?} {operation:?}"
            ));
        }
    }
    // In the order of their answers; each that was sent later has to see at least as much.
    let mut by_answer: Vec<&Operation> = operations.iter().collect();
    by_answer.sort_by_key(|it| it.answered);
    let mut by_sending = by_answer.clone();
    by_sending.sort_by_key(|it| it.sent);
    let (mut done, mut latest) = (by_answer.iter().peekable(), None::<&Operation>);
    for operation in by_sending {
        while let Some(before) = done.next_if(|it| it.answered < operation.sent) {
            if latest.is_none_or(|latest| latest.revision < before.revision) {
                latest = Some(before);
            }
        }
        let is_older = |latest: &&Operation| match operation.wrote {
            Some(_) => operation.revision <= latest.revision,
            None => operation.revision < latest.revision,
        };
        if let Some(latest) = latest.filter(is_older) {
            return Some(format!(
                "{operation:?} does not see {latest:?}, which was answered before it was sent"
            ));
        }
    }
    for operation in operations {
        let (_, last) = writes.range(..=operation.revision).next_back()?;
        if last.saw != operation.saw && !doubtful.contains(&operation.saw) {
            return Some(format!("{operation:?} sees what was not written: {last:?}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(sent: u64, answered: u64, title: &str, revision: u64) -> Operation {
        Operation {
            wrote: Some(title.into()),
            ..read(sent, answered, title, revision)
        }
    }

    fn read(sent: u64, answered: u64, title: &str, revision: u64) -> Operation {
        Operation {
            sent,
            answered,
            wrote: None,
            saw: title.into(),
            revision,
        }
    }

    #[test]
    fn what_cannot_have_happened_is_found() {
        let good = [
            write(0, 10, "a", 1),
            write(5, 20, "b", 2),
            read(12, 14, "a", 1),
            read(12, 14, "b", 2),
            read(21, 22, "b", 3),
        ];
        assert_eq!(wrong(&good, &vec![]), None);
        let with = |more: Operation| [good.to_vec(), vec![more]].concat();
        for (more, why) in [
            (write(30, 31, "c", 2), "twice"),
            (read(23, 24, "a", 1), "does not see"),
            (write(30, 31, "c", 3), "does not see"),
            (read(23, 24, "a", 3), "not written"),
        ] {
            let found = wrong(&with(more), &vec![]).expect("wrong");
            assert!(found.contains(why), "{found}");
        }
        assert_eq!(
            wrong(&with(read(23, 24, "x", 3)), &vec!["x".to_owned()]),
            None
        );
    }
}
