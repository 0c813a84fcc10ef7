//! What `always` allows from then on. The request says it, and exactly that is remembered.
//!
//! - a program that does one kind of thing: the program (`ls *`);
//! - one with subcommands: program and subcommand (`git status *`, `npm run build *`);
//! - what runs other programs, or does what its arguments say: exactly this text;
//! - whatever is more than one simple command, or not understood: exactly this text.

use super::line::{Line, Part};
use super::word::Word;
use super::wrapper;

/// The longest text that is remembered, in bytes. A longer one is allowed once.
const MAX_BYTES: usize = 4 * 1024;

/// Programs with subcommands.
const SUBCOMMANDS: &[&str] = &[
    "git",
    "jj",
    "hg",
    "svn",
    "npm",
    "pnpm",
    "yarn",
    "bun",
    "deno",
    "cargo",
    "rustup",
    "go",
    "pip",
    "pip3",
    "uv",
    "poetry",
    "pipenv",
    "pdm",
    "hatch",
    "rye",
    "conda",
    "mamba",
    "composer",
    "bundle",
    "gem",
    "mix",
    "rebar3",
    "flutter",
    "dart",
    "swift",
    "zig",
    "dotnet",
    "nuget",
    "mvn",
    "gradle",
    "sbt",
    "lein",
    "stack",
    "cabal",
    "opam",
    "dune",
    "nix",
    "docker",
    "podman",
    "docker-compose",
    "kubectl",
    "helm",
    "minikube",
    "kind",
    "oc",
    "terraform",
    "tofu",
    "pulumi",
    "vagrant",
    "ansible-galaxy",
    "aws",
    "gcloud",
    "az",
    "gh",
    "glab",
    "heroku",
    "fly",
    "flyctl",
    "vercel",
    "netlify",
    "wrangler",
    "supabase",
    "firebase",
    "doctl",
    "brew",
    "apt",
    "apt-get",
    "dnf",
    "yum",
    "zypper",
    "apk",
    "snap",
    "flatpak",
    "port",
    "systemctl",
    "service",
    "launchctl",
    "rc-service",
    "nmcli",
    "virsh",
    "openssl",
    "gpg",
    "make",
    "gmake",
    "just",
    "task",
    "rake",
    "nx",
    "turbo",
    "lerna",
    "bazel",
    "buck2",
    "pre-commit",
    "tox",
    "nox",
    "alembic",
    "flask",
    "rails",
    "prisma",
    "hugo",
    "jekyll",
    "wasm-pack",
    "trunk",
    "adb",
    "op",
    "vault",
    "consul",
    "nomad",
    "kustomize",
    "argocd",
    "istioctl",
];
/// Programs and subcommands that have subcommands in turn.
const DEEPER: &[(&str, &[&str])] = &[
    (
        "npm",
        &[
            "run",
            "run-script",
            "config",
            "cache",
            "token",
            "access",
            "pkg",
        ],
    ),
    ("pnpm", &["run", "store", "config"]),
    ("yarn", &["run", "workspace", "config", "npm"]),
    ("bun", &["run", "pm"]),
    ("deno", &["task"]),
    (
        "git",
        &[
            "remote",
            "stash",
            "worktree",
            "notes",
            "submodule",
            "lfs",
            "flow",
        ],
    ),
    (
        "docker",
        &[
            "compose",
            "container",
            "image",
            "volume",
            "network",
            "system",
            "buildx",
            "builder",
            "context",
        ],
    ),
    (
        "podman",
        &[
            "compose",
            "container",
            "image",
            "volume",
            "network",
            "system",
        ],
    ),
    ("kubectl", &["config", "rollout", "create", "set", "auth"]),
    ("gh", &["*"]),
    ("glab", &["*"]),
    ("aws", &["*"]),
    ("gcloud", &["*"]),
    ("az", &["*"]),
    ("uv", &["pip", "python", "cache"]),
    ("terraform", &["state", "workspace"]),
    ("helm", &["repo"]),
];
/// Programs that do what their arguments say: interpreters, editors, and what talks to others.
const SPOKEN: &[&str] = &[
    "python",
    "python2",
    "python3",
    "pypy",
    "pypy3",
    "ipython",
    "node",
    "nodejs",
    "ts-node",
    "tsx",
    "ruby",
    "irb",
    "perl",
    "php",
    "lua",
    "luajit",
    "R",
    "Rscript",
    "julia",
    "java",
    "jshell",
    "scala",
    "kotlin",
    "groovy",
    "ghci",
    "runghc",
    "elixir",
    "iex",
    "erl",
    "escript",
    "guile",
    "racket",
    "sbcl",
    "clojure",
    "tclsh",
    "wish",
    "osascript",
    "awk",
    "gawk",
    "mawk",
    "nawk",
    "sed",
    "gsed",
    "ed",
    "ex",
    "vi",
    "vim",
    "nvim",
    "emacs",
    "nano",
    "psql",
    "mysql",
    "mariadb",
    "sqlite3",
    "mongo",
    "mongosh",
    "redis-cli",
    "curl",
    "wget",
    "nc",
    "netcat",
    "telnet",
    "ftp",
    "sftp",
    "scp",
    "rsync",
    "tar",
    "dd",
    "qemu",
    "m4",
    "bc",
    "dc",
    "jshell",
    "x-terminal-emulator",
    "xterm",
    "export",
    "declare",
    "typeset",
    "readonly",
    "local",
    "set",
    "shopt",
    "setopt",
    "unset",
    "unalias",
    "let",
    "read",
    "cd",
    "pushd",
    "[",
    "[[",
    "test",
];

