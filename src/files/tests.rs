use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::opencode::file::FileKind;

struct Setup {
    folder: tempfile::TempDir,
    root: Root,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("in");
        let write = |path: &str, text: &[u8]| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            std::fs::write(path, text).expect("a file");
        };
        write("secret.txt", b"secret\n");
        write("out/secret.txt", b"secret\n");
        write("in/a.txt", b"plain text\nwith a needle\n");
        write("in/src/main.rs", b"fn main() {} // needle needle\n");
        write("in/src/deep/er/file.txt", b"x\n");
        write("in/build/out.txt", b"needle\n");
        write("in/.hidden/h.txt", b"needle\n");
        write("in/.gitignore", b"build/\n*.log\n");
        write("in/x.log", b"needle\n");
        write("in/binary", b"\0needle\n");
        write("in/latin1.txt", b"caf\xe9 needle\n");
        std::fs::create_dir(inside.join(".git")).expect("a folder");
        std::fs::create_dir(inside.join("empty")).expect("a folder");
        let link = |to: &str, at: &str| {
            std::os::unix::fs::symlink(to, inside.join(at)).expect("a link");
        };
        link("../secret.txt", "file-out");
        link("../out", "folder-out");
        link("src", "folder-in");
        link(
            folder.path().join("in/a.txt").to_str().expect("UTF-8"),
            "absolute-in",
        );
        link("loop", "loop");
        let pipe = std::process::Command::new("mkfifo")
            .arg(inside.join("pipe"))
            .status();
        assert!(pipe.expect("mkfifo").success());
        let root = Root::open(inside.to_str().expect("UTF-8")).expect("it opens");
        Self { folder, root }
    }

    fn read(&self, path: &str) -> Result<String, FileError> {
        let file = self.root.read(path)?;
        Ok(String::from_utf8_lossy(&file.bytes).into_owned())
    }

    fn find(&self, query: &str, wanted: Wanted) -> Vec<String> {
        let names = Names {
            query: query.to_owned(),
            wanted,
            limit: 50,
        };
        let found = find(&self.root, &names, &Deadline::far());
        found.into_iter().map(|entry| entry.path).collect()
    }
}

#[test]
fn what_is_inside_is_read_however_it_is_spelt() {
    let setup = Setup::new();
    let absolute = setup.root.path().join("a.txt");
    for path in [
        "a.txt",
        "./a.txt",
        "src/../a.txt",
        "absolute-in",
        absolute.to_str().expect("UTF-8"),
    ] {
        assert!(setup.read(path).expect(path).starts_with("plain"), "{path}");
    }
    assert!(
        setup
            .read("folder-in/main.rs")
            .expect("a link")
            .contains("main")
    );
}

#[test]
fn nothing_outside_is_read_and_nothing_waits() {
    let setup = Setup::new();
    let outside = setup.folder.path().join("secret.txt");
    for path in [
        "../secret.txt",
        "file-out",
        "folder-out/secret.txt",
        "/etc/passwd",
        "..",
        "/",
        outside.to_str().expect("UTF-8"),
    ] {
        let error = setup.read(path).expect_err(path);
        assert!(matches!(error, FileError::Outside(_)), "{path}: {error:?}");
        let error = setup.root.list(path).expect_err(path);
        assert!(matches!(error, FileError::Outside(_)), "{path}: {error:?}");
    }
    for path in ["pipe", "src", "", "."] {
        let error = setup.read(path).expect_err(path);
        assert!(matches!(error, FileError::NotAFile(_)), "{path}: {error:?}");
    }
    assert!(matches!(setup.read("nope"), Err(FileError::NotFound(_))));
    assert!(matches!(setup.read("a\0b"), Err(FileError::Invalid(_))));
    assert!(matches!(setup.read("loop"), Err(FileError::Io { .. })));
    assert!(matches!(
        setup.root.list("a.txt"),
        Err(FileError::NotADirectory(_))
    ));
}

#[test]
fn a_path_that_leads_out_after_it_was_resolved_is_not_opened() {
    let setup = Setup::new();
    for path in ["file-out", "folder-out/secret.txt", "../secret.txt"] {
        assert!(
            setup.root.open_file(Path::new(path), path).is_err(),
            "{path}"
        );
    }
}

#[test]
fn a_large_file_is_refused() {
    let setup = Setup::new();
    let file = std::fs::File::create(setup.root.path().join("large")).expect("a file");
    file.set_len(1 << 40).expect("a size");
    assert!(matches!(
        setup.read("large"),
        Err(FileError::TooLarge { .. })
    ));
}

