//! Programs that run other programs.

/// A program whose last arguments are a command.
pub(super) struct Wrapper {
    pub name: &'static str,
    /// Short options with a value.
    pub valued: &'static str,
    /// Short options without one.
    pub flags: &'static str,
    /// Long options with a value, if that is not joined with `=`.
    pub long: &'static [&'static str],
    /// Words in front of the command.
    pub skip: usize,
    /// Whether variables can be set in front of the command.
    pub sets: bool,
    /// Whether it changes neither who runs the command, nor where, nor with what.
    pub transparent: bool,
}

const fn wrapper(name: &'static str, valued: &'static str, flags: &'static str) -> Wrapper {
    Wrapper {
        name,
        valued,
        flags,
        long: &[],
        skip: 0,
        sets: false,
        transparent: false,
    }
}

const fn passing(name: &'static str, valued: &'static str, flags: &'static str) -> Wrapper {
    Wrapper {
        transparent: true,
        ..wrapper(name, valued, flags)
    }
}

/// Programs that take a command after their own options.
pub(super) const WRAPPERS: &[Wrapper] = &[
    passing("time", "f", "pv"),
    passing("nohup", "", ""),
    Wrapper {
        long: &["--adjustment"],
        ..passing("nice", "n", "")
    },
    passing("ionice", "cn", "t"),
    Wrapper {
        skip: 1,
        long: &["--signal", "--kill-after"],
        ..passing("timeout", "ks", "fpv")
    },
    Wrapper {
        skip: 1,
        long: &["--signal", "--kill-after"],
        ..passing("gtimeout", "ks", "fpv")
    },
    Wrapper {
        long: &["--input", "--output", "--error"],
        ..passing("stdbuf", "ioe", "")
    },
    passing("setsid", "", "cfw"),
    passing("command", "", "p"),
    passing("builtin", "", ""),
    passing("noglob", "", ""),
    passing("nocorrect", "", ""),
    passing("and", "", ""),
    passing("or", "", ""),
    passing("not", "", ""),
    passing("begin", "", ""),
    passing("-", "", ""),
    passing("!", "", ""),
    Wrapper {
        skip: 1,
        ..passing("repeat", "", "")
    },
    passing("busybox", "", ""),
    passing("toybox", "", ""),
    passing("caffeinate", "tw", "dimsu"),
    wrapper("exec", "a", "cl"),
    Wrapper {
        long: &[
            "--user",
            "--group",
            "--prompt",
            "--host",
            "--chdir",
            "--chroot",
            "--close-from",
            "--command-timeout",
            "--other-user",
            "--role",
            "--type",
        ],
        sets: true,
        ..wrapper("sudo", "ugpCDhRrtTU", "AbBEHknPS")
    },
    wrapper("doas", "uC", "n"),
    wrapper("run0", "", ""),
    wrapper("pkexec", "", ""),
    Wrapper {
        sets: true,
        long: &["--unset"],
        ..passing("env", "u", "i0v")
    },
    Wrapper {
        long: &[
            "--arg-file",
            "--delimiter",
            "--replace",
            "--max-lines",
            "--max-args",
            "--max-procs",
            "--max-chars",
        ],
        ..wrapper("xargs", "aEdILlnPs", "0oprtx")
    },
    Wrapper {
        long: &["--interval"],
        ..wrapper("watch", "n", "bcdegptwx")
    },
    wrapper("strace", "abeEIoOpPsSuUX", "cCdfFhikqrtTvVwxyYzZn"),
    wrapper("ltrace", "aAbDeFlnopsuwx", "cCfhiLrStTV"),
    Wrapper {
        skip: 1,
        ..wrapper("chroot", "", "")
    },
    Wrapper {
        skip: 1,
        ..wrapper("taskset", "", "ac")
    },
    Wrapper {
        skip: 1,
        ..wrapper("chrt", "TPD", "bfiorR")
    },
    Wrapper {
        skip: 1,
        ..wrapper("setarch", "", "RBv3")
    },
    Wrapper {
        skip: 1,
        ..wrapper("faketime", "", "fm")
    },
    Wrapper {
        skip: 1,
        ..wrapper("gosu", "", "")
    },
    Wrapper {
        skip: 1,
        ..wrapper("su-exec", "", "")
    },
    wrapper("unbuffer", "", "p"),
    wrapper("setpriv", "", ""),
    wrapper("valgrind", "", ""),
    wrapper("rlwrap", "", ""),
    wrapper("proxychains", "f", "q"),
    wrapper("proxychains4", "f", "q"),
    wrapper("torsocks", "", ""),
    wrapper("xvfb-run", "", "a"),
    wrapper("dbus-run-session", "", ""),
    wrapper("fakeroot", "lsib", "u"),
    wrapper("choom", "n", ""),
    wrapper("cpulimit", "lLpPe", "bcfimqrvz"),
    wrapper("catchsegv", "", ""),
    wrapper("eatmydata", "", ""),
    wrapper("tsocks", "", ""),
    wrapper("chronic", "", "ve"),
    wrapper("ifne", "", "n"),
    wrapper("linux32", "", "RBv3"),
    wrapper("linux64", "", "RBv3"),
    wrapper("i386", "", "RBv3"),
    wrapper("x86_64", "", "RBv3"),
    Wrapper {
        skip: 1,
        ..wrapper("logsave", "", "asv")
    },
];

