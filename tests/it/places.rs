//! Where things happen: directories, projects, and what is seen from where.

use std::path::Path;
use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Events, Server, prompt_body};

/// Runs git, with a made-up author.
pub(crate) fn git(at: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(at)
        .args(["-c", "user.name=t", "-c", "user.email=t@t"])
        .args(arguments)
        .output()
        .expect("git");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .trim()
        .to_owned()
}

/// A repository with a commit and two folders, as the server knows its path.
fn repository(server: &Server) -> String {
    let root = server
        .folder
        .path()
        .canonicalize()
        .expect("it exists")
        .join("repository");
    for folder in ["src/deep", "docs"] {
        std::fs::create_dir_all(root.join(folder)).expect("folders");
    }
    git(&root, &["init", "-q", "-b", "main"]);
    git(&root, &["commit", "-q", "--allow-empty", "-m", "first"]);
    root.to_str().expect("UTF-8").to_owned()
}

async fn session_in(server: &Server, directory: &str) -> Value {
    let path = format!("/opencode/session?directory={directory}");
    let title = json!({ "title": directory });
    server.ok(Method::POST, &path, Some(title)).await
}

fn titles(sessions: &Value) -> Vec<&str> {
    let sessions = sessions.as_array().expect("a list");
    sessions
        .iter()
        .map(|s| s["title"].as_str().expect("a title"))
        .collect()
}

#[tokio::test]
async fn a_session_belongs_to_its_directory_and_to_the_repository_around_it() {
    let server = Server::start().await;
    let root = repository(&server);
    let first = git(Path::new(&root), &["rev-parse", "HEAD"]);
    let (src, deep, docs) = (
        format!("{root}/src"),
        format!("{root}/src/deep"),
        format!("{root}/docs"),
    );
    std::os::unix::fs::symlink("src", format!("{root}/link")).expect("a link");

    let made = session_in(&server, &format!("{root}/docs/../link/")).await;
    assert_eq!(
        (&made["directory"], &made["path"]),
        (&json!(src), &json!("src"))
    );
    assert_eq!(made["projectID"], first);
    let top = session_in(&server, &root).await;
    assert_eq!(
        (&top["directory"], &top["path"]),
        (&json!(root), &json!(""))
    );
    session_in(&server, &deep).await;
    server.create().await;

    let list = |query: String| {
        let server = &server;
        async move { server.get(&format!("/opencode/session?{query}")).await }
    };
    let in_src = format!("{root}/docs/../link/");
    assert_eq!(
        titles(&list(format!("directory={src}")).await),
        [in_src.as_str()]
    );
    assert_eq!(
        titles(&list(format!("directory={root}/link")).await),
        [in_src.as_str()]
    );
    assert_eq!(titles(&list(format!("directory={docs}")).await), [""; 0]);
    let whole = [deep.as_str(), root.as_str(), in_src.as_str()];
    assert_eq!(
        titles(&list(format!("directory={docs}&scope=project")).await),
        whole
    );
    assert_eq!(
        titles(&list(format!("directory={docs}&path=")).await),
        whole
    );
    assert_eq!(
        titles(&list(format!("directory={docs}&path=src")).await),
        [whole[0], whole[2]]
    );
    assert_eq!(
        titles(&list(format!("directory={docs}&path=sr")).await),
        [""; 0]
    );
    assert_eq!(
        titles(&list(format!("directory={docs}&path=&limit=1")).await),
        whole[..1]
    );
    assert_eq!(titles(&list("roots=true".to_owned()).await), ["test"]);
    let (status, error) = server
        .send(Method::GET, "/opencode/session?scope=x", None)
        .await;
    assert_eq!(
        (status, &error["data"]["kind"]),
        (StatusCode::BAD_REQUEST, &json!("Query"))
    );

    // The header chooses the project, and not the directory.
    let header = [("x-opencode-directory", docs.as_str())];
    let listed = server
        .request(Method::GET, "/opencode/session", None, &header)
        .await;
    assert_eq!(titles(&listed.json().await.expect("JSON")), whole);
    server.stop().await;
}

