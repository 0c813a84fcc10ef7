//! Commits: all or nothing, in order, and never over a newer revision.

use baton::opencode::{MessageId, PartId, SessionId};
use baton::store::{
    Change, HANDOVERS_KEPT, MessageRange, ProcessRow, SessionKeys, SessionQuery, Store, StoreError,
};

use crate::support::{
    Folder, commit, key, list, new_session, on_each_store, put_message, put_session, save_part,
    titled,
};

on_each_store!(
    a_batch_is_written_whole_or_not_at_all,
    a_stale_revision_is_refused_alone,
    batches_are_committed_in_the_order_of_the_calls,
    an_answer_that_is_not_awaited_is_written,
    a_deleted_session_takes_everything_along,
    keys_can_change_after_the_session_was_made,
    bindings_and_switches_are_kept,
    the_newest_handovers_are_kept_until_what_they_quote_is_gone,
    settings_backends_projects_and_processes_are_kept,
    large_and_odd_bodies_come_back_as_they_were,
);

async fn revision(store: &dyn Store, id: &SessionId) -> Option<u64> {
    let row = store.session(id).await.expect("reads");
    row.map(|row| row.revision)
}

async fn a_batch_is_written_whole_or_not_at_all(store: &dyn Store) {
    let (there, new) = (SessionId::new(), SessionId::new());
    commit(store, vec![new_session(&there, titled("old"))]).await;
    let message = key(1, 1);
    let batch = vec![
        new_session(&new, titled("new")),
        put_message(&there, &message, "m"),
        put_session(&there, Some(1), 2, titled("changed")),
        put_session(&there, Some(1), 3, titled("stale")),
    ];
    let refused = store.commit(batch).await;
    assert!(matches!(refused, Err(StoreError::Conflict(id)) if id == there));
    assert_eq!(revision(store, &new).await, None);
    assert_eq!(revision(store, &there).await, Some(1));
    let none = store.message(&there, &message.id).await.expect("reads");
    assert_eq!(none, None);
    for title in ["new", "changed", "stale"] {
        let search = SessionQuery {
            search: Some(title.to_owned()),
            ..SessionQuery::default()
        };
        assert!(list(store, search).await.is_empty(), "{title}");
    }
}

async fn a_stale_revision_is_refused_alone(store: &dyn Store) {
    let (first, second) = (SessionId::new(), SessionId::new());
    let keys = SessionKeys::default;
    let both = vec![new_session(&first, keys()), new_session(&second, keys())];
    commit(store, both).await;
    // Queued at once, so that they may share a transaction.
    let stale = store.commit(vec![
        put_session(&second, Some(1), 2, keys()),
        put_session(&first, Some(9), 10, keys()),
    ]);
    let good = store.commit(vec![put_session(&first, Some(1), 2, keys())]);
    let again = store.commit(vec![new_session(&first, keys())]);
    let gone = store.commit(vec![put_session(&SessionId::new(), Some(1), 2, keys())]);
    assert!(matches!(stale.await, Err(StoreError::Conflict(id)) if id == first));
    good.await.expect("commits");
    assert!(matches!(again.await, Err(StoreError::Conflict(id)) if id == first));
    assert!(matches!(gone.await, Err(StoreError::Conflict(_))));
    assert_eq!(revision(store, &first).await, Some(2));
    assert_eq!(revision(store, &second).await, Some(1));
}

async fn batches_are_committed_in_the_order_of_the_calls(store: &dyn Store) {
    let id = SessionId::new();
    let keys = SessionKeys::default;
    let mut commits = vec![store.commit(vec![new_session(&id, keys())])];
    // Each needs the one before.
    for revision in 1..300 {
        let next = put_session(&id, Some(revision), revision + 1, keys());
        commits.push(store.commit(vec![next]));
    }
    // The order in which the answers are awaited is another matter.
    for commit in commits.into_iter().rev() {
        commit.await.expect("commits");
    }
    assert_eq!(revision(store, &id).await, Some(300));
}

async fn an_answer_that_is_not_awaited_is_written(store: &dyn Store) {
    let id = SessionId::new();
    drop(store.commit(vec![new_session(&id, SessionKeys::default())]));
    commit(store, Vec::new()).await;
    assert_eq!(revision(store, &id).await, Some(1));
}

