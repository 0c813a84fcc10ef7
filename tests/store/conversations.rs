//! Messages and parts.

use baton::opencode::{PartId, SessionId};
use baton::store::{Change, MessageRange, Store, StoreError};

use crate::support::{commit, key, on_each_store, put_message, save_part};

on_each_store!(
    messages_are_read_by_turn_and_from_the_end,
    a_place_that_is_used_again_is_another_message,
    an_id_cannot_have_two_places,
    parts_are_saved_in_place_added_and_deleted,
    a_part_is_read_with_what_it_has_grown_by,
    deleted_messages_take_their_parts_along,
    parts_are_found_whatever_the_order_of_the_ids,
    open_messages_are_those_of_every_session,
);

async fn seqs(store: &dyn Store, session: &SessionId, range: MessageRange) -> Vec<u64> {
    let rows = store.messages(session, range).await.expect("reads");
    rows.iter().map(|row| row.key.seq).collect()
}

async fn messages_are_read_by_turn_and_from_the_end(store: &dyn Store) {
    let (session, other) = (SessionId::new(), SessionId::new());
    let mut batch = vec![put_message(&other, &key(1, 1), "other")];
    for (seq, turn) in [(4, 3), (1, 1), (2, 1), (3, 3)] {
        batch.push(put_message(&session, &key(seq, turn), "m"));
    }
    commit(store, batch).await;
    for after_turn in [None, Some(0), Some(1), Some(2), Some(3), Some(u64::MAX)] {
        for before_seq in [None, Some(0), Some(1), Some(3), Some(4), Some(u64::MAX)] {
            for limit in [None, Some(0), Some(1), Some(3), Some(9), Some(u64::MAX)] {
                let mut expected: Vec<u64> = [(1, 1), (2, 1), (3, 3), (4, 3)]
                    .into_iter()
                    .filter(|(_, turn)| after_turn.is_none_or(|after| *turn > after))
                    .filter(|(seq, _)| before_seq.is_none_or(|before| *seq < before))
                    .map(|(seq, _)| seq)
                    .collect();
                while limit.is_some_and(|limit| expected.len() as u64 > limit) {
                    expected.remove(0);
                }
                let range = MessageRange {
                    after_turn,
                    before_seq,
                    limit,
                };
                let found = seqs(store, &session, range.clone()).await;
                assert_eq!(found, expected, "{range:?}");
            }
        }
    }
}

async fn a_place_that_is_used_again_is_another_message(store: &dyn Store) {
    let session = SessionId::new();
    let (old, new) = (key(5, 5), key(5, 3));
    let part = PartId::new();
    let batch = vec![
        put_message(&session, &old, "old"),
        save_part(&session, &old.id, &part, "of the old one"),
    ];
    commit(store, batch).await;
    commit(store, vec![put_message(&session, &new, "new")]).await;
    let rows = store.messages(&session, MessageRange::default()).await;
    let rows = rows.expect("reads");
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0].key, rows[0].body.as_str()), (&new, "new"));
    assert!(rows[0].parts.is_empty());
    let gone = store.message(&session, &old.id).await.expect("reads");
    assert_eq!(gone, None);
    // The old id is free again, and comes without what it had.
    let again = baton::store::MessageKey {
        seq: 6,
        ..old.clone()
    };
    commit(store, vec![put_message(&session, &again, "again")]).await;
    let row = store.message(&session, &old.id).await.expect("reads");
    assert!(row.expect("there").parts.is_empty());
}

async fn an_id_cannot_have_two_places(store: &dyn Store) {
    let session = SessionId::new();
    let first = key(1, 1);
    let mut second = first.clone();
    second.seq = 2;
    commit(store, vec![put_message(&session, &first, "m")]).await;
    let refused = store
        .commit(vec![put_message(&session, &second, "m")])
        .await;
    assert!(matches!(refused, Err(StoreError::Database(_))));
    assert_eq!(seqs(store, &session, MessageRange::default()).await, [1]);
}

