use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::Snapshots;
use super::choose::NEW_FILE_MAX_BYTES;
use super::*;

/// A repository of the user, and Baton's data beside it.
struct Place {
    folder: TempDir,
    snapshots: Snapshots,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("work")).expect("work");
        let snapshots = Snapshots::new(&folder.path().join("data"), true);
        let place = Self { folder, snapshots };
        place.user_git("init", &["--quiet"]).await;
        place
    }

    async fn user_git(&self, command: &str, arguments: &[&str]) {
        let git = Git::new(self.work(), command).args(arguments);
        git.run().await.expect("git");
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, text).expect("written");
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    async fn open_at(&self, directory: &Path) -> Repository {
        let opened = self.snapshots.open(&directory.to_string_lossy()).await;
        opened.expect("no error").expect("a repository")
    }

    async fn open(&self) -> Repository {
        self.open_at(&self.work()).await
    }

    async fn take(&self) -> Snapshot {
        self.open().await.take().await.expect("a snapshot")
    }

    /// Goes back as a revert does.
    async fn back(&self, tree: &str, paths: &[&str]) -> Result<(), SnapshotError> {
        let repository = self.open().await;
        let step = Step {
            tree: tree.to_owned(),
            paths: paths.iter().map(|p| (*p).to_owned()).collect(),
        };
        let (from, to) = repository.compose(&[step]).await?;
        repository.apply(&from, &to).await
    }
}

#[tokio::test]
async fn files_come_back_byte_for_byte() {
    let place = Place::new().await;
    // What would change bytes on their way in or out.
    place.write(".gitattributes", "*.txt text eol=lf\n*.x filter=no ident\n");
    place.write("dos.txt", "a\r\nb\r\n");
    place.write("id.x", "$Id$\n");
    fs::write(place.path("bin"), [0, 159, 146, 150, 0]).expect("bytes");
    symlink("dos.txt", place.path("link")).expect("a link");
    let before = place.take().await;
    assert_eq!(before, place.take().await, "nothing has changed");

    for name in ["dos.txt", "id.x", "bin"] {
        place.write(name, "changed\n");
    }
    fs::remove_file(place.path("link")).expect("removed");
    place.write("new/deep/file", "new");
    let after = place.take().await;
    let repository = place.open().await;
    let changed = repository
        .changed_files(&before, &after)
        .await
        .expect("changes");
    let changed: Vec<_> = repository.below_root(&changed);
    assert_eq!(changed, ["bin", "dos.txt", "id.x", "link", "new/deep/file"]);
    drop(repository);

    let paths: Vec<&str> = changed.iter().map(String::as_str).collect();
    place.back(&before.tree, &paths).await.expect("restored");
    assert_eq!(place.take().await, before);
    assert_eq!(place.read("dos.txt").as_deref(), Some("a\r\nb\r\n"));
    assert_eq!(place.read("id.x").as_deref(), Some("$Id$\n"));
    assert_eq!(
        fs::read(place.path("bin")).expect("bytes"),
        [0, 159, 146, 150, 0]
    );
    assert_eq!(
        fs::read_link(place.path("link")).expect("a link"),
        Path::new("dos.txt")
    );
    assert!(
        !place.path("new").exists(),
        "an empty folder is left behind"
    );
    // The user's own repository knows nothing of all that.
    let status = Git::new(place.work(), "for-each-ref")
        .text()
        .await
        .expect("refs");
    assert_eq!(status, "");
    assert!(!place.path(".git/index").exists());
}

#[tokio::test]
async fn what_is_ignored_or_large_is_left_alone() {
    let place = Place::new().await;
    place.write(".gitignore", "*.log\n/build/\n");
    place.write(".git/info/exclude", "secret\n");
    for name in ["a.log", "build/out", "secret", "kept"] {
        place.write(name, "1");
    }
    let large = "x".repeat(NEW_FILE_MAX_BYTES as usize + 1);
    place.write("large", &large);
    let before = place.take().await;
    for name in ["a.log", "build/out", "secret", "kept", "large"] {
        place.write(name, "2");
    }
    let after = place.take().await;
    let repository = place.open().await;
    let changed = repository
        .changed_files(&before, &after)
        .await
        .expect("changes");
    // The large file could not be brought back, and must not be deleted as if it were new.
    assert_eq!(repository.below_root(&changed), ["kept"]);
    drop(repository);
    place.back(&before.tree, &["kept"]).await.expect("restored");
    assert_eq!(place.read("kept").as_deref(), Some("1"));
    for name in ["a.log", "build/out", "secret", "large"] {
        assert_eq!(place.read(name).as_deref(), Some("2"), "{name}");
    }
}

#[tokio::test]
async fn only_the_directory_of_the_session_counts() {
    let place = Place::new().await;
    place.write("sub/in", "1");
    place.write("out", "1");
    let sub = place.path("sub");
    let before = place.open_at(&sub).await.take().await.expect("a snapshot");
    place.write("sub/in", "2");
    place.write("out", "2");
    let repository = place.open_at(&sub).await;
    let after = repository.take().await.expect("a snapshot");
    let changed = repository
        .changed_files(&before, &after)
        .await
        .expect("changes");
    assert_eq!(repository.below_root(&changed), ["sub/in"]);
    let diffs = repository
        .diffs(&before.tree, &after.tree)
        .await
        .expect("diffs");
    assert_eq!(
        (
            diffs[0].file.as_str(),
            diffs[0].additions,
            diffs[0].deletions
        ),
        ("sub/in", 1, 1)
    );
}