async fn a_deleted_session_takes_everything_along(store: &dyn Store) {
    let (id, other) = (SessionId::new(), SessionId::new());
    let (message, kept) = (key(1, 1), key(1, 1));
    let of = |session: &SessionId, key| {
        vec![
            new_session(session, titled("the same title")),
            put_message(session, key, "m"),
            save_part(session, &key.id, &PartId::new(), "p"),
            Change::PutBinding {
                session: session.clone(),
                backend: "mock".into(),
                body: "{}".into(),
            },
            Change::PutSwitch {
                session: session.clone(),
                revision: 1,
                body: "{}".into(),
            },
        ]
    };
    commit(store, of(&id, &message)).await;
    commit(store, of(&other, &kept)).await;
    commit(store, vec![Change::DeleteSession { id: id.clone() }]).await;
    // Nothing of the old one is left when it is made again.
    let again = vec![
        new_session(&id, titled("another")),
        put_message(&id, &message, "m"),
    ];
    commit(store, again).await;
    let row = store.session(&id).await.expect("reads").expect("there");
    assert!(row.bindings.is_empty());
    let row = store.message(&id, &message.id).await.expect("reads");
    assert!(row.expect("there").parts.is_empty());
    assert!(store.switches(&id).await.expect("reads").is_empty());
    let search = SessionQuery {
        search: Some("same title".to_owned()),
        ..SessionQuery::default()
    };
    assert_eq!(list(store, search).await.len(), 1);
    let row = store.message(&other, &kept.id).await.expect("reads");
    assert_eq!(row.expect("there").parts, ["p"]);
    // Deleting what does not exist succeeds, too.
    let none = SessionId::new();
    commit(store, vec![Change::DeleteSession { id: none }]).await;
}

async fn keys_can_change_after_the_session_was_made(store: &dyn Store) {
    let (id, parent) = (SessionId::new(), SessionId::new());
    commit(store, vec![new_session(&id, titled("first"))]).await;
    let keys = SessionKeys {
        project: "p".into(),
        directory: "/d".into(),
        path: "a/b".into(),
        parent: Some(parent.clone()),
        title: "second".into(),
        created: 5,
        updated: 6,
        archived: Some(7),
        restoring: true,
    };
    commit(store, vec![put_session(&id, Some(1), 2, keys.clone())]).await;
    let everything = SessionQuery {
        project: Some("p".into()),
        directory: Some("/d".into()),
        below: Some("a".into()),
        used_since: Some(6),
        used_before: Some(7),
        search: Some("SECOND".into()),
        ..SessionQuery::default()
    };
    assert_eq!(list(store, everything.clone()).await.len(), 1);
    assert_eq!(
        store.restoring().await.expect("reads"),
        std::slice::from_ref(&id)
    );
    assert_eq!(store.children(&parent).await.expect("reads").len(), 1);
    let live = SessionQuery {
        without_archived: true,
        ..everything.clone()
    };
    assert!(list(store, live.clone()).await.is_empty());
    // One key at a time.
    let live_again = SessionKeys {
        archived: None,
        ..keys.clone()
    };
    commit(store, vec![put_session(&id, Some(2), 3, live_again)]).await;
    assert_eq!(list(store, live).await.len(), 1);
    let done = SessionKeys {
        restoring: false,
        ..keys.clone()
    };
    commit(store, vec![put_session(&id, Some(3), 4, done)]).await;
    assert!(store.restoring().await.expect("reads").is_empty());
    let renamed = SessionKeys {
        title: "third".into(),
        ..keys
    };
    commit(store, vec![put_session(&id, Some(4), 5, renamed)]).await;
    assert!(list(store, everything).await.is_empty());
}

async fn the_newest_handovers_are_kept_until_what_they_quote_is_gone(store: &dyn Store) {
    let id = SessionId::new();
    let given = |turn: u64, revision: u64, body: String| Change::PutHandover {
        session: id.clone(),
        turn,
        revision,
        body,
    };
    commit(store, vec![new_session(&id, SessionKeys::default())]).await;
    let first = vec![
        given(3, 1, "old".to_owned()),
        given(3, 1, "three".to_owned()),
        given(9, 2, "nine".to_owned()),
        given(7, 2, "seven".to_owned()),
    ];
    commit(store, first).await;
    let of = async |revision| store.handovers(&id, revision).await.expect("reads");
    assert_eq!(of(1).await, ["three"]);
    assert_eq!(of(2).await, ["seven", "nine"]);
    assert!(of(3).await.is_empty());
    let many = (10..10 + HANDOVERS_KEPT).map(|turn| given(turn, 4, turn.to_string()));
    commit(store, many.collect()).await;
    assert!(of(1).await.is_empty() && of(2).await.is_empty());
    assert_eq!(of(4).await.len() as u64, HANDOVERS_KEPT);
    let forget = Change::DeleteHandovers {
        session: id.clone(),
        from_turn: 12,
    };
    commit(store, vec![forget]).await;
    assert_eq!(of(4).await, ["10", "11"]);
    commit(store, vec![Change::DeleteSession { id: id.clone() }]).await;
    assert!(of(4).await.is_empty());
}