/// What `always` means when a line is asked about.
pub(crate) fn always(line: &Line) -> Vec<String> {
    let told = match line.parts.as_slice() {
        [part] if line.plain => of_part(part),
        _ => line.text.clone(),
    };
    match told.is_empty() || told.len() > MAX_BYTES {
        true => Vec::new(),
        false => vec![told],
    }
}

/// The pattern for one simple command: the words that say what it does and ` *`, or its own text.
pub(super) fn of_part(part: &Part) -> String {
    kind(part).map_or_else(
        || part.source.clone(),
        |words| format!("{} *", words.join(" ")),
    )
}

fn kind(part: &Part) -> Option<Vec<&str>> {
    let plain = |word: &Word| {
        let safe = |c: char| c.is_ascii_alphanumeric() || "_.:@+-".contains(c);
        word.literal && !word.glob && !word.text.is_empty() && word.text.chars().all(safe)
    };
    let name = part.words.first().filter(|word| plain(word))?.text.as_str();
    let literal = part.words.iter().all(|word| word.literal);
    if !part.sure
        || !part.inner.is_empty()
        || !literal
        || SPOKEN.contains(&name)
        || wrapper::is_wrapper(name)
    {
        return None;
    }
    // A versioned interpreter, such as python3.13.
    let family = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    if family != name && SPOKEN.contains(&family) {
        return None;
    }
    if !SUBCOMMANDS.contains(&name) {
        return Some(vec![name]);
    }
    let sub = |at: usize| {
        let word = part.words.get(at).filter(|word| plain(word))?;
        (!word.text.starts_with('-')).then_some(word.text.as_str())
    };
    let first = sub(1)?;
    if wrapper::is_runner(name, first)
        || (name, first) == ("go", "run")
        || (name, first) == ("deno", "run")
        || (name, first) == ("gh", "api")
    {
        return None;
    }
    let deeper = DEEPER
        .iter()
        .any(|(program, subs)| *program == name && (subs.contains(&"*") || subs.contains(&first)));
    match deeper {
        true => Some(vec![name, first, sub(2)?]),
        false => Some(vec![name, first]),
    }
}