#[tokio::test]
async fn nothing_outside_is_ever_touched() {
    let place = Place::new().await;
    place.write("kept", "1");
    let outside = place.folder.path().join("outside");
    fs::create_dir(&outside).expect("a folder");
    fs::write(outside.join("victim"), "precious").expect("a file");
    symlink(&outside, place.path("link")).expect("a link");
    let before = place.take().await;
    let repository = place.open().await;
    let paths = ["/etc/passwd", "../outside/victim", ".git/config"].map(str::to_owned);
    assert_eq!(repository.below_root(&paths), Vec::<String>::new());
    drop(repository);
    // Neither of these may delete or write anything, whether it is refused or ignored.
    for path in [
        "../outside/victim",
        "link/victim",
        ".git/HEAD",
        "/etc/passwd",
        "a\nb",
        "kept/x",
        "",
    ] {
        let _refused_or_not = place.back(&before.tree, &[path]).await;
        assert!(place.path(".git/HEAD").exists(), "{path}");
        let victim = fs::read_to_string(outside.join("victim")).expect("still there");
        assert_eq!(victim, "precious", "{path}");
        assert_eq!(place.take().await, before, "{path}");
    }
    for tree in ["", "--help", "HEAD", &"f".repeat(40)] {
        assert!(place.back(tree, &["kept"]).await.is_err(), "{tree}");
    }
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_stops_it_whole() {
    let place = Place::new().await;
    for name in ["a", "b"] {
        place.write(name, "1");
    }
    let before = place.take().await;
    for name in ["a", "b"] {
        place.write(name, "2");
    }
    let repository = place.open().await;
    let paths = vec!["a".to_owned(), "b".to_owned()];
    let step = Step {
        tree: before.tree,
        paths,
    };
    let (from, to) = repository.compose(&[step]).await.expect("composed");
    place.write("b", "somebody else");
    assert!(repository.apply(&from, &to).await.is_err());
    assert_eq!(place.read("a").as_deref(), Some("2"));
    assert_eq!(place.read("b").as_deref(), Some("somebody else"));
}

#[tokio::test]
async fn where_there_is_no_repository_there_are_no_snapshots() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_string_lossy().into_owned();
    let snapshots = Snapshots::new(&folder.path().join("data"), true);
    assert_eq!(snapshots.take(&path).await, None);
    assert_eq!(snapshots.take("/does/not/exist").await, None);
    let place = Place::new().await;
    let off = Snapshots::new(&place.folder.path().join("data"), false);
    assert_eq!(off.take(&place.work().to_string_lossy()).await, None);
    assert!(!place.folder.path().join("data").exists());
}

#[tokio::test]
async fn batons_own_data_is_in_no_snapshot() {
    let mut place = Place::new().await;
    place.snapshots = Snapshots::new(&place.path("da ta"), true);
    fs::create_dir(place.path("da ta")).expect("a folder");
    place.write("da ta/baton.sqlite", "1");
    let before = place.take().await;
    place.write("da ta/baton.sqlite", "2");
    assert_eq!(place.take().await, before);
}

#[tokio::test]
async fn a_file_may_become_a_folder_and_a_folder_a_file() {
    let place = Place::new().await;
    place.write("a", "file");
    place.write("b/deep", "folder");
    let before = place.take().await;
    fs::remove_file(place.path("a")).expect("removed");
    fs::remove_dir_all(place.path("b")).expect("removed");
    place.write("a/deep", "folder");
    place.write("b", "file");
    let after = place.take().await;
    assert_ne!(before, after);
    let paths = ["a", "a/deep", "b", "b/deep"];
    place.back(&before.tree, &paths).await.expect("restored");
    assert_eq!(place.take().await, before);
    place.back(&after.tree, &paths).await.expect("restored");
    assert_eq!(place.take().await, after);
}

/// Any handful of files; a name may be a folder in one state and a file in the next.
fn any_state() -> impl Strategy<Value = BTreeMap<String, String>> {
    let name = prop::sample::select(vec![
        "a",
        "b",
        "dir/a",
        "dir/b",
        "dir/a/deep",
        "ü x",
        "q\"uote",
    ]);
    prop::collection::btree_map(name.prop_map(str::to_owned), "[a-c\n]{0,4}", 0..5).prop_map(
        |mut files| {
            // Not both a file and a folder.
            if files.contains_key("dir/a") {
                files.remove("dir/a/deep");
            }
            files
        },
    )
}

async fn write_state(place: &Place, state: &BTreeMap<String, String>) {
    for entry in fs::read_dir(place.work()).expect("work").flatten() {
        if entry.file_name() != ".git" {
            let path = entry.path();
            let removed = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
            removed.expect("removed");
        }
    }
    for (name, text) in state {
        place.write(name, text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever was there and whatever has become of it: going back makes it as it was, and going forth
    /// again, too.
    #[test]
    fn going_back_makes_it_as_it_was(first in any_state(), second in any_state()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let place = Place::new().await;
            write_state(&place, &first).await;
            let before = place.take().await;
            write_state(&place, &second).await;
            let after = place.take().await;
            let repository = place.open().await;
            let changed = repository.changed_files(&before, &after).await.expect("changes");
            let step = Step { tree: before.tree.clone(), paths: repository.below_root(&changed) };
            let (from, to) = repository.compose(&[step]).await.expect("composed");
            assert_eq!((&from, &to), (&after.tree, &before.tree));
            repository.apply(&from, &to).await.expect("applied");
            assert_eq!(repository.take().await.expect("a snapshot"), before);
            let again = repository.step_back(&after.tree, &before.tree).await.expect("a step");
            let (from, to) = repository.compose(&[again]).await.expect("composed");
            repository.apply(&from, &to).await.expect("applied");
            assert_eq!(repository.take().await.expect("a snapshot"), after);
            drop(repository);
            for (name, text) in &second {
                assert_eq!(place.read(name).as_ref(), Some(text), "{name}");
            }
        });
    }
}
