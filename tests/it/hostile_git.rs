//! Repositories that name programs: looking at files starts none of them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::Server;
use crate::places::git;

/// A program that leaves a mark, with the environment that it was given, and passes on what it reads.
fn program(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    let mark = folder.join("marks").join(name);
    std::fs::create_dir_all(folder.join("marks")).expect("a folder");
    let text = format!("#!/bin/sh\nenv > {}\ncat\n", mark.display());
    std::fs::write(&path, text).expect("a program");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("executable");
    path.to_str().expect("UTF-8").to_owned()
}

fn marks(folder: &Path) -> Vec<String> {
    let marks = folder.join("marks").read_dir().expect("a folder");
    let mut names: Vec<String> = marks
        .flatten()
        .map(|mark| mark.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A repository with a submodule, every kind of attribute, and changes, and then every setting that names a program.
fn repository(folder: &Path) -> PathBuf {
    let work = folder.join("hostile");
    let inner = folder.join("inner");
    for at in [&work, &inner] {
        std::fs::create_dir_all(at).expect("a folder");
        git(at, &["init", "-q", "-b", "main"]);
        std::fs::write(at.join("file.txt"), "one\ntwo\n").expect("a file");
        std::fs::write(
            at.join(".gitattributes"),
            "* filter=evil diff=evil merge=evil\n",
        )
        .expect("a file");
    }
    git(&inner, &["add", "-A"]);
    git(&inner, &["commit", "-q", "-m", "inner"]);
    let add = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        "../inner",
        "sub",
    ];
    git(&work, &add);
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-q", "-m", "first"]);

    let names = [
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "filter.e v=i.l.clean",
        "diff.external",
        "diff.evil.command",
        "diff.evil.textconv",
        "merge.evil.driver",
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "core.askPass",
        "core.gitProxy",
        "core.alternateRefsCommand",
        "pager.diff",
        "pager.status",
        "credential.helper",
        "gpg.program",
        "gpg.ssh.program",
        "sequence.editor",
        "uploadpack.packObjectsHook",
        "interactive.diffFilter",
        "remote.origin.uploadpack",
        "trace2.eventTarget",
        "difftool.x.cmd",
        "alias.diff",
        "alias.status",
    ];
    for at in [work.clone(), work.join("sub")] {
        for name in names {
            let program = program(folder, &name.replace([' ', '='], "_"));
            let value = match name.starts_with("alias") {
                true => format!("!{program}"),
                false => program,
            };
            git(&at, &["config", name, &value]);
        }
        git(&at, &["config", "filter.evil.required", "true"]);
        git(&at, &["config", "log.showSignature", "true"]);
        git(&at, &["config", "diff.submodule", "diff"]);
        git(&at, &["config", "status.submoduleSummary", "true"]);
        git(&at, &["config", "submodule.recurse", "true"]);
        let hooks = folder.join("hooks");
        std::fs::create_dir_all(&hooks).expect("a folder");
        for hook in [
            "post-index-change",
            "post-checkout",
            "reference-transaction",
            "fsmonitor-watchman",
        ] {
            std::fs::copy(program(folder, &format!("hook-{hook}")), hooks.join(hook))
                .expect("a hook");
        }
        git(
            &at,
            &["config", "core.hooksPath", hooks.to_str().expect("UTF-8")],
        );
        std::fs::write(at.join("file.txt"), "one\nchanged\n").expect("a file");
        std::fs::write(at.join("new.txt"), "new\n").expect("a file");
    }
    // A configuration that is included, and attributes that are not a file.
    let more = folder.join("more.config");
    std::fs::write(
        &more,
        format!(
            "[filter \"included\"]\nclean = {}\n",
            program(folder, "included")
        ),
    )
    .expect("a file");
    git(
        &work,
        &["config", "include.path", more.to_str().expect("UTF-8")],
    );
    std::fs::write(
        work.join(".git/info/attributes"),
        "*.txt filter=included diff=evil\n",
    )
    .expect("a file");
    work
}

#[tokio::test]
async fn nothing_that_a_repository_names_is_run() {
    let server = Server::start().await;
    let folder = server.folder.path().canonicalize().expect("it exists");
    let work = repository(&folder);
    // What git itself would do, so that the test knows that it is one.
    let diff = std::process::Command::new("git")
        .args(["diff", "HEAD"])
        .current_dir(&work)
        .output();
    diff.expect("git");
    assert!(!marks(&folder).is_empty(), "the repository is harmless");
    for mark in marks(&folder) {
        std::fs::remove_file(folder.join("marks").join(mark)).expect("removed");
    }
    let at = work.display();
    let status = server
        .get(&format!("/opencode/vcs/status?directory={at}"))
        .await;
    let files: Vec<_> = status
        .as_array()
        .expect("a list")
        .iter()
        .map(|f| f["file"].as_str().expect("a name"))
        .collect();
    assert_eq!(files, ["file.txt", "new.txt"], "{status}");
    let diff = server
        .get(&format!("/opencode/vcs/diff?mode=git&directory={at}"))
        .await;
    assert!(
        diff[0]["patch"]
            .as_str()
            .is_some_and(|p| p.contains("-two\n+changed")),
        "{diff}"
    );
    for path in [
        "vcs?",
        "vcs/diff?mode=branch&",
        "vcs/diff/raw?",
        "file/status?",
        "project/current?",
        "find/file?query=f&",
        "file?path=&",
    ] {
        server
            .request(
                Method::GET,
                &format!("/opencode/{path}directory={at}"),
                None,
                &[],
            )
            .await;
    }
    assert_eq!(marks(&folder), [""; 0]);

    // A turn with its snapshots, and back again.
    let path = format!("/opencode/session?directory={at}");
    let session = server.ok(Method::POST, &path, Some(json!({}))).await;
    let id = session["id"].as_str().expect("an id");
    let answer = server.prompt(id, "tool file.txt", json!({})).await;
    let text = || std::fs::read_to_string(work.join("file.txt")).expect("a file");
    assert_ne!(text(), "one\nchanged\n", "{answer}");
    let message = answer["info"]["parentID"].as_str().expect("a prompt");
    let path = format!("/opencode/session/{id}/revert");
    server
        .ok(Method::POST, &path, Some(json!({ "messageID": message })))
        .await;
    assert_eq!(text(), "one\nchanged\n");
    server
        .ok(
            Method::POST,
            &format!("/opencode/session/{id}/unrevert"),
            None,
        )
        .await;
    assert_eq!(marks(&folder), [""; 0]);

    // A patch would have to go through the filter: that is said, and nothing is done.
    let patch = "--- a/new.txt\n+++ b/new.txt\n@@ -1 +1 @@\n-new\n+patched\n";
    let path = format!("/opencode/vcs/apply?directory={at}");
    let (status, body) = server
        .send(Method::POST, &path, Some(json!({ "patch": patch })))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    assert!(body.to_string().contains("filter"), "{body}");
    assert_eq!(marks(&folder), [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn a_working_tree_elsewhere_and_an_owner_who_is_somebody_else_show_nothing() {
    let server = Server::start().await;
    let folder = server.folder.path().canonicalize().expect("it exists");
    let work = folder.join("tricks");
    let secret = folder.join("private");
    for at in [&work, &secret] {
        std::fs::create_dir_all(at).expect("a folder");
    }
    std::fs::write(secret.join("key.txt"), "a secret key\n").expect("a file");
    std::fs::write(work.join("key.txt"), "harmless\n").expect("a file");
    git(&work, &["init", "-q", "-b", "main"]);
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-q", "-m", "first"]);
    git(
        &work,
        &["config", "core.worktree", secret.to_str().expect("UTF-8")],
    );
    for path in [
        "vcs/status?",
        "vcs/diff?mode=git&",
        "vcs/diff/raw?",
        "file/status?",
    ] {
        let path = format!("/opencode/{path}directory={}", work.display());
        let response = server.request(Method::GET, &path, None, &[]).await;
        let body = response.text().await.expect("a body");
        assert!(
            !body.contains("secret") && !body.contains("key.txt"),
            "{path}: {body}"
        );
    }
    git(&work, &["config", "--unset", "core.worktree"]);
    // Only root can give a repository to somebody else.
    if nix::unistd::geteuid().is_root() {
        let owner = nix::unistd::Uid::from_raw(12_345);
        for at in [work.join(".git"), work.clone()] {
            nix::unistd::chown(&at, Some(owner), None).expect("given away");
        }
        let path = format!("/opencode/vcs/status?directory={}", work.display());
        let (status, body) = server.send(Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(body.to_string().contains("dubious ownership"), "{body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn git_gets_no_password_and_no_key() {
    let server = Server::start().await;
    let folder = server.folder.path().canonicalize().expect("it exists");
    let work = folder.join("watched");
    std::fs::create_dir(&work).expect("a folder");
    git(&work, &["init", "-q"]);
    // The one file of git's that makes it wait: its environment can be read meanwhile.
    let config = folder.join("included");
    nix::unistd::mkfifo(&config, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    std::fs::write(
        work.join(".git/config"),
        format!("[include]\npath = {}\n", config.display()),
    )
    .expect("a file");
    let url = format!("{}/opencode/vcs?directory={}", server.url, work.display());
    let asked = tokio::spawn(server.client.get(url).send());
    // Opening its other end waits until git has opened this one.
    let opened =
        tokio::task::spawn_blocking(move || std::fs::File::options().write(true).open(config));
    let other_end = opened.await.expect("no panic").expect("git reads it");
    let mut seen = 0;
    for entry in Path::new("/proc").read_dir().expect("/proc").flatten() {
        let parent = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let is_child = parent
            .rsplit(") ")
            .next()
            .is_some_and(|rest| rest.split(' ').nth(1) == Some(&server.pid().to_string()));
        let program = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if !is_child || program.trim() != "git" {
            continue;
        }
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let names: Vec<_> = environment
            .split('\0')
            .filter_map(|v| v.split('=').next())
            .collect();
        assert!(
            !names
                .iter()
                .any(|n| n.starts_with("BATON") || n.contains("KEY")),
            "{names:?}"
        );
        assert!(
            names.contains(&"GIT_TERMINAL_PROMPT") && names.contains(&"GIT_OPTIONAL_LOCKS"),
            "{names:?}"
        );
        seen += 1;
    }
    drop(other_end);
    assert!(seen > 0, "no git was seen");
    asked.abort();
    server.stop().await;
}
