//! Lists of sessions, against a plain model of what they are to answer.

use std::sync::Arc;

use baton::opencode::SessionId;
use baton::store::{Change, SessionKeys, SessionOrder, SessionQuery, Store, StoreError};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::{
    Folder, body, commit, list, memory, new_session, on_each_store, postgres, put_session, titled,
    use_session,
};

on_each_store!(
    pages_follow_one_another_without_gap_or_double,
    a_page_after_a_session_that_does_not_exist_is_none,
    search_knows_no_case_in_any_language,
    search_reaches_far_beyond_the_newest,
    a_family_is_listed_from_below,
    children_and_restoring_are_listed,
    what_was_used_moves_up_in_every_list,
    a_use_over_another_revision_is_refused,
);

/// A session as the model keeps it: the later in the list, the later it was made.
type Known = (SessionId, SessionKeys);

/// What a query is to answer.
fn expected(known: &[Known], query: &SessionQuery) -> Vec<String> {
    let mut order: Vec<usize> = (0..known.len()).collect();
    order.sort_by_key(|at| match query.order {
        SessionOrder::Used => known[*at].1.updated,
        SessionOrder::Newest | SessionOrder::Oldest => known[*at].1.created,
    });
    if query.order != SessionOrder::Oldest {
        order.reverse();
    }
    let after = query.after.as_ref();
    let skipped = after.map_or(0, |after| {
        let at = order.iter().position(|at| known[*at].0 == *after);
        at.expect("the cursor is known") + 1
    });
    let matching = order.into_iter().skip(skipped).filter(|at| {
        let keys = &known[*at].1;
        let below = |path: &str| {
            let within = format!("{path}/");
            path.is_empty() || keys.path == path || keys.path.starts_with(&within)
        };
        let contains = |needle: &str| {
            let title = keys.title.to_lowercase();
            title.contains(&needle.to_lowercase())
        };
        query.project.as_ref().is_none_or(|p| *p == keys.project)
            && query
                .directory
                .as_ref()
                .is_none_or(|d| *d == keys.directory)
            && query.below.as_deref().is_none_or(below)
            && (!query.roots || keys.parent.is_none())
            && (!query.without_archived || keys.archived.is_none())
            && query.used_since.is_none_or(|since| since <= keys.updated)
            && query.used_before.is_none_or(|before| keys.updated < before)
            && query.search.as_deref().is_none_or(contains)
    });
    let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
    matching.take(limit).map(|at| body(&known[at].0)).collect()
}

fn text(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(of).prop_map(str::to_owned)
}

fn keys() -> impl Strategy<Value = SessionKeys> {
    let titles = &[
        "",
        "Fix",
        "fixture",
        "ÄÖÜ fix",
        "İstanbul",
        "ΟΔΟΣ",
        "straße 1",
        "a\"b%c_d",
    ];
    (
        text(&["p", "q", ""]),
        text(&["/d", "/e"]),
        text(&["", "a", "a/b", "ab", "ä/b"]),
        option::of(Just(())),
        text(titles),
        (0..4_u64, 0..4_u64, option::of(0..4_u64)),
    )
        .prop_map(
            |(project, directory, path, parent, title, times)| SessionKeys {
                project,
                directory,
                path,
                parent: parent.map(|()| SessionId::parse("ses_parent").expect("an id")),
                title,
                created: times.0,
                updated: times.1,
                archived: times.2,
                restoring: false,
            },
        )
}

/// A query, with the place of its cursor among the sessions.
fn query() -> impl Strategy<Value = (SessionQuery, Option<prop::sample::Index>)> {
    let needles = &[
        "",
        "fix",
        "FIX",
        "x",
        "stra",
        "i\u{307}st",
        "οδος",
        "ΔΟΣ",
        "\"b%",
        "öü f",
        "none",
    ];
    let orders = vec![
        SessionOrder::Used,
        SessionOrder::Newest,
        SessionOrder::Oldest,
    ];
    (
        (
            option::of(text(&["p", "q", ""])),
            option::of(text(&["/d", "/e"])),
        ),
        option::of(text(&["", "a", "ä", "a/b"])),
        any::<(bool, bool)>(),
        (option::of(0..5_u64), option::of(0..5_u64)),
        option::of(text(needles)),
        select(orders),
        option::of(0..12_u64),
        option::of(any::<prop::sample::Index>()),
    )
        .prop_map(|(place, below, flags, used, search, order, limit, after)| {
            let query = SessionQuery {
                project: place.0,
                directory: place.1,
                below,
                roots: flags.0,
                without_archived: flags.1,
                used_since: used.0,
                used_before: used.1,
                search,
                order,
                after: None,
                limit,
            };
            (query, after)
        })
}