#[tokio::test]
async fn what_a_session_waits_for_shows_in_its_directory_alone() {
    let server = Server::start().await;
    let root = repository(&server);
    let src = format!("{root}/src");
    let session = session_in(&server, &src).await;
    let id = session["id"].as_str().expect("an id");
    let mut events = Events::open(&server, &format!("/opencode/event?directory={src}"), None).await;
    let path = format!("/opencode/session/{id}/prompt_async");
    server
        .ok(
            Method::POST,
            &path,
            Some(prompt_body("permission edit a.txt", json!({}))),
        )
        .await;
    let asked = events
        .until("permission.asked", |p| p["sessionID"] == id)
        .await;
    for (kind, wanted) in [
        ("permission", json!(1)),
        ("session/status", json!(1)),
        ("question", json!(0)),
    ] {
        for (directory, count) in [(src.as_str(), wanted), (root.as_str(), json!(0))] {
            let listed = server
                .get(&format!("/opencode/{kind}?directory={directory}"))
                .await;
            let length = listed
                .as_array()
                .map_or_else(|| listed.as_object().expect("JSON").len(), Vec::len);
            assert_eq!(json!(length), count, "{kind} {directory}: {listed}");
        }
        assert!(
            !server
                .get(&format!("/opencode/{kind}"))
                .await
                .to_string()
                .contains(id),
            "{kind}"
        );
    }
    let request = asked.whole["properties"]["id"].as_str().expect("an id");
    let reply = format!("/opencode/permission/{request}/reply");
    server
        .ok(Method::POST, &reply, Some(json!({ "reply": "once" })))
        .await;
    events.until("session.idle", |p| p["sessionID"] == id).await;
    server.stop().await;
}

#[tokio::test]
async fn projects_are_listed_changed_and_kept() {
    let mut server = Server::start().await;
    let root = repository(&server);
    let query = format!("directory={root}/src");
    let place = server.get(&format!("/opencode/path?{query}")).await;
    assert_eq!(
        (&place["worktree"], &place["directory"]),
        (&json!(root), &json!(format!("{root}/src")))
    );
    let current = server
        .get(&format!("/opencode/project/current?{query}"))
        .await;
    assert_eq!(
        (&current["worktree"], &current["vcs"]),
        (&json!(root), &json!("git"))
    );
    let id = current["id"].as_str().expect("an id").to_owned();

    let mut events = server.events().await;
    let path = format!("/opencode/project/{id}");
    let change =
        json!({ "name": "Nice", "icon": { "color": "red" }, "commands": { "start": "make" } });
    let changed = server.ok(Method::PATCH, &path, Some(change.clone())).await;
    for (field, value) in change.as_object().expect("an object") {
        assert_eq!(&changed[field], value);
    }
    let event = events.until("project.updated", |_| true).await;
    assert_eq!(event.whole["properties"], changed);
    let (status, error) = server
        .send(Method::PATCH, &path, Some(json!({ "name": 5 })))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
    let nowhere = server
        .send(Method::PATCH, "/opencode/project/nope", Some(json!({})))
        .await;
    assert_eq!(
        (nowhere.0, &nowhere.1["_tag"]),
        (StatusCode::NOT_FOUND, &json!("ProjectNotFoundError"))
    );

    server.kill().await;
    server.restart().await;
    assert_eq!(
        server
            .get(&format!("/opencode/project/current?{query}"))
            .await,
        changed
    );
    let listed = server.get("/opencode/project").await;
    let ids: Vec<_> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|p| p["id"].clone())
        .collect();
    assert_eq!(ids, [json!(id), json!("global")]);
    let directories = server.get(&format!("{path}/directories")).await;
    assert_eq!(directories, json!([{ "directory": root }]));
    assert_eq!(
        server.get("/opencode/project/nope/directories").await,
        json!([])
    );

    let made = format!(
        "/opencode/project/git/init?directory={}",
        server.work().display()
    );
    let project = server.ok(Method::POST, &made, None).await;
    assert_eq!(project["vcs"], "git");
    assert!(server.work().join(".git").is_dir());
    assert_eq!(server.ok(Method::POST, &made, None).await, project);
    server.stop().await;
}
