use proptest::prelude::*;
use rusqlite::params;
use tempfile::TempDir;

use super::search::Effort;
use super::*;
use crate::store::{Keys, SessionKeys};

/// What the writing functions of these tests take for a sign to fail.
const POISON: &str = "poison";

struct Scratch {
    folder: TempDir,
}

impl Scratch {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("baton.sqlite")
    }

    fn writer(&self, write: writer::Write) -> Writer {
        let mut connection = connection::open(&self.path(), Role::Writer).expect("opens");
        migrate::migrate(&mut connection).expect("brought up to date");
        Writer {
            groups: 0,
            connection,
            write,
            presence: Presence::of(&self.path()),
            reserve: Reserve::beside(&self.path()),
            at_rest: None,
        }
    }
}

fn setting(name: &str, body: &str) -> Vec<Change> {
    vec![Change::PutSetting {
        name: name.to_owned(),
        body: body.to_owned(),
    }]
}

fn write(writer: &mut Writer, batches: Vec<Vec<Change>>) -> Vec<Result<(), StoreError>> {
    let job = |batch| Job {
        batch,
        done: oneshot::channel().0,
    };
    writer.write_group(&batches.into_iter().map(job).collect::<Vec<_>>())
}

fn names(writer: &Writer) -> Vec<String> {
    let sql = "SELECT name FROM setting ORDER BY name";
    reads::texts(&writer.connection, sql, &[]).expect("reads")
}

fn is_poison(change: &Change) -> bool {
    matches!(change, Change::PutSetting { name, .. } if name == POISON)
}

#[test]
fn what_deletes_is_given_the_reserve_when_the_disk_is_full() {
    let scratch = Scratch::new();
    let mut writer = scratch.writer(|db, change| {
        let reserve =
            std::path::Path::new(db.path().expect("a file")).with_file_name("baton-reserve");
        if reserve.exists() {
            return Err(StoreError::Full("no room".to_owned()));
        }
        changes::write(db, change)
    });
    let full = write(&mut writer, vec![setting("a", "b")]).remove(0);
    assert!(
        matches!(full, Err(StoreError::Full(place)) if place == scratch.folder.path().display().to_string())
    );
    let id = SessionId::new();
    let delete = || vec![Change::DeleteSession { id: id.clone() }];
    let results = write(&mut writer, vec![setting("a", "b"), delete(), delete()]);
    assert!(
        matches!(results[0], Err(StoreError::Full(_))),
        "{results:?}"
    );
    assert!(results[1].is_ok() && results[2].is_ok(), "{results:?}");
}

/// Writes a group with a poisoned batch in the middle, and looks that it fails alone.
fn only_the_poisoned_batch_fails(write_change: writer::Write) -> StoreError {
    let scratch = Scratch::new();
    let mut writer = scratch.writer(write_change);
    let mut poisoned = setting("with it", "b");
    poisoned.extend(setting(POISON, "b"));
    let group = vec![setting("a", "b"), poisoned.clone(), setting("c", "d")];
    let mut results = write(&mut writer, group);
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    let error = results.swap_remove(1).expect_err("fails");
    assert_eq!(names(&writer), ["a", "c"]);
    // Alone it fails as well, and the next one is none the worse.
    assert!(write(&mut writer, vec![poisoned])[0].is_err());
    assert!(write(&mut writer, vec![setting("e", "f")])[0].is_ok());
    assert_eq!(names(&writer), ["a", "c", "e"]);
    error
}

#[test]
fn a_transaction_that_sqlite_takes_back_fails_only_the_batch_that_did_it() {
    let error = only_the_poisoned_batch_fails(|db, change| {
        changes::write(db, change)?;
        if is_poison(change) {
            // SQLite does of itself with a full disk what it is asked for here.
            db.execute(
                "INSERT OR ROLLBACK INTO setting (name, body) VALUES (?1, '')",
                params![POISON],
            )?;
        }
        Ok(())
    });
    assert!(matches!(error, StoreError::Database(_)));
}

#[test]
fn a_commit_that_fails_is_taken_back_and_fails_only_the_batch_that_did_it() {
    let error = only_the_poisoned_batch_fails(|db, change| {
        changes::write(db, change)?;
        if is_poison(change) {
            // Checked by COMMIT only, which leaves the transaction open when it refuses.
            db.execute_batch(
                "CREATE TABLE above (id INTEGER PRIMARY KEY);
                 CREATE TABLE below (above INTEGER REFERENCES above DEFERRABLE INITIALLY DEFERRED);
                 INSERT INTO below VALUES (1);",
            )?;
        }
        Ok(())
    });
    assert!(matches!(error, StoreError::Database(_)));
}

#[test]
fn a_panic_fails_only_the_batch_that_did_it() {
    let error = only_the_poisoned_batch_fails(|db, change| {
        assert!(!is_poison(change), "a defect");
        changes::write(db, change)
    });
    assert!(matches!(error, StoreError::Database(text) if text.contains("panicked")));
}