/// Makes sessions and changes some of them, one commit each.
async fn fill(
    store: &dyn Store,
    made: &[SessionKeys],
    changed: &[(prop::sample::Index, bool, SessionKeys)],
) -> Vec<Known> {
    let mut known: Vec<Known> = Vec::new();
    for keys in made {
        let id = SessionId::new();
        commit(store, vec![new_session(&id, keys.clone())]).await;
        known.push((id, keys.clone()));
    }
    for (at, is_only_used, keys) in changed {
        let (id, old) = at.get(&known).clone();
        let row = store.session(&id).await.expect("reads").expect("there");
        // When a session was made never changes.
        let mut keys = SessionKeys {
            created: old.created,
            ..keys.clone()
        };
        let change = if *is_only_used {
            keys = SessionKeys {
                updated: keys.updated,
                ..old
            };
            use_session(&id, row.revision, keys.updated)
        } else {
            put_session(&id, Some(row.revision), row.revision + 1, keys.clone())
        };
        commit(store, vec![change]).await;
        let at = at.index(known.len());
        known[at].1 = keys;
    }
    known
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn lists_are_as_the_model_says(
        made in vec(keys(), 1..14),
        changed in vec((any::<prop::sample::Index>(), any::<bool>(), keys()), 0..8),
        queries in vec(query(), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let folder = Folder::new();
            let stores: [Arc<dyn Store>; 2] = [folder.open(), memory()];
            for store in stores.into_iter().chain(postgres().await) {
                let known = fill(store.as_ref(), &made, &changed).await;
                for (query, after) in &queries {
                    let after = after.map(|at| at.get(&known).0.clone());
                    let query = SessionQuery { after, ..query.clone() };
                    let found = list(store.as_ref(), query.clone()).await;
                    assert_eq!(found, expected(&known, &query), "{query:?}\n{known:#?}");
                }
            }
        });
    }
}

async fn pages_follow_one_another_without_gap_or_double(store: &dyn Store) {
    // Many with the same time: only the order in which they were made distinguishes them.
    let ids: Vec<_> = (0..25).map(|_| SessionId::new()).collect();
    for (at, id) in ids.iter().enumerate() {
        let keys = SessionKeys {
            created: at as u64 / 10,
            updated: at as u64 / 10,
            ..titled("page")
        };
        commit(store, vec![new_session(id, keys)]).await;
    }
    for order in [
        SessionOrder::Used,
        SessionOrder::Newest,
        SessionOrder::Oldest,
    ] {
        for search in [None, Some("page".to_owned())] {
            let whole = SessionQuery {
                order,
                search,
                ..SessionQuery::default()
            };
            let mut paged = Vec::new();
            let mut after = None;
            loop {
                let page = SessionQuery {
                    after,
                    limit: Some(4),
                    ..whole.clone()
                };
                let page = list(store, page).await;
                let Some(last) = page.last() else { break };
                after = ids.iter().find(|id| body(id) == *last).cloned();
                paged.extend(page);
            }
            assert_eq!(paged.len(), 25);
            assert_eq!(paged, list(store, whole).await);
        }
    }
}

async fn a_page_after_a_session_that_does_not_exist_is_none(store: &dyn Store) {
    let id = SessionId::new();
    commit(store, vec![new_session(&id, titled("gone"))]).await;
    let after = SessionQuery {
        after: Some(id.clone()),
        ..SessionQuery::default()
    };
    assert!(list(store, after.clone()).await.is_empty());
    commit(store, vec![Change::DeleteSession { id }]).await;
    let searching = SessionQuery {
        search: Some("x".to_owned()),
        ..after.clone()
    };
    for query in [after, searching] {
        assert_eq!(store.sessions(query).await.expect("reads"), None);
    }
}

