//! How the program is linked.

use std::env;
use std::process::Command;

/// The first glibc whose loader reads packed relative relocations.
const PACKED_SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let is_here = env::var("HOST") == env::var("TARGET");
    // A tenth of the memory of an idle server: the loader touches every page of the unpacked table. A loader that cannot
    // read the packed one does not start the program, so that it has to be known to.
    if is_here && target("OS") == "linux" && target("ENV") == "gnu" && glibc() >= Some(PACKED_SINCE)
    {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's glibc.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf")
        .arg("GNU_LIBC_VERSION")
        .output()
        .ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
