//! The one way in which a file is read because it lies somewhere: regular files of real file systems, within bounds.
//!
//! A pipe would be waited for, a device has no end, and `/proc` shows the environment of processes. So a file is
//! looked at before it is opened, is opened without waiting, and the open descriptor is looked at again: what kind
//! of file it is, and what file system it lies on.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc::{O_NOCTTY, O_NOFOLLOW, O_NONBLOCK};
use parking_lot::RwLock;

/// Where the system shows itself as files, whatever is mounted there.
const SYSTEM_FOLDERS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The types of file systems that hold no files of people, from Linux's `magic.h`.
#[cfg(target_os = "linux")]
const PSEUDO_FILE_SYSTEMS: [u32; 25] = [
    0x0000_9fa0, // proc
    0x6265_6572, // sysfs
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup 2
    0xcafe_4a11, // bpf
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x0000_1cd1, // devpts
    0x6265_6570, // configfs
    0x1980_0202, // mqueue
    0x4249_4e4d, // binfmt_misc
    0xf97c_ff8c, // selinuxfs
    0x4341_5d53, // smackfs
    0x6e73_6673, // nsfs
    0x534f_434b, // sockfs
    0x5049_5045, // pipefs
    0x0904_1934, // anonymous inodes
    0x6573_5543, // fusectl
    0x6e66_7364, // nfsd
    0xabba_1974, // xenfs
    0x0000_9fa1, // openprom
    0x6759_6969, // rpc_pipefs
];

/// What is done about a symbolic link at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// What it points to is read, if that is a regular file on a real file system.
    Follow,
    /// It is refused.
    Refuse,
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is a folder, a pipe, a device, or a link where none is followed.
    #[error("it is not a regular file")]
    NotRegular,
    /// It lies where nothing is read.
    #[error("it lies on a pseudo file system like /proc, or in Baton's own data")]
    Withheld,
    /// It is larger than may be read.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// The system refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A file or folder that is never read for anybody: its path, and its device and inode, by which it is known under
/// another mount, too.
#[derive(Debug, PartialEq, Eq)]
struct Own {
    path: PathBuf,
    identity: (u64, u64),
}

static OWN: RwLock<Vec<Own>> = RwLock::new(Vec::new());

/// Has a file or folder, with all that is in it, withheld from now on. What does not exist is skipped.
pub fn withhold(path: &Path) {
    let (Ok(path), Ok(metadata)) = (path.canonicalize(), path.metadata()) else {
        return;
    };
    let identity = identity(&metadata);
    let own = Own { path, identity };
    let mut known = OWN.write();
    if !known.contains(&own) {
        known.push(own);
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Whether a path, which has to be free of links, leads where nothing is read. Blocks.
pub fn is_withheld_path(real: &Path) -> bool {
    real.ancestors().any(is_withheld)
}

/// The same for a path whose folder is known not to. Blocks.
pub fn is_withheld(path: &Path) -> bool {
    let is_system = SYSTEM_FOLDERS
        .iter()
        .any(|folder| path == Path::new(folder));
    is_system || is_own(|| path.symlink_metadata(), |own| own.path == path)
}

/// Whether one of Baton's own files is what the metadata are of, or else meets a condition.
fn is_own(metadata: impl FnOnce() -> io::Result<Metadata>, or_else: impl Fn(&Own) -> bool) -> bool {
    let known = OWN.read();
    if known.is_empty() {
        return false;
    }
    let identity = metadata().map(|metadata| identity(&metadata)).ok();
    // The number of one that was removed may be another file's by now.
    let is_still_it = |own: &Own| {
        let now = own.path.symlink_metadata().map(|m| self::identity(&m));
        now.ok() == Some(own.identity)
    };
    let is_it = |own: &Own| or_else(own) || Some(own.identity) == identity && is_still_it(own);
    known.iter().any(is_it)
}

/// Whether an open file or folder lies on a file system that holds no files of people.
pub fn is_on_pseudo_file_system(file: impl AsFd) -> bool {
    #[cfg(target_os = "linux")]
    {
        // The type has 32 bits, whatever type of number the system's header gives it.
        let kind = rustix::fs::fstatfs(file).map(|s| (s.f_type as u64 & 0xffff_ffff) as u32);
        // What cannot be looked at is not trusted.
        kind.map_or(true, |kind| PSEUDO_FILE_SYSTEMS.contains(&kind))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _has_none_of_them = file;
        false
    }
}

/// Says of an open file whether it may be read.
///
/// # Errors
/// When it is not a regular file, lies on a pseudo file system, or is one of Baton's own.
pub fn check(file: &File) -> Result<(), Refused> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Refused::NotRegular);
    }
    match is_on_pseudo_file_system(file) || is_own(|| Ok(metadata), |_| false) {
        true => Err(Refused::Withheld),
        false => Ok(()),
    }
}