async fn parts_are_saved_in_place_added_and_deleted(store: &dyn Store) {
    let session = SessionId::new();
    let message = key(1, 1);
    let ids: Vec<_> = (0..4).map(|_| PartId::new()).collect();
    let save = |at: usize, body: &str| save_part(&session, &message.id, &ids[at], body);
    let put = |place: u64, at: usize, body: &str| Change::PutPart {
        session: session.clone(),
        message: message.id.clone(),
        place,
        id: ids[at].clone(),
        body: body.into(),
    };
    let batch = vec![
        put_message(&session, &message, "m"),
        save(0, "a"),
        save(1, "b"),
    ];
    commit(store, batch).await;
    let delete = Change::DeletePart {
        session: session.clone(),
        message: message.id.clone(),
        id: ids[1].clone(),
    };
    commit(store, vec![save(0, "A"), delete, save(2, "c")]).await;
    let parts = async || {
        let row = store.message(&session, &message.id).await.expect("reads");
        row.expect("there").parts
    };
    assert_eq!(parts().await, ["A", "c"]);
    // A place of one's own, also between others and over another part.
    commit(store, vec![put(9, 3, "z"), put(0, 1, "first")]).await;
    assert_eq!(parts().await, ["first", "c", "z"]);
    commit(store, vec![save(0, "last")]).await;
    assert_eq!(parts().await, ["first", "c", "z", "last"]);
    // The message itself is written without touching its parts.
    commit(store, vec![put_message(&session, &message, "M")]).await;
    assert_eq!(parts().await.len(), 4);
}

