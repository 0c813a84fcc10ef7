//! A file system that hangs: FUSE, with no process that answers. What asks it waits in the kernel, as with a network
//! share whose server is gone.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// Says to this program that it already runs as root of a name space of its own.
const INNER: &str = "BATON_TEST_HANGING";

/// A directory in which everything hangs for as long as this is there.
pub(super) struct Hanging {
    path: PathBuf,
    /// What the kernel asks is never read from it. When it is closed, all that waits fails.
    _device: File,
}

impl Hanging {
    /// Has everything hang in a directory, for this thread and what it starts.
    pub(super) fn at(path: &Path) -> Self {
        let device = File::options().read(true).write(true).open("/dev/fuse");
        let device = device.expect("/dev/fuse");
        let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
        let options = format!(
            "fd={},rootmode=40000,user_id={uid},group_id={gid}",
            device.as_raw_fd()
        );
        let (name, kind) = (Some("hanging"), Some("fuse"));
        mount(name, path, kind, MsFlags::empty(), Some(options.as_str())).expect("mounted");
        Self {
            path: path.to_owned(),
            _device: device,
        }
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        let _gone_with_the_name_space = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}

/// Whether this thread may mount, which nobody else sees. Who is not root gets a name space of their own, in which
/// the test is run again; where the system forbids that, too, it says so and is left out.
pub(super) fn may_mount(test: &str) -> bool {
    let own = unshare(CloneFlags::CLONE_NEWNS).and_then(|()| {
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
    });
    let device = File::options().read(true).write(true).open("/dev/fuse");
    match (own, device) {
        (Ok(()), Ok(_)) => return true,
        (_, Err(error)) => {
            eprintln!("{test} is skipped: /dev/fuse: {error}");
            return false;
        }
        (Err(error), _) if std::env::var_os(INNER).is_some() => {
            eprintln!("{test} is skipped: no mounts in a user's name space: {error}");
            return false;
        }
        (Err(_), _) => {}
    }
    let program = std::env::current_exe().expect("this program");
    let again = Command::new("unshare")
        .arg("-Urm")
        .arg(program)
        .args([test, "--exact", "--nocapture"])
        .env(INNER, "1")
        .output();
    match again {
        Ok(again) if again.status.success() => {}
        Ok(again) => {
            let said = String::from_utf8_lossy(&again.stderr);
            // unshare itself says why the system forbids it.
            assert!(
                said.starts_with("unshare:"),
                "{said}{}",
                String::from_utf8_lossy(&again.stdout)
            );
            eprintln!("{test} is skipped: {said}");
        }
        Err(error) => eprintln!("{test} is skipped: unshare: {error}"),
    }
    false
}
