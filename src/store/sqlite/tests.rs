use super::*;
use crate::store::{MessageKey, SessionKeys};

fn put(id: &SessionId, expected: Option<u64>, revision: u64) -> Change {
    Change::PutSession {
        id: id.clone(),
        expected,
        revision,
        keys: SessionKeys::default(),
        body: format!("{{\"r\":{revision}}}"),
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    let folder = tempfile::tempdir().expect("scratch");
    let path = folder.path().join("baton.sqlite");
    let session = SessionId::new();
    let message = MessageId::new();
    {
        let store = SqliteStore::open(&path).expect("opens");
        let key = MessageKey {
            seq: 7,
            turn: 7,
            id: message.clone(),
        };
        let batch = vec![
            put(&session, None, 1),
            Change::PutMessage {
                session: session.clone(),
                key,
                open: true,
                body: "{}".into(),
            },
        ];
        store.commit(batch).await.expect("commits");
        store.close();
    }
    let store = SqliteStore::open(&path).expect("opens again");
    let row = store.session(&session).await.expect("reads");
    let row = row.expect("there");
    assert_eq!((row.revision, row.last_seq), (1, 7));
    assert_eq!(
        store.open_messages().await.expect("reads")[0].key.id,
        message
    );
    store
        .commit(vec![Change::DeleteSession {
            id: session.clone(),
        }])
        .await
        .expect("deletes");
    assert!(
        store
            .messages(&session, MessageRange::default())
            .await
            .expect("reads")
            .is_empty()
    );
}

#[tokio::test]
async fn a_stale_writer_is_refused_alone() {
    let folder = tempfile::tempdir().expect("scratch");
    let store = SqliteStore::open(&folder.path().join("baton.sqlite")).expect("opens");
    let (first, second) = (SessionId::new(), SessionId::new());
    store
        .commit(vec![put(&first, None, 1), put(&second, None, 1)])
        .await
        .expect("commits");
    // Queued together, so that they share a transaction.
    let stale = store.commit(vec![put(&second, Some(1), 2), put(&first, Some(9), 10)]);
    let good = store.commit(vec![put(&first, Some(1), 2)]);
    assert!(matches!(stale.await, Err(StoreError::Conflict(id)) if id == first));
    good.await.expect("commits");
    for (id, revision) in [(first, 2), (second, 1)] {
        let row = store.session(&id).await.expect("reads").expect("there");
        assert_eq!(
            row.revision, revision,
            "the stale batch was taken back whole"
        );
    }
}

#[tokio::test]
async fn messages_are_read_by_turn_and_from_the_end() {
    let folder = tempfile::tempdir().expect("scratch");
    let store = SqliteStore::open(&folder.path().join("baton.sqlite")).expect("opens");
    let session = SessionId::new();
    for (seq, turn) in [(1, 1), (2, 1), (3, 3), (4, 3)] {
        let key = MessageKey {
            seq,
            turn,
            id: MessageId::new(),
        };
        let message = Change::PutMessage {
            session: session.clone(),
            key: key.clone(),
            open: false,
            body: seq.to_string(),
        };
        let part = Change::PutPart {
            session: session.clone(),
            message: key.id,
            place: 0,
            id: crate::opencode::PartId::new(),
            body: "p".into(),
        };
        store.commit(vec![message, part]).await.expect("commits");
    }
    let read = |range| {
        let rows = store.messages(&session, range);
        async move {
            rows.await
                .expect("reads")
                .iter()
                .map(|m| m.key.seq)
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(read(MessageRange::default()).await, [1, 2, 3, 4]);
    assert_eq!(
        read(MessageRange {
            after_turn: Some(1),
            ..Default::default()
        })
        .await,
        [3, 4]
    );
    assert_eq!(
        read(MessageRange {
            limit: Some(3),
            ..Default::default()
        })
        .await,
        [2, 3, 4]
    );
    assert_eq!(
        read(MessageRange {
            before_seq: Some(4),
            limit: Some(1),
            ..Default::default()
        })
        .await,
        [3]
    );
}

#[tokio::test]
async fn parts_are_saved_in_place_added_and_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("baton.sqlite")).expect("opens");
    let (session, message) = (SessionId::new(), MessageId::new());
    let key = MessageKey {
        seq: 1,
        turn: 1,
        id: message.clone(),
    };
    let put_message = Change::PutMessage {
        session: session.clone(),
        key,
        open: false,
        body: "{}".into(),
    };
    let parts: Vec<_> = (0..3).map(|_| crate::opencode::PartId::new()).collect();
    let save = |at: usize, body: &str| Change::SavePart {
        session: session.clone(),
        message: message.clone(),
        id: parts[at].clone(),
        body: body.into(),
    };
    let delete = Change::DeletePart {
        session: session.clone(),
        message: message.clone(),
        id: parts[1].clone(),
    };
    let batch = vec![
        put(&session, None, 1),
        put_message,
        save(0, "a"),
        save(1, "b"),
    ];
    store.commit(batch).await.expect("stored");
    let batch = vec![save(0, "A"), delete, save(2, "c")];
    store.commit(batch).await.expect("stored");
    let row = store.message(&session, &message).await.expect("read");
    assert_eq!(row.expect("a message").parts, ["A", "c"]);

    let bind = |backend: &str| Change::PutBinding {
        session: session.clone(),
        backend: backend.into(),
        body: "{}".into(),
    };
    let unbind = Change::DeleteBinding {
        session: session.clone(),
        backend: "a".into(),
    };
    let batch = vec![bind("a"), bind("b"), unbind];
    store.commit(batch).await.expect("stored");
    let row = store.session(&session).await.expect("read").expect("there");
    assert_eq!(row.bindings, [("b".to_owned(), "{}".to_owned())]);
}
