//! Databases of every earlier version are opened, and nothing in them is lost.

use baton::opencode::SessionId;
use baton::store::{MessageRange, SessionOrder, SessionQuery, Store, StoreError};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::support::{Folder, commit, list, put_session, titled};

const SCRIPTS: [&str; 7] = [
    include_str!("../../src/store/migrations/001_start.sql"),
    include_str!("../../src/store/migrations/002_setting.sql"),
    include_str!("../../src/store/migrations/003_projects.sql"),
    include_str!("../../src/store/migrations/004_sessions.sql"),
    include_str!("../../src/store/migrations/005_native.sql"),
    include_str!("../../src/store/migrations/006_handover.sql"),
    include_str!("../../src/store/migrations/007_used.sql"),
];
/// Until this version a session was one row with its body.
const ONE_ROW: usize = 3;

/// A session's state as it was written then.
fn state(id: &str, title: &str, created: u64, updated: u64) -> Value {
    json!({
        "id": id, "slug": "quiet-river", "directory": "/home/u/work", "project_id": "prj",
        "path": "crates/a", "parent_id": null, "title": title, "title_is_default": false,
        "selection": null, "selection_revision": 0, "last_applied": null, "told": null,
        "metadata": null, "permission": [], "time": {"created": created, "updated": updated},
        "cost": 0.0, "tokens": {"input": 0, "output": 0, "reasoning": 0, "cache": {"read": 0, "write": 0}},
        "usage": [], "summary": {"additions": 0, "deletions": 0, "files": 0}, "revert": null,
        "past": {"restoring": null}, "todos": [], "always": [], "version": "0.1.0", "revision": 3
    })
}

fn write(folder: &Folder, version: usize, bodies: &[(&str, String)]) {
    let connection = Connection::open(folder.file()).expect("opens");
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .expect("set");
    let (before, after) = SCRIPTS[..version].split_at(version.min(ONE_ROW));
    for script in before {
        connection.execute_batch(script).expect("runs");
    }
    for (id, body) in bodies {
        let sql = "INSERT INTO session (id, revision, body) VALUES (?1, 3, ?2)";
        connection.execute(sql, params![id, body]).expect("written");
        let sql = "INSERT INTO message (session, seq, turn, id, open, body) VALUES (?1, 1, 1, 'msg_1', 1, 'm')";
        connection.execute(sql, params![id]).expect("written");
        let sql = "INSERT INTO part (session, message, place, id, body) VALUES (?1, 'msg_1', 0, 'prt_1', 'p')";
        connection.execute(sql, params![id]).expect("written");
        let sql = "INSERT INTO binding (session, backend, body) VALUES (?1, 'mock', 'b')";
        connection.execute(sql, params![id]).expect("written");
    }
    let sql = "INSERT INTO process (pid, started_at_s, backend) VALUES (77, 5, 'mock')";
    connection.execute(sql, []).expect("written");
    for script in after {
        connection.execute_batch(script).expect("runs");
    }
    connection
        .pragma_update(None, "user_version", version)
        .expect("set");
}

fn sessions() -> Vec<(&'static str, String)> {
    let mut child = state("ses_b", "Ärger", 20, 30);
    child["parent_id"] = json!("ses_a");
    child["time"]["archived"] = json!(40);
    child["past"]["restoring"] = json!({"from": "x", "to": "y"});
    let mut early = state("ses_c", "early", 10, 40);
    for key in ["project_id", "path", "told", "usage", "past"] {
        early.as_object_mut().expect("an object").remove(key);
    }
    vec![
        ("ses_b", child.to_string()),
        ("ses_c", early.to_string()),
        // Made in the same millisecond: the lower id is the later one.
        ("ses_z", state("ses_z", "first of two", 50, 50).to_string()),
        ("ses_a", state("ses_a", "second of two", 50, 50).to_string()),
        ("ses_damaged", "{\"id\": ".to_owned()),
        (
            "ses_odd",
            json!({"title": 5, "time": [], "directory": null, "parent_id": ""}).to_string(),
        ),
    ]
}