/// Programs that run another one in a way that is not read here: it may begin at each of their words.
pub(super) const OPAQUE: &[&str] = &[
    "parallel",
    "unshare",
    "nsenter",
    "runuser",
    "su",
    "flock",
    "script",
    "systemd-run",
    "firejail",
    "bwrap",
    "gdb",
    "lldb",
    "perf",
    "entr",
    "ssh",
    "autossh",
    "sshpass",
    "mosh",
    "rsh",
    "screen",
    "tmux",
    "dtach",
    "abduco",
    "at",
    "batch",
    "crontab",
    "capsh",
    "prlimit",
    "cgexec",
    "numactl",
    "start-stop-daemon",
    "daemonize",
    "setuidgid",
    "chpst",
    "envdir",
    "softlimit",
    "direnv",
    "dotenv",
    "mise",
    "asdf",
    "nix-shell",
    "flatpak-spawn",
    "toolbox",
    "distrobox",
    "lxc-attach",
    "machinectl",
    "adb",
    "xdg-open",
    "open",
    "expect",
    "socat",
    "ncat",
    "pwsh",
    "cmd.exe",
    "powershell.exe",
    "wsl",
    "wsl.exe",
    "arch",
    "hyperfine",
    "watchexec",
    "nodemon",
    "fd",
    "fdfind",
    "bind",
    "complete",
    "mapfile",
    "readarray",
    "compgen",
    "fc",
    "hash",
    "enable",
    "alias",
    "xcrun",
    "npx",
    "bunx",
    "pnpx",
    "uvx",
    "pipx",
    "make",
    "ip",
    "doppler",
    "op",
    "chamber",
    "aws-vault",
    "source",
    ".",
    "coproc",
    "sg",
    "newgrp",
    "run-parts",
    "xdotool",
    "xterm",
    "gnome-terminal",
    "konsole",
    "ed",
    "red",
];

/// Programs with a subcommand that runs another program.
pub(super) const RUNNERS: &[(&str, &[&str])] = &[
    ("npm", &["exec", "x"]),
    ("pnpm", &["exec", "dlx"]),
    ("yarn", &["exec", "dlx"]),
    ("bun", &["x"]),
    ("uv", &["run", "tool"]),
    ("poetry", &["run"]),
    ("pipenv", &["run"]),
    ("pdm", &["run"]),
    ("hatch", &["run"]),
    ("rye", &["run"]),
    ("conda", &["run"]),
    ("mamba", &["run"]),
    ("bundle", &["exec"]),
    ("rustup", &["run"]),
    ("volta", &["run"]),
    ("nvm", &["exec", "run"]),
    ("fnm", &["exec"]),
    ("opam", &["exec"]),
    ("nix", &["run", "shell", "develop"]),
    ("docker", &["exec", "run"]),
    ("podman", &["exec", "run"]),
    ("kubectl", &["exec", "run", "debug"]),
    ("git", &["bisect", "submodule", "rebase", "filter-branch"]),
];

/// Shells.
pub(super) const SHELLS: [&str; 13] = [
    "sh", "bash", "zsh", "dash", "ksh", "ksh93", "mksh", "ash", "fish", "rbash", "yash", "csh",
    "tcsh",
];