async fn search_knows_no_case_in_any_language(store: &dyn Store) {
    let titles = [
        "ÜBERSETZUNG",
        "ΌΡΟΣ",
        "İZMİR",
        "ЖУРНАЛ",
        "ǅungla",
        "日本語テスト",
        "ﬁle",
        "🦀🦀🦀",
        "a\u{1}b c",
    ];
    for title in titles {
        let id = SessionId::new();
        commit(store, vec![new_session(&id, titled(title))]).await;
    }
    for title in titles {
        for needle in [title.to_owned(), title.to_lowercase(), title.to_uppercase()] {
            let found = list(
                store,
                SessionQuery {
                    search: Some(needle.clone()),
                    ..SessionQuery::default()
                },
            );
            let expected = titles
                .iter()
                .filter(|title| title.to_lowercase().contains(&needle.to_lowercase()))
                .count();
            assert_eq!(found.await.len(), expected, "{needle}");
        }
    }
}

async fn search_reaches_far_beyond_the_newest(store: &dyn Store) {
    const SESSIONS: u64 = 5_000;
    const BATCH: usize = 1_000;
    let numbers: Vec<u64> = (0..SESSIONS).collect();
    for numbers in numbers.chunks(BATCH) {
        let session = |number: &u64| {
            let keys = SessionKeys {
                created: *number,
                updated: *number,
                project: if number.is_multiple_of(2) {
                    "even"
                } else {
                    "odd"
                }
                .to_owned(),
                ..titled(&format!("Überarbeitung {number:04} der Liste"))
            };
            let id = SessionId::parse(&format!("ses_{number}")).expect("an id");
            new_session(&id, keys)
        };
        commit(store, numbers.iter().map(session).collect()).await;
    }
    let found = async |needle: &str, project: Option<&str>, after: Option<u64>| {
        let query = SessionQuery {
            search: Some(needle.to_owned()),
            project: project.map(str::to_owned),
            after: after.map(|n| SessionId::parse(&format!("ses_{n}")).expect("an id")),
            limit: Some(3),
            ..SessionQuery::default()
        };
        let bodies = list(store, query).await;
        let number = |body: &String| {
            body.trim_start_matches("body of ses_")
                .parse()
                .expect("a number")
        };
        bodies.iter().map(number).collect::<Vec<u64>>()
    };
    assert_eq!(found("ÜBERARBEITUNG", None, None).await, [4999, 4998, 4997]);
    assert_eq!(found("0007 der liste", None, None).await, [7]);
    assert_eq!(found("g 000", None, None).await, [9, 8, 7]);
    assert_eq!(found("g 000", Some("even"), None).await, [8, 6, 4]);
    assert_eq!(found("g 000", Some("even"), Some(4)).await, [2, 0]);
    assert_eq!(found("g 000", Some("none"), None).await, [0; 0]);
    assert_eq!(found("77", None, Some(1000)).await, [977, 877, 779]);
    assert_eq!(found("zz", None, None).await, [0; 0]);
    assert_eq!(found("TE", Some("odd"), Some(7)).await, [5, 3, 1]);
    assert_eq!(found("liste 0", None, None).await, [0; 0]);
    // Found through the index, while it knows too many of them.
    assert_eq!(found("g 1", None, Some(4500)).await, [1999, 1998, 1997]);
}

async fn a_family_is_listed_from_below(store: &dyn Store) {
    let ids: Vec<_> = (0..6).map(|_| SessionId::new()).collect();
    // 0 ─ 1 ─ 3 ─ 4, 0 ─ 2; 5 is a stranger.
    let parents = [None, Some(0), Some(0), Some(1), Some(3), None];
    for (id, parent) in ids.iter().zip(parents) {
        let keys = SessionKeys {
            parent: parent.map(|at: usize| ids[at].clone()),
            ..SessionKeys::default()
        };
        commit(store, vec![new_session(id, keys)]).await;
    }
    let family = async |at: usize| store.family(&ids[at]).await.expect("reads");
    let whole = family(0).await;
    assert_eq!(whole[0], ids[4]);
    assert_eq!(whole[1], ids[3]);
    assert!(whole[2..4].contains(&ids[1]) && whole[2..4].contains(&ids[2]));
    assert_eq!(whole[4], ids[0]);
    assert_eq!(whole.len(), 5);
    assert_eq!(family(5).await, [ids[5].clone()]);
    let none = store.family(&SessionId::new()).await.expect("reads");
    assert!(none.is_empty());
    // A circle has an end.
    let keys = SessionKeys {
        parent: Some(ids[4].clone()),
        ..SessionKeys::default()
    };
    commit(store, vec![put_session(&ids[0], Some(1), 2, keys)]).await;
    let circle = family(3).await;
    assert_eq!((circle.len(), circle.last()), (5, Some(&ids[3])));
}

