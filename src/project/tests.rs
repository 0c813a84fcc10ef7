use super::*;
use crate::store::SqliteStore;

struct Setup {
    folder: tempfile::TempDir,
    projects: Arc<Projects>,
}

impl Setup {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(&folder.path().join("store")).expect("a store");
        let projects = Projects::open(Arc::new(store)).await.expect("projects");
        Self { folder, projects }
    }

    fn path(&self, name: &str) -> String {
        let root = self.folder.path().canonicalize().expect("it exists");
        root.join(name).to_str().expect("UTF-8").to_owned()
    }

    fn git(&self, at: &str, arguments: &[&str]) -> String {
        let output = std::process::Command::new("git")
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

    fn repository(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(format!("{path}/src")).expect("folders");
        self.git(&path, &["init", "-q", "-b", "main"]);
        path
    }
}

#[tokio::test]
async fn a_repository_is_known_by_its_first_commit_and_has_one_project_with_its_worktrees() {
    let setup = Setup::new().await;
    let repository = setup.repository("repository");
    let place = setup.projects.locate(&repository).await;
    assert_eq!(
        (place.project_id.as_str(), place.git),
        (GLOBAL_PROJECT, true)
    );
    assert_eq!(place.worktree, repository);

    setup.git(&repository, &["commit", "-q", "--allow-empty", "-m", "one"]);
    let first = setup.git(&repository, &["rev-parse", "HEAD"]);
    setup.git(&repository, &["commit", "-q", "--allow-empty", "-m", "two"]);
    setup.projects.forget(&repository);
    let inner = setup.projects.locate(&format!("{repository}/src")).await;
    assert_eq!(
        (inner.project_id.as_str(), inner.path().as_str()),
        (first.as_str(), "src")
    );

    let linked = setup.path("linked");
    setup.git(&repository, &["worktree", "add", "-q", &linked]);
    let there = setup.projects.locate(&linked).await;
    assert_eq!(
        (&there.worktree, &there.main_worktree),
        (&linked, &repository)
    );
    assert_eq!(there.project_id, first);
    let project = setup.projects.current(&there);
    assert_eq!(
        setup.projects.directories(&first).len(),
        2,
        "of what was seen"
    );
    assert_eq!(setup.projects.list(&inner).len(), 1);
    setup.projects.note(&there).await.expect("kept");
    assert_eq!(setup.projects.current(&inner), project);
    assert_eq!(
        (&project.worktree, &project.sandboxes),
        (&repository, &vec![linked])
    );
    assert_eq!(setup.projects.directories(&first).len(), 2);
    assert_eq!(setup.projects.list(&inner), [project]);
}

#[tokio::test]
async fn directories_without_a_repository_share_a_project() {
    let setup = Setup::new().await;
    let place = setup.projects.locate(&setup.path("nowhere/at/all")).await;
    assert_eq!(
        (place.worktree.as_str(), place.project_id.as_str()),
        ("/", GLOBAL_PROJECT)
    );
    let project = setup.projects.current(&place);
    assert_eq!((project.worktree.as_str(), &project.vcs), ("/", &None));
    assert!(setup.projects.directories(GLOBAL_PROJECT).is_empty());
}

#[tokio::test]
async fn what_clients_set_outlives_the_server() {
    let setup = Setup::new().await;
    let place = setup.projects.locate("/nowhere").await;
    setup.projects.note(&place).await.expect("kept");
    let update = ProjectUpdate {
        name: Some("everything".into()),
        ..ProjectUpdate::default()
    };
    let updated = setup
        .projects
        .update(GLOBAL_PROJECT, update)
        .await
        .expect("kept");
    assert_eq!(updated.and_then(|p| p.name).as_deref(), Some("everything"));
    let again = Projects::open(Arc::clone(&setup.projects.store))
        .await
        .expect("projects");
    assert_eq!(again.list(&place), setup.projects.list(&place));
    let missing = setup
        .projects
        .update("nope", ProjectUpdate::default())
        .await;
    assert_eq!(missing.expect("no failure"), None);
}