fn ids(bodies: &[String]) -> Vec<String> {
    let id = |body: &String| match serde_json::from_str::<Value>(body) {
        Ok(value) => value["id"].as_str().unwrap_or("odd").to_owned(),
        Err(_) => "damaged".to_owned(),
    };
    bodies.iter().map(id).collect()
}

#[tokio::test]
async fn each_version_is_brought_up_to_date() {
    for version in 1..=SCRIPTS.len() {
        let folder = Folder::new();
        write(&folder, version, &sessions());
        // Opened twice: the second time there is nothing to do.
        folder.open().close();
        let store = folder.open();
        let store = store.as_ref();

        let all = ids(&list(store, SessionQuery::default()).await);
        assert_eq!(all[..4], ["ses_a", "ses_z", "ses_c", "ses_b"]);
        assert_eq!(all.len(), 6, "no row is lost");
        let oldest = SessionQuery {
            order: SessionOrder::Oldest,
            used_since: Some(1),
            ..SessionQuery::default()
        };
        assert_eq!(
            ids(&list(store, oldest).await),
            ["ses_c", "ses_b", "ses_z", "ses_a"]
        );
        let query = |project: &str, below: Option<&str>| SessionQuery {
            project: Some(project.to_owned()),
            below: below.map(str::to_owned),
            ..SessionQuery::default()
        };
        assert_eq!(
            ids(&list(store, query("prj", Some("crates"))).await),
            ["ses_a", "ses_z", "ses_b"]
        );
        assert_eq!(list(store, query("", None)).await.len(), 3);
        let archived = SessionQuery {
            without_archived: true,
            roots: true,
            ..query("prj", None)
        };
        assert_eq!(ids(&list(store, archived).await), ["ses_a", "ses_z"]);
        let search = SessionQuery {
            search: Some("äRG".to_owned()),
            ..SessionQuery::default()
        };
        assert_eq!(ids(&list(store, search).await), ["ses_b"]);

        let id = |text: &str| SessionId::parse(text).expect("an id");
        let children = store.children(&id("ses_a")).await.expect("reads");
        assert_eq!(ids(&children), ["ses_b"]);
        assert_eq!(store.restoring().await.expect("reads"), [id("ses_b")]);
        let damaged = store.session(&id("ses_damaged")).await.expect("reads");
        let damaged = damaged.expect("kept");
        assert_eq!((damaged.revision, damaged.body.as_str()), (3, "{\"id\": "));
        let row = store
            .session(&id("ses_c"))
            .await
            .expect("reads")
            .expect("there");
        assert_eq!((row.last_seq, row.bindings.len()), (1, 1));
        let messages = store.messages(&id("ses_c"), MessageRange::default()).await;
        assert_eq!(messages.expect("reads")[0].parts, ["p"]);
        assert_eq!(store.processes().await.expect("reads")[0].boot_id, "");

        // An old session learns its project with the next write, and a new one is newer than all of them.
        let mut keys = titled("early");
        (keys.project, keys.created, keys.updated) = ("prj".to_owned(), 10, 50);
        commit(
            store,
            vec![put_session(&id("ses_c"), Some(3), 4, keys.clone())],
        )
        .await;
        commit(store, vec![put_session(&id("ses_new"), None, 1, keys)]).await;
        let first = list(
            store,
            SessionQuery {
                limit: Some(3),
                ..query("prj", None)
            },
        )
        .await;
        assert_eq!(first[0], "body of ses_new");
        assert_eq!(ids(&first[1..]), ["ses_a", "ses_z"]);
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let folder = Folder::new();
    folder.open().close();
    let connection = Connection::open(folder.file()).expect("opens");
    connection
        .pragma_update(None, "user_version", 999)
        .expect("set");
    drop(connection);
    let refused = baton::store::SqliteStore::open(&folder.file());
    assert!(matches!(refused, Err(StoreError::Database(text)) if text.contains("newer Baton")));
}