async fn children_and_restoring_are_listed(store: &dyn Store) {
    let (parent, other) = (SessionId::new(), SessionId::new());
    let ids: Vec<_> = (0..4).map(|_| SessionId::new()).collect();
    for (id, updated) in ids.iter().zip([5, 9, 5, 1]) {
        let keys = SessionKeys {
            parent: Some(if updated == 1 { &other } else { &parent }.clone()),
            updated,
            restoring: updated == 5,
            ..SessionKeys::default()
        };
        commit(store, vec![new_session(id, keys)]).await;
    }
    let children = store.children(&parent).await.expect("reads");
    assert_eq!(children, [body(&ids[1]), body(&ids[2]), body(&ids[0])]);
    let restoring = store.restoring().await.expect("reads");
    assert_eq!(restoring, [ids[0].clone(), ids[2].clone()]);
}

/// Used more often, and more of them, than a store may leave unsorted.
async fn what_was_used_moves_up_in_every_list(store: &dyn Store) {
    let parent = SessionId::new();
    commit(store, vec![new_session(&parent, titled("parent"))]).await;
    let ids: Vec<_> = (0..600).map(|_| SessionId::new()).collect();
    for id in &ids {
        let keys = SessionKeys {
            parent: Some(parent.clone()),
            ..titled("used")
        };
        commit(store, vec![new_session(id, keys)]).await;
    }
    for (revision, time) in [(1, 10_000), (2, 20_000)] {
        for (at, id) in (0..).zip(&ids) {
            commit(store, vec![use_session(id, revision, time - at)]).await;
        }
    }
    let used: Vec<_> = ids.iter().map(body).collect();
    let query = |since: u64| SessionQuery {
        used_since: Some(since),
        ..SessionQuery::default()
    };
    assert_eq!(list(store, query(1)).await, used);
    assert_eq!(list(store, query(19_991)).await, used[..10]);
    let children = store.children(&parent).await.expect("reads");
    assert_eq!(children, used);
    commit(store, vec![use_session(&ids[300], 3, 30_000)]).await;
    let children = store.children(&parent).await.expect("reads");
    assert_eq!(children[..2], [body(&ids[300]), body(&ids[0])]);
    let search = SessionQuery {
        search: Some("used".to_owned()),
        limit: Some(1),
        ..SessionQuery::default()
    };
    assert_eq!(list(store, search).await, [body(&ids[300])]);
}

async fn a_use_over_another_revision_is_refused(store: &dyn Store) {
    let id = SessionId::new();
    commit(store, vec![new_session(&id, titled("a"))]).await;
    for (id, expected) in [(id.clone(), 2), (SessionId::new(), 1)] {
        let refused = store.commit(vec![use_session(&id, expected, 5)]).await;
        assert!(matches!(refused, Err(StoreError::Conflict(of)) if of == id));
    }
    assert!(
        list(
            store,
            SessionQuery {
                used_since: Some(1),
                ..SessionQuery::default()
            }
        )
        .await
        .is_empty()
    );
}

#[tokio::test]
async fn what_was_used_is_known_after_a_kill() {
    let folder = Folder::new();
    let (first, second) = (SessionId::new(), SessionId::new());
    {
        let store = folder.open();
        for id in [&first, &second] {
            commit(store.as_ref(), vec![new_session(id, titled("a"))]).await;
        }
        commit(store.as_ref(), vec![use_session(&first, 1, 7)]).await;
        // Nothing has asked for a list, and nothing closes the store.
        std::mem::forget(store);
    }
    let store = folder.open();
    let all = list(store.as_ref(), SessionQuery::default()).await;
    assert_eq!(all, [body(&first), body(&second)]);
}