#[test]
fn a_folder_lists_folders_first_and_marks_what_is_ignored() {
    let setup = Setup::new();
    let nodes = setup.root.list("").expect("a list");
    let shown: Vec<_> = nodes.iter().map(|n| (n.path.as_str(), n.ignored)).collect();
    assert_eq!(
        shown,
        [
            (".git/", false),
            (".hidden/", false),
            ("build/", true),
            ("empty/", false),
            ("src/", false),
            (".gitignore", false),
            ("a.txt", false),
            ("binary", false),
            ("latin1.txt", false),
            ("x.log", true),
        ]
    );
    let build = setup.root.list("build").expect("a list");
    assert_eq!(
        (build[0].path.as_str(), build[0].ignored),
        ("build/out.txt", true)
    );
    let linked = setup.root.list("folder-in").expect("a list");
    assert_eq!(linked[0].path, "folder-in/deep/");
}

#[test]
fn names_are_found_by_what_is_in_them() {
    let setup = Setup::new();
    assert_eq!(setup.find("main", Wanted::Both), ["src/main.rs"]);
    assert_eq!(setup.find("MAIN RS", Wanted::Both), ["src/main.rs"]);
    assert_eq!(
        setup.find("hid", Wanted::Only(FileKind::File)),
        [".hidden/h.txt"]
    );
    assert_eq!(setup.find("log", Wanted::Both), [""; 0]);
    assert_eq!(
        setup.find("", Wanted::Only(FileKind::Directory)),
        ["src/", ".hidden/", "src/deep/", "src/deep/er/"]
    );
    assert_eq!(setup.find("src", Wanted::Both)[0], "src/");
    assert_eq!(setup.find("", Wanted::Only(FileKind::File))[0], "a.txt");
}

#[test]
fn text_is_found_line_by_line() {
    let setup = Setup::new();
    let found = search(&setup.root, "need[l]e", &Deadline::far()).expect("a pattern");
    let places: Vec<_> = found
        .iter()
        .map(|m| (m.path.text.as_str(), m.line_number, m.submatches.len()))
        .collect();
    assert_eq!(
        places,
        [
            (".hidden/h.txt", 1, 1),
            ("a.txt", 2, 1),
            ("latin1.txt", 1, 1),
            ("src/main.rs", 1, 2)
        ]
    );
    assert_eq!(
        (found[1].lines.text.as_str(), found[1].absolute_offset),
        ("with a needle\n", 11)
    );
    let first = &found[1].submatches[0];
    assert_eq!(
        (first.start, first.end, first.r#match.text.as_str()),
        (7, 13, "needle")
    );
    assert!(matches!(
        search(&setup.root, "(", &Deadline::far()),
        Err(FileError::Pattern(_))
    ));
    std::fs::write(setup.root.path().join("many"), "needle\n".repeat(50)).expect("a file");
    assert_eq!(
        search(&setup.root, "needle", &Deadline::far())
            .expect("a pattern")
            .len(),
        10
    );
}

#[tokio::test]
async fn a_call_ends_when_nobody_waits_for_it() {
    let (tell, mut told) = tokio::sync::mpsc::channel(2);
    let call = tokio::spawn(run("/", Work::One, move |_, deadline| {
        let _heard = tell.blocking_send("begun");
        while !deadline.is_over() {
            std::thread::yield_now();
        }
        let gone = deadline.gone.load(Ordering::Relaxed);
        let _heard = tell.blocking_send(if gone { "nobody waits" } else { "time is over" });
        Ok(())
    }));
    assert_eq!(told.recv().await, Some("begun"));
    call.abort();
    assert_eq!(told.recv().await, Some("nobody waits"));
}

proptest! {
    #[test]
    fn no_path_leads_out(parts in prop::collection::vec(prop::sample::select(vec![
        "..", ".", "", "a.txt", "src", "deep", "folder-out", "file-out", "folder-in", "loop", "pipe",
        "secret.txt", "main.rs", "/", "%2e%2e", "\u{0}", "\u{202e}", "\\", "empty", "absolute-in",
    ]), 0..7), absolute: bool) {
        thread_local! {
            static SETUP: Setup = Setup::new();
        }
        SETUP.with(|setup| {
            let mut path = parts.join("/");
            if absolute {
                path = format!("{}/{path}", setup.root.path().display());
            }
            if let Ok(file) = setup.root.read(&path) {
                let text = String::from_utf8_lossy(&file.bytes).into_owned();
                assert!(!text.contains("secret"), "{path}");
                assert!(setup.root.path().join(&file.path).canonicalize().expect("it is there").starts_with(setup.root.path()));
            }
            for node in setup.root.list(&path).unwrap_or_default() {
                assert!(!node.name.contains("secret"), "{path}");
                assert!(PathBuf::from(&node.absolute).starts_with(setup.root.path()), "{path}");
            }
        });
    }
}
