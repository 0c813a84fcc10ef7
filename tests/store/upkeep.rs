//! A damaged file is read as far as that goes.

use std::fs;

use baton::opencode::SessionId;
use baton::store::{Change, SessionQuery, upkeep};

use crate::support::{Folder, commit, list, new_session, titled};

/// Sessions in the database.
const SESSIONS: usize = 2_000;
/// Bytes of a page.
const PAGE: usize = 4_096;

#[tokio::test]
async fn a_damaged_page_costs_what_lies_in_it() {
    let folder = Folder::new();
    let store = folder.open();
    let made = (0..SESSIONS).map(|n| new_session(&SessionId::new(), titled(&n.to_string())));
    commit(store.as_ref(), made.collect()).await;
    store.close();
    let page = page_of_bodies(&folder);
    let mut bytes = fs::read(folder.file()).expect("read");
    bytes[page..page + PAGE].fill(0xAA);
    fs::write(folder.file(), bytes).expect("written");

    let judge = |_: &str, _: &str| Ok(());
    assert!(
        !upkeep::inspect(&folder.file(), judge)
            .expect("readable")
            .is_empty()
    );
    let refused = upkeep::copy(&folder.file(), &folder.file().with_extension("copy"));
    assert!(refused.is_err(), "{refused:?}");
    let (findings, kept) = upkeep::repair(&folder.file(), judge).expect("repaired");
    assert!(!findings.is_empty() && kept.exists());
    let again = upkeep::inspect(&folder.file(), judge).expect("readable");
    assert_eq!(again, Vec::new());

    let store = folder.open();
    let left = list(store.as_ref(), SessionQuery::default()).await.len();
    assert!((SESSIONS / 2..SESSIONS).contains(&left), "{left} are left");
    commit(store.as_ref(), vec![Change::DeleteProcess { pid: 1 }]).await;
    store.close();
}

/// Where a leaf in the middle of the table of bodies begins.
fn page_of_bodies(folder: &Folder) -> usize {
    let db = rusqlite::Connection::open(folder.file()).expect("opens");
    let page: usize = db
        .query_row(
            "SELECT pageno FROM dbstat WHERE name = 'session_body' AND pagetype = 'leaf' ORDER BY pageno LIMIT 1 OFFSET 2",
            [],
            |row| row.get(0),
        )
        .expect("dbstat");
    (page - 1) * PAGE
}
