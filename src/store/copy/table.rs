//! What there is to copy, as neither of the databases has it alone.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::Sum;

/// Rows that are copied at once.
pub(super) const PAGE_ROWS: usize = 1_000;
/// No further row is taken into a page beyond this, in bytes of bodies.
pub(super) const PAGE_BYTES: i64 = 8 * 1024 * 1024;

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Value {
    /// A number, or 0 and 1 for no and yes.
    Integer(i64),
    /// A text, or a body.
    Text(String),
    /// None.
    Null(()),
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Boolean,
    /// A text that is compared.
    Text,
    /// JSON, mostly.
    Body,
}

/// A table, or two that belong together.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Its columns; the first are the key.
    pub(super) columns: &'static [(&'static str, Kind)],
    /// How many are the key.
    pub(super) key: usize,
}

use Kind::{Body, Boolean, Integer, Text};

/// All of it. Processes are those of a machine; they are ended when no server runs.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "session",
        columns: &[
            ("n", Integer),
            ("id", Text),
            ("project", Text),
            ("directory", Text),
            ("path", Text),
            ("parent", Text),
            ("title", Text),
            ("created", Integer),
            ("updated", Integer),
            ("archived", Integer),
            ("restoring", Boolean),
            ("revision", Integer),
            ("body", Body),
        ],
        key: 1,
    },
    Table {
        name: "message",
        columns: &[
            ("session", Text),
            ("seq", Integer),
            ("turn", Integer),
            ("id", Text),
            ("open", Boolean),
            ("body", Body),
        ],
        key: 2,
    },
    Table {
        name: "part",
        columns: &[
            ("session", Text),
            ("message", Text),
            ("place", Integer),
            ("id", Text),
            ("body", Body),
        ],
        key: 3,
    },
    Table {
        name: "growth",
        columns: &[
            ("session", Text),
            ("message", Text),
            ("place", Integer),
            ("at", Integer),
            ("body", Body),
        ],
        key: 4,
    },
    Table {
        name: "binding",
        columns: &[("session", Text), ("backend", Text), ("body", Body)],
        key: 2,
    },
    Table {
        name: "switch",
        columns: &[("session", Text), ("revision", Integer), ("body", Body)],
        key: 2,
    },
    Table {
        name: "handover",
        columns: &[
            ("session", Text),
            ("turn", Integer),
            ("revision", Integer),
            ("body", Body),
        ],
        key: 2,
    },
    Table {
        name: "backend",
        columns: &[("id", Text), ("body", Body)],
        key: 1,
    },
    Table {
        name: "setting",
        columns: &[("name", Text), ("body", Body)],
        key: 1,
    },
    Table {
        name: "project",
        columns: &[("id", Text), ("body", Body)],
        key: 1,
    },
];

impl Table {
    /// The names of its columns that are the key.
    pub(super) fn key(&self) -> Vec<&'static str> {
        let names = self.columns.iter().map(|(name, _)| *name);
        names.take(self.key).collect()
    }
}

/// Some rows of a table, in the order of the key.
pub(super) struct Page {
    pub(super) rows: Vec<Vec<Value>>,
}

impl Page {
    /// The key of the last row.
    pub(super) fn last_key(&self, table: &Table) -> Option<Vec<Value>> {
        let row = self.rows.last()?;
        Some(row.iter().take(table.key).cloned().collect())
    }
}

/// How many rows from the first on go into a page, by the bytes of their bodies: at least one, if there is one.
pub(super) fn rows_in_page(bytes: impl Iterator<Item = i64>) -> usize {
    let mut all = 0;
    let fits = bytes.take_while(|bytes| {
        let first = all == 0;
        all += bytes.max(&1);
        first || all <= PAGE_BYTES
    });
    fits.count()
}

/// Sums up a table, in whatever order its rows come.
#[derive(Default)]
pub(super) struct Digest {
    rows: u64,
    checksum: u64,
}

impl Digest {
    /// Adds a row.
    pub(super) fn add(&mut self, row: &[Value]) {
        // Its keys are always the same.
        let mut hasher = DefaultHasher::new();
        row.hash(&mut hasher);
        self.checksum = self.checksum.wrapping_add(hasher.finish());
        self.rows += 1;
    }

    /// What the table holds.
    pub(super) fn sum(&self) -> Sum {
        Sum {
            rows: self.rows,
            checksum: self.checksum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_one_row_at_least_and_not_too_many_bytes() {
        assert_eq!(rows_in_page([].into_iter()), 0);
        assert_eq!(rows_in_page([PAGE_BYTES * 9, 1].into_iter()), 1);
        assert_eq!(rows_in_page([1, 2, PAGE_BYTES].into_iter()), 2);
        assert_eq!(rows_in_page([0; 50].into_iter()), 50);
    }

    #[test]
    fn a_digest_knows_no_order_and_every_difference() {
        let sum = |rows: &[[i64; 2]]| {
            let mut digest = Digest::default();
            for row in rows {
                digest.add(&row.map(Value::Integer));
            }
            digest.sum()
        };
        assert_eq!(sum(&[[1, 2], [3, 4]]), sum(&[[3, 4], [1, 2]]));
        assert_ne!(sum(&[[1, 2], [3, 4]]), sum(&[[1, 4], [3, 2]]));
        assert_ne!(sum(&[[1, 2]]), sum(&[[1, 2], [1, 2]]));
    }
}