#[test]
fn a_batch_for_which_there_is_no_room_fails_alone_until_there_is() {
    const LARGE_BYTES: usize = 1024 * 1024;
    let scratch = Scratch::new();
    let mut writer = scratch.writer(changes::write);
    let pages: u32 = writer
        .connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .expect("read");
    let room = |writer: &Writer, pages: u32| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        writer.connection.execute_batch(&sql).expect("set");
    };
    room(&writer, pages + 10);
    let large = setting("large", &"x".repeat(LARGE_BYTES));
    let group = vec![setting("a", ""), large.clone(), setting("c", "")];
    let results = write(&mut writer, group);
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    assert!(matches!(results[1], Err(StoreError::Full(_))));
    assert_eq!(names(&writer), ["a", "c"]);
    room(&writer, pages + 1_000);
    assert!(write(&mut writer, vec![large])[0].is_ok());
    assert_eq!(names(&writer), ["a", "c", "large"]);
}

#[test]
fn a_group_that_cannot_begin_fails_as_a_whole_and_at_once() {
    let scratch = Scratch::new();
    let mut writer = scratch.writer(changes::write);
    writer
        .connection
        .busy_timeout(std::time::Duration::ZERO)
        .expect("set");
    let other = Connection::open(scratch.path()).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("begins");
    let results = write(&mut writer, vec![setting("a", ""), setting("b", "")]);
    for result in results {
        assert!(matches!(result, Err(StoreError::Unavailable(_))));
    }
    other.execute_batch("ROLLBACK").expect("ends");
    assert!(write(&mut writer, vec![setting("a", "")])[0].is_ok());
}

#[tokio::test]
async fn titles_do_not_wait_for_the_index_for_long() {
    let scratch = Scratch::new();
    let store = SqliteStore::open(&scratch.path()).expect("opens");
    let commit = |title: &str| {
        let keys = SessionKeys {
            title: title.to_owned(),
            ..SessionKeys::default()
        };
        store.commit(vec![Change::PutSession {
            id: SessionId::new(),
            expected: None,
            revision: 1,
            keys: Keys::All(keys),
            body: String::new(),
        }])
    };
    for n in 0..1_000 {
        commit(&format!("title {n}")).await.expect("written");
    }
    store.close();
    let db = Connection::open(scratch.path()).expect("opens");
    let count = |sql: &str| -> u64 { db.query_row(sql, [], |row| row.get(0)).expect("counts") };
    let waiting = count("SELECT count(*) FROM session_retitled");
    let known = count("SELECT count(*) FROM session_title");
    assert_eq!(known + waiting, 1_000);
    assert!(waiting < 300, "{waiting} wait");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Few letters, so that many trigrams are shared, and some that SQLite and Rust take for different things.
    #[test]
    fn the_index_leaves_nothing_out(
        titles in proptest::collection::vec("[aAbİΣς\u{307}\u{0}\u{ffff}\"* -]{0,9}", 1..30),
        needles in proptest::collection::vec("[aAbİΣς\u{307}\u{0}\u{ffff}\"* -]{1,5}", 1..20),
        walk_rows in 0..4_usize,
        candidates in prop::sample::select(vec![0, 3, 1_000]),
        taken_in in 0..30_usize,
        renamed in proptest::collection::vec((any::<prop::sample::Index>(), "[aAbİΣς\u{307}* -]{0,9}"), 0..6),
        again in any::<bool>(),
    ) {
        let scratch = Scratch::new();
        let mut writer = scratch.writer(changes::write);
        let ids: Vec<_> = titles.iter().map(|_| SessionId::new()).collect();
        let put = |at: usize, title: &str, revision: u64| vec![Change::PutSession {
            id: ids[at].clone(),
            expected: (revision > 1).then(|| revision - 1),
            revision,
            keys: Keys::All(SessionKeys { title: title.to_owned(), ..SessionKeys::default() }),
            body: title.to_owned(),
        }];
        let write_all = |writer: &mut Writer, batches: Vec<Vec<Change>>| {
            for result in write(writer, batches) {
                result.expect("written");
            }
        };
        // The index has the first, or the old ones, or all; the rest waits for it.
        let (first, rest): (Vec<_>, Vec<_>) = titles.iter().enumerate().partition(|(at, _)| *at < taken_in);
        write_all(&mut writer, first.into_iter().map(|(at, title)| put(at, title, 1)).collect());
        writer.tidy("", search::take_in);
        write_all(&mut writer, rest.into_iter().map(|(at, title)| put(at, title, 1)).collect());
        let mut titles = titles;
        let mut revisions = vec![1; titles.len()];
        for (which, title) in renamed {
            let at = which.index(titles.len());
            revisions[at] += 1;
            write_all(&mut writer, vec![put(at, &title, revisions[at])]);
            titles[at] = title;
        }
        if again {
            writer.tidy("", search::take_in);
            let sql = "SELECT count(*) FROM session_retitled";
            let left: u64 = writer.connection.query_row(sql, [], |row| row.get(0)).expect("counts");
            prop_assert_eq!(left, 0);
        }
        let effort = Effort { walk_rows, candidates };
        let query = SessionQuery::default();
        for needle in needles {
            let found = search::search(&writer.connection, &query, None, &needle, &effort);
            let contains = |title: &&String| title.to_lowercase().contains(&needle.to_lowercase());
            let expected: Vec<_> = titles.iter().rev().filter(contains).cloned().collect();
            prop_assert_eq!(found.expect("reads"), expected, "{:?}", needle);
        }
    }
}