/// Opens a regular file without waiting for anything. Blocks as long as the file system does.
///
/// # Errors
/// See [`Refused`].
pub fn open(path: &Path, links: Links) -> Result<File, Refused> {
    // Opening a device can have effects of its own, so it is looked at before; and since it may have become one
    // meanwhile, looked at again afterwards.
    let (seen, flag) = match links {
        Links::Follow => (path.metadata()?, 0),
        Links::Refuse => (path.symlink_metadata()?, O_NOFOLLOW),
    };
    if !seen.is_file() {
        return Err(Refused::NotRegular);
    }
    if is_withheld_path(&path.canonicalize()?) {
        return Err(Refused::Withheld);
    }
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(flag | O_NONBLOCK | O_NOCTTY);
    let file = options.open(path)?;
    check(&file)?;
    Ok(file)
}

/// All of a file.
///
/// # Errors
/// See [`Refused`]; also when it is larger than `max_bytes`.
pub fn read(path: &Path, links: Links, max_bytes: u64) -> Result<Vec<u8>, Refused> {
    read_open(open(path, links)?, max_bytes)
}

/// All of an open file.
///
/// # Errors
/// When it cannot be read, or is larger than `max_bytes`.
pub fn read_open(file: impl Read, max_bytes: u64) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    // One more than may be, so that a file that grows is noticed.
    file.take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max_bytes {
        true => Err(Refused::TooLarge(max_bytes)),
        false => Ok(bytes),
    }
}

/// The beginning of a file, up to `max_bytes`.
///
/// # Errors
/// See [`Refused`].
pub fn beginning(path: &Path, links: Links, max_bytes: u64) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    let file = open(path, links)?;
    file.take(max_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = 100;

    #[test]
    fn only_regular_files_are_read_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(to, at(name)).expect("a link");
        };
        std::fs::write(at("file"), "text").expect("a file");
        std::fs::write(at("large"), "x".repeat(101)).expect("a file");
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("a socket");
        link("file", "link");
        link("pipe", "to-pipe");
        link("/dev/zero", "zero");
        link("/proc/self/environ", "environ");
        link("loop", "loop");

        let all = |name: &str, links| read(&at(name), links, MAX);
        assert_eq!(all("file", Links::Refuse).expect("a file"), b"text");
        assert_eq!(all("link", Links::Follow).expect("a file"), b"text");
        for name in [".", "pipe", "to-pipe", "zero", "socket"] {
            let error = all(name, Links::Follow).expect_err(name);
            assert!(matches!(error, Refused::NotRegular), "{name}: {error}");
        }
        for name in ["link", "zero", "environ", "loop"] {
            let error = all(name, Links::Refuse).expect_err(name);
            assert!(matches!(error, Refused::NotRegular), "{name}: {error}");
        }
        let error = all("environ", Links::Follow).expect_err("of /proc");
        assert!(matches!(error, Refused::Withheld), "{error}");
        let error = all("large", Links::Follow).expect_err("larger");
        assert!(matches!(error, Refused::TooLarge(MAX)), "{error}");
        let beginning = beginning(&at("large"), Links::Refuse, 3);
        assert_eq!(beginning.expect("a file"), b"xxx");
        assert!(matches!(all("loop", Links::Follow), Err(Refused::Io(_))));
    }

    #[test]
    fn what_is_open_tells_its_file_system() {
        let environ = File::open("/proc/self/environ").expect("Linux");
        assert!(matches!(check(&environ), Err(Refused::Withheld)));
        let folder = File::open("/sys").expect("Linux");
        assert!(is_on_pseudo_file_system(&folder));
        let file = tempfile::tempfile().expect("a file");
        assert!(check(&file).is_ok());
    }

    #[test]
    fn what_is_withheld_is_known_by_path_and_by_identity() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("own");
        std::fs::create_dir(&own).expect("a folder");
        std::fs::write(own.join("store"), "secret").expect("a file");
        withhold(&own);
        withhold(&folder.path().join("not there"));
        let error = read(&own.join("store"), Links::Follow, MAX).expect_err("own");
        assert!(matches!(error, Refused::Withheld), "{error}");
        assert!(is_withheld(&own) && is_withheld_path(&own.join("store")));
        // By another name it is still the same, as it is under another mount.
        let (store, link) = (own.join("store"), folder.path().join("link"));
        withhold(&store);
        std::fs::hard_link(&store, &link).expect("a link");
        let file = File::open(&link).expect("a file");
        assert!(matches!(check(&file), Err(Refused::Withheld)));
        assert!(is_withheld(&link));
        // Removed, its number is free for somebody else's file.
        std::fs::remove_file(&store).expect("removed");
        assert!(check(&file).is_ok() && !is_withheld(&link));
        assert!(!is_withheld_path(folder.path()));
        for path in ["/dev/shm/x", "/proc", "/sys/kernel"] {
            assert!(is_withheld_path(Path::new(path)), "{path}");
        }
        assert!(!is_withheld_path(Path::new("/devil")));
    }
}