async fn a_part_is_read_with_what_it_has_grown_by(store: &dyn Store) {
    let (session, other) = (SessionId::new(), SessionId::new());
    let (message, next) = (key(1, 1), key(2, 1));
    let ids: Vec<_> = (0..3).map(|_| PartId::new()).collect();
    let text = |text: &str| format!(r#"{{"type":"text","text":"{text}"}}"#);
    let open = |session: &SessionId, key: &baton::store::MessageKey| Change::PutMessage {
        session: session.clone(),
        key: key.clone(),
        open: true,
        body: "m".into(),
    };
    let put = |place: u64, at: usize, body: String| Change::PutPart {
        session: session.clone(),
        message: message.id.clone(),
        place,
        id: ids[at].clone(),
        body,
    };
    let grow = |place: u64, at: u64, text: &str| Change::GrowPart {
        session: session.clone(),
        message: message.id.clone(),
        place,
        at,
        text: text.into(),
    };
    let batch = vec![
        open(&session, &message),
        put(0, 0, text("")),
        put(4, 1, text("once ")),
        put(9, 2, text("thought")),
        // The same places elsewhere.
        open(&other, &next),
        save_part(&other, &next.id, &PartId::new(), &text("other")),
    ];
    commit(store, batch).await;
    let grown = vec![
        grow(4, 5, "upon "),
        grow(4, 10, "a time “ü”"),
        grow(9, 7, "s"),
    ];
    commit(store, grown).await;
    let parts = async || {
        let row = store.message(&session, &message.id).await.expect("reads");
        row.expect("there").parts
    };
    let all = [text(""), text("once upon a time “ü”"), text("thoughts")];
    assert_eq!(parts().await, all);
    let rows = store.messages(&session, MessageRange::default()).await;
    assert_eq!(rows.expect("reads")[0].parts, all);
    let open_ones = store.open_messages().await.expect("reads");
    let of = |session| open_ones.iter().find(|row| row.session == session);
    assert_eq!(of(session.clone()).expect("open").parts, all);
    assert_eq!(of(other).expect("open").parts, [text("other")]);
    // It stays when the part ends, also of a message that is not open any more, however many messages are read.
    let end = |place: u64, body: String| Change::EndPart {
        session: session.clone(),
        message: message.id.clone(),
        place,
        body,
    };
    let ended = r#"{"type":"text","text":"once ","end":1}"#.to_owned();
    let whole = r#"{"type":"text","text":"once upon a time “ü”","end":1}"#;
    let mut batch = vec![
        end(4, ended),
        end(7, text("nowhere")),
        put_message(&session, &message, "m"),
    ];
    batch.extend((2..20).flat_map(|seq| {
        let key = key(seq, seq);
        let more = Change::GrowPart {
            session: session.clone(),
            message: key.id.clone(),
            place: 0,
            at: 1,
            text: seq.to_string(),
        };
        let part = save_part(&session, &key.id, &PartId::new(), &text("n"));
        [put_message(&session, &key, "m"), part, more]
    }));
    commit(store, batch).await;
    let rows = store.messages(&session, MessageRange::default()).await;
    let rows = rows.expect("reads");
    assert_eq!(
        rows[0].parts,
        [text(""), whole.to_owned(), text("thoughts")]
    );
    for row in &rows[1..] {
        assert_eq!(row.parts, [text(&format!("n{}", row.key.seq))]);
    }
    assert_eq!(parts().await[1], whole);
    // What is written anew has all of its text, and what is gone nothing: not when its place is used again either.
    commit(store, vec![put(4, 1, text("anew")), grow(4, 4, "!")]).await;
    assert_eq!(parts().await[1], text("anew!"));
    let delete = |at: usize| Change::DeletePart {
        session: session.clone(),
        message: message.id.clone(),
        id: ids[at].clone(),
    };
    let save = |at: usize, body: String| save_part(&session, &message.id, &ids[at], &body);
    commit(store, vec![save(1, text("saved")), delete(2)]).await;
    commit(store, vec![grow(9, 8, "lost"), grow(7, 0, "lost")]).await;
    assert_eq!(parts().await, [text(""), text("saved")]);
    commit(store, vec![put(9, 2, text("back"))]).await;
    assert_eq!(parts().await[2], text("back"));
    commit(store, vec![grow(9, 4, "!")]).await;
    let again = vec![
        Change::DeleteMessage {
            session: session.clone(),
            id: message.id.clone(),
        },
        open(&session, &message),
        put(9, 2, text("again")),
    ];
    commit(store, again).await;
    assert_eq!(parts().await, [text("again")]);
    commit(store, vec![grow(9, 5, "!"), grow(9, 6, "!")]).await;
    // Another message at the place, and then the first one again.
    let taken = baton::store::MessageKey {
        id: next.id.clone(),
        ..message.clone()
    };
    commit(store, vec![open(&session, &taken)]).await;
    commit(store, vec![open(&session, &message), put(9, 2, text("q"))]).await;
    assert_eq!(parts().await, [text("q")]);
    commit(store, vec![grow(9, 1, "!")]).await;
    let delete = Change::DeleteSession {
        id: session.clone(),
    };
    let anew = vec![delete, open(&session, &message), put(9, 2, text("new"))];
    commit(store, anew).await;
    assert_eq!(parts().await, [text("new")]);
}

async fn deleted_messages_take_their_parts_along(store: &dyn Store) {
    let session = SessionId::new();
    let (first, second) = (key(1, 1), key(2, 1));
    let batch = vec![
        put_message(&session, &first, "1"),
        save_part(&session, &first.id, &PartId::new(), "p"),
        put_message(&session, &second, "2"),
        save_part(&session, &second.id, &PartId::new(), "q"),
        Change::DeleteMessage {
            session: session.clone(),
            id: first.id.clone(),
        },
    ];
    commit(store, batch).await;
    assert_eq!(seqs(store, &session, MessageRange::default()).await, [2]);
    commit(store, vec![put_message(&session, &first, "1")]).await;
    let rows = store.messages(&session, MessageRange::default()).await;
    let parts: Vec<_> = rows.expect("reads").into_iter().map(|r| r.parts).collect();
    assert_eq!(parts, [vec![], vec!["q".to_owned()]]);
}

async fn parts_are_found_whatever_the_order_of_the_ids(store: &dyn Store) {
    // Spread over the whole range, as those of clients may be.
    let session = SessionId::new();
    let key_of = |seq: u64| baton::store::MessageKey {
        id: baton::opencode::MessageId::parse(&format!("msg_{:026}", seq * 37 % 101))
            .expect("an id"),
        ..key(seq, seq)
    };
    let batch = (1..=100).flat_map(|seq| {
        let key = key_of(seq);
        let part = |text: &str| {
            let body = format!("{seq}{text}");
            save_part(&session, &key.id, &PartId::new(), &body)
        };
        [put_message(&session, &key, "m"), part("a"), part("b")]
    });
    commit(store, batch.collect()).await;
    for limit in [5, 9, 20, 60, 100] {
        let range = MessageRange {
            limit: Some(limit),
            ..MessageRange::default()
        };
        let rows = store.messages(&session, range).await.expect("reads");
        assert_eq!(rows.len() as u64, limit);
        for row in rows {
            let seq = row.key.seq;
            assert_eq!(row.parts, [format!("{seq}a"), format!("{seq}b")]);
        }
    }
}

async fn open_messages_are_those_of_every_session(store: &dyn Store) {
    let (first, second) = (SessionId::new(), SessionId::new());
    let put = |session: &SessionId, key: &baton::store::MessageKey, open| Change::PutMessage {
        session: session.clone(),
        key: key.clone(),
        open,
        body: "m".into(),
    };
    let (a, b, c) = (key(1, 1), key(2, 1), key(1, 1));
    let batch = vec![
        put(&first, &a, true),
        put(&first, &b, true),
        save_part(&first, &b.id, &PartId::new(), "p"),
        put(&second, &c, true),
        put(&first, &a, false),
    ];
    commit(store, batch).await;
    let mut open = store.open_messages().await.expect("reads");
    open.sort_by_key(|row| row.key.seq);
    let open: Vec<_> = open
        .into_iter()
        .map(|r| (r.session, r.key.id, r.parts))
        .collect();
    let expected = [(second, c.id, vec![]), (first, b.id, vec!["p".to_owned()])];
    assert_eq!(open, expected);
}
