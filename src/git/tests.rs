use super::*;

fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let init = std::process::Command::new("git")
        .args(["init", "--quiet", "--initial-branch", "trunk"])
        .current_dir(folder.path())
        .status();
    assert!(init.expect("git").success());
    folder
}

#[tokio::test]
async fn it_prints_reads_and_fails() {
    let folder = repository();
    let branch = Git::new(folder.path(), "symbolic-ref").args(["--short", "HEAD"]);
    assert_eq!(branch.text().await.expect("a branch").trim(), "trunk");

    let hash = Git::new(folder.path(), "hash-object")
        .arg("--stdin")
        .input(b"hello\n".to_vec());
    assert_eq!(
        hash.text().await.expect("a hash").trim(),
        "ce013625030ba8dba906f756967f9e9ca394464a"
    );

    let failed = Git::new(folder.path(), "rev-parse").args(["--verify", "HEAD"]);
    let failed = failed.run().await.expect_err("there is no commit");
    assert!(
        matches!(&failed, GitError::Failed { code: Some(128), stderr, .. } if stderr.contains("fatal")),
        "{failed}"
    );
    let nowhere = Git::new("/does/not/exist", "status").run().await;
    assert!(matches!(nowhere, Err(GitError::Failed { .. })));
}

#[tokio::test]
async fn output_and_time_are_bounded() {
    let folder = repository();
    std::fs::write(folder.path().join("large"), vec![b'x'; 100_000]).expect("a file");
    let large = |max| {
        Git::new(folder.path(), "diff")
            .args(["--no-index", "--", "/dev/null", "large"])
            .output_max_bytes(max)
    };
    let error = large(1000).run().await.expect_err("it is larger");
    assert!(
        matches!(
            error,
            GitError::TooLarge {
                max_bytes: 1000,
                ..
            }
        ),
        "{error}"
    );

    // An alias is the one way in which git itself starts another program here.
    let slow = Git::new(folder.path(), "slow")
        .setting("alias.slow=!sleep 1000 & sleep 1000")
        .timeout(Duration::from_millis(300));
    let error = slow.run().await.expect_err("it takes longer");
    assert!(matches!(error, GitError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn what_a_repository_configures_starts_nothing() {
    let folder = repository();
    let trace = folder.path().join("started");
    let hook = folder.path().join("hook.sh");
    std::fs::write(&hook, format!("#!/bin/sh\ntouch {}\n", trace.display())).expect("a hook");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("executable");
    let configure = Git::new(folder.path(), "config")
        .arg("core.fsmonitor")
        .arg(&hook);
    configure.run().await.expect("configured");
    let status = Git::new(folder.path(), "status").arg("--porcelain=v1");
    assert!(
        status
            .text()
            .await
            .expect("a status")
            .contains("?? hook.sh")
    );
    assert!(!trace.exists(), "the repository's program was started");
}