async fn bindings_and_switches_are_kept(store: &dyn Store) {
    let id = SessionId::new();
    let bind = |backend: &str, body: &str| Change::PutBinding {
        session: id.clone(),
        backend: backend.into(),
        body: body.into(),
    };
    let switch = |revision: u64, body: &str| Change::PutSwitch {
        session: id.clone(),
        revision,
        body: body.into(),
    };
    let batch = vec![
        new_session(&id, SessionKeys::default()),
        bind("a", "1"),
        bind("b", "1"),
        bind("b", "2"),
        switch(9, "nine"),
        switch(2, "two"),
        switch(9, "NINE"),
    ];
    commit(store, batch).await;
    let bindings = async || {
        let row = store.session(&id).await.expect("reads").expect("there");
        let mut bindings = row.bindings;
        bindings.sort();
        bindings
    };
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(bindings().await, [pair("a", "1"), pair("b", "2")]);
    assert_eq!(store.switches(&id).await.expect("reads"), ["two", "NINE"]);
    let one = store.switch(&id, 9).await.expect("reads");
    assert_eq!(one.as_deref(), Some("NINE"));
    assert_eq!(store.switch(&id, 3).await.expect("reads"), None);
    let forget = Change::DeleteBinding {
        session: id.clone(),
        backend: "a".into(),
    };
    commit(store, vec![forget]).await;
    assert_eq!(bindings().await, [pair("b", "2")]);
    let session = id.clone();
    commit(store, vec![Change::DeleteBindings { session }]).await;
    assert!(bindings().await.is_empty());
}

async fn settings_backends_projects_and_processes_are_kept(store: &dyn Store) {
    let process = |pid, backend: &str| ProcessRow {
        pid,
        started_at_s: 1_700_000_000,
        boot_id: format!("boot-{backend}"),
        backend: backend.into(),
    };
    let setting = |body: &str| Change::PutSetting {
        name: "model".into(),
        body: body.into(),
    };
    let batch = vec![
        setting("old"),
        setting("new"),
        Change::PutBackend {
            id: "mock".into(),
            body: "b".into(),
        },
        Change::PutProject {
            id: "p".into(),
            body: "{}".into(),
        },
        Change::PutProcess(process(7, "old")),
        Change::PutProcess(process(7, "new")),
        Change::PutProcess(process(8, "gone")),
        Change::DeleteProcess { pid: 8 },
    ];
    commit(store, batch).await;
    let model = store.setting("model").await.expect("reads");
    assert_eq!(model.as_deref(), Some("new"));
    assert_eq!(store.setting("other").await.expect("reads"), None);
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(store.backends().await.expect("reads"), [pair("mock", "b")]);
    assert_eq!(store.projects().await.expect("reads"), [pair("p", "{}")]);
    let processes = store.processes().await.expect("reads");
    assert_eq!(processes, [process(7, "new")]);
}

async fn large_and_odd_bodies_come_back_as_they_were(store: &dyn Store) {
    const LARGE_BYTES: usize = 10 * 1024 * 1024;
    let id = SessionId::new();
    let large = "ä".repeat(LARGE_BYTES / 2);
    let odd = "\u{feff}\r\n\u{202e}'; DROP TABLE session; --\" % _ \\ 🦀\u{fffd}\u{10ffff}e\u{301}";
    let message = key(1, 1);
    let batch = vec![
        new_session(&id, titled(odd)),
        put_message(&id, &message, &large),
        save_part(&id, &message.id, &PartId::new(), odd),
        save_part(&id, &message.id, &PartId::new(), ""),
    ];
    commit(store, batch).await;
    let rows = store.messages(&id, MessageRange::default()).await;
    let row = rows.expect("reads").pop().expect("there");
    assert!(row.body == large, "the large body is the same");
    assert_eq!(row.parts, [odd, ""]);
    for needle in ["table SESSION", "🦀", "%", "_ \\", "\" %", "E\u{301}"] {
        let search = SessionQuery {
            search: Some(needle.to_owned()),
            ..SessionQuery::default()
        };
        assert_eq!(list(store, search).await.len(), 1, "{needle}");
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    let folder = Folder::new();
    let (id, message) = (SessionId::new(), MessageId::new());
    let mut key = key(7, 7);
    key.id = message.clone();
    let store = folder.open();
    let open = Change::PutMessage {
        session: id.clone(),
        key,
        open: true,
        body: "{}".into(),
    };
    commit(store.as_ref(), vec![new_session(&id, titled("kept")), open]).await;
    store.close();
    assert!(matches!(
        store.commit(Vec::new()).await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(store.session(&id).await, Err(StoreError::Closed)));
    let log = folder.file().with_extension("sqlite-wal");
    assert!(!log.exists(), "the log was brought back");

    let store = folder.open();
    let row = store.session(&id).await.expect("reads").expect("there");
    assert_eq!((row.revision, row.last_seq), (1, 7));
    let open = store.open_messages().await.expect("reads");
    assert_eq!(open[0].key.id, message);
    assert_eq!(list(store.as_ref(), SessionQuery::default()).await.len(), 1);
}
