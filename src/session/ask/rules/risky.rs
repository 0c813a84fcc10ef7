//! Options of ordinary programs that run other programs, or write where the program says.
//!
//! A rule such as `git *` was written with git in mind, not with `git -c core.pager=…`: with such an option a command
//! is asked whatever rule would allow it. The list is of what is known. A rule for an interpreter (`python *`) or for a
//! project's own scripts (`npm test`) allows what these run.

use super::line::program;
use super::word::Word;

/// What is asked of one program.
struct Risk {
    names: &'static [&'static str],
    /// Letters of short options.
    short: &'static str,
    /// Long options without their dashes. Programs take their beginnings, too.
    long: &'static [&'static str],
    /// Pieces of any argument.
    pieces: &'static [&'static str],
}

const fn risk(
    names: &'static [&'static str],
    short: &'static str,
    long: &'static [&'static str],
) -> Risk {
    Risk {
        names,
        short,
        long,
        pieces: &[],
    }
}

const RISKS: &[Risk] = &[
    risk(
        &["tar", "gtar", "bsdtar"],
        "IF",
        &[
            "to-command",
            "checkpoint-action",
            "use-compress-program",
            "rsh-command",
            "rmt-command",
            "info-script",
            "new-volume-script",
        ],
    ),
    Risk {
        pieces: &["::"],
        ..risk(&["rsync"], "e", &["rsh", "rsync-path"])
    },
    Risk {
        pieces: &["ProxyCommand", "LocalCommand"],
        ..risk(&["scp", "sftp"], "SoF", &[])
    },
    risk(&["rg"], "", &["pre", "hostname-bin", "search-zip"]),
    risk(&["ag", "ack"], "", &["pager"]),
    risk(
        &["fzf", "sk"],
        "",
        &["preview", "bind", "with-shell", "execute"],
    ),
    risk(
        &["nc", "netcat", "nc.traditional"],
        "ec",
        &["exec", "sh-exec", "lua-exec"],
    ),
    risk(&["sort"], "o", &["compress-program", "output"]),
    risk(&["split"], "", &["filter"]),
    risk(&["zip"], "T", &["unzip-command"]),
    risk(&["man"], "PH", &["pager", "html"]),
    risk(&["bat", "batcat", "delta"], "", &["pager"]),
    Risk {
        pieces: &["+!", "!"],
        ..risk(&["less", "more", "most"], "kK", &["lesskey-file"])
    },
    Risk {
        pieces: &["+"],
        ..risk(
            &["vi", "vim", "nvim", "view", "ex", "gvim", "vimdiff"],
            "cSsuwW",
            &["cmd", "startuptime"],
        )
    },
    risk(
        &["emacs"],
        "lf",
        &["eval", "load", "funcall", "execute", "script", "batch"],
    ),
    risk(&["nano", "pico", "ed"], "sS", &["speller"]),
    risk(
        &["wget"],
        "",
        &["use-askpass", "config", "execute", "output-document"],
    ),
    risk(&["wget2"], "", &["use-askpass", "config", "execute"]),
    risk(&["curl"], "K", &["config", "netrc-file", "engine"]),
    risk(&["hg", "chg"], "", &["config", "config-file"]),
    risk(
        &["svn"],
        "",
        &[
            "diff-cmd",
            "diff3-cmd",
            "merge-cmd",
            "editor-cmd",
            "config-option",
            "config-dir",
        ],
    ),
    risk(&["go"], "", &["exec", "toolexec", "vettool", "fuzztool"]),
    Risk {
        pieces: &["@"],
        ..risk(
            &["gcc", "g++", "cc", "c++", "clang", "clang++"],
            "B",
            &["wrapper", "fplugin", "specs", "load"],
        )
    },
    Risk {
        pieces: &["SHELL=", "MAKEFLAGS="],
        ..risk(&["make", "gmake"], "E", &["eval"])
    },
    risk(&["cargo"], "", &["config"]),
    risk(
        &["npm", "npx", "pnpm", "yarn"],
        "",
        &[
            "script-shell",
            "node-options",
            "shell",
            "shell-emulator",
            "globalconfig",
            "userconfig",
        ],
    ),
    risk(&["kubectl", "helm"], "", &["kubeconfig", "post-renderer"]),
    risk(&["openssl"], "", &["engine", "provider-path"]),
    risk(&["tcpdump"], "z", &["postrotate-command"]),
    risk(&["nmap"], "", &["script", "interactive"]),
    Risk {
        pieces: &["\\!", ".shell", ".system", "system ", "COPY ", "copy "],
        ..risk(&["psql", "sqlite3", "mysql", "mariadb"], "", &["pager"])
    },
    risk(&["gh", "glab"], "", &["shell", "exec"]),
    risk(&["cpio"], "", &["rsh-command"]),
    risk(
        &["dpkg", "apt", "apt-get", "aptitude"],
        "o",
        &["pre-invoke", "option"],
    ),
    risk(
        &["pip", "pip3"],
        "",
        &["config-settings", "global-option", "python"],
    ),
    Risk {
        pieces: &["#"],
        ..risk(&["nix", "nix-build"], "", &["option", "post-build-hook"])
    },
    risk(&["ctags"], "", &["options"]),
    risk(&["file"], "m", &["magic-file", "compile"]),
    risk(&["docker", "podman"], "", &["config"]),
    risk(&["sysctl"], "w", &["write"]),
    risk(&["cmake", "ctest"], "EP", &["build-and-test"]),
    risk(&["gem"], "", &["config-file"]),
    risk(
        &["eslint", "prettier", "jest", "vitest", "tsc"],
        "",
        &["resolve-plugins-relative-to", "rulesdir", "plugin"],
    ),
];

/// Options of git that run a program or read a configuration that may, with any subcommand.
const GIT_LONG: [&str; 14] = [
    "config-env",
    "exec-path",
    "git-dir",
    "work-tree",
    "upload-pack",
    "receive-pack",
    "exec",
    "ext-diff",
    "textconv",
    "open-files-in-pager",
    "template",
    "output",
    "extcmd",
    "sendmail-cmd",
];
/// Subcommands of git that run what they or the configuration say, or change what later ones run.
const GIT_SUBCOMMANDS: [&str; 20] = [
    "difftool",
    "mergetool",
    "filter-branch",
    "instaweb",
    "shell",
    "daemon",
    "gui",
    "citool",
    "send-email",
    "credential",
    "hook",
    "config",
    "remote-ext",
    "archimport",
    "cvsserver",
    "fast-import",
    "upload-pack",
    "receive-pack",
    "var",
    "maintenance",
];

/// Whether a command has an option that runs a program that its rule does not name.
pub(super) fn is_risky(words: &[Word]) -> bool {
    let name = program(words);
    let arguments = words.get(1..).unwrap_or_default();
    match name {
        "git" => return git(arguments),
        "sed" | "gsed" => return sed(arguments),
        "awk" | "gawk" | "mawk" | "nawk" | "bwk" => return awk(arguments),
        _ => {}
    }
    let Some(risk) = RISKS.iter().find(|risk| risk.names.contains(&name)) else {
        return false;
    };
    // The first word of tar may be a cluster without its dash.
    let bare = matches!(name, "tar" | "gtar")
        .then(|| arguments.first())
        .flatten();
    bare.is_some_and(|word| {
        !word.text.starts_with('-') && word.text.contains(risk.short.chars().next().unwrap_or('I'))
    }) || arguments.iter().any(|word| {
        word.may_be_option()
            || (word.glob && word.shape.starts_with(['\u{E000}', '\u{E001}']))
            || has_option(&word.text, risk.short, risk.long)
            || risk.pieces.iter().any(|piece| match *piece {
                "+" | "@" | "#" => word.text.starts_with(piece),
                piece => word.text.contains(piece),
            })
    })
}

/// Whether a word is one of these options, a beginning of a long one, or has a letter of the short ones.
fn has_option(text: &str, short: &str, long: &[&str]) -> bool {
    let Some(dashed) = text.strip_prefix('-') else {
        return false;
    };
    let name = dashed.trim_start_matches('-');
    let name = name.split(['=', ':']).next().unwrap_or(name);
    if dashed.starts_with('-') {
        return name.len() >= 2 && long.iter().any(|option| option.starts_with(name));
    }
    // Some programs take long options with one dash.
    long.contains(&name) || dashed.contains(|c| short.contains(c))
}

fn git(arguments: &[Word]) -> bool {
    let mut subcommand = "";
    for word in arguments {
        let text = word.text.as_str();
        if word.may_be_option() || text.starts_with("ext::") || text.contains("=ext::") {
            return true;
        }
        if has_option(text, "", &GIT_LONG) {
            return true;
        }
        if subcommand.is_empty() {
            if text.starts_with("-c") || text.starts_with("-C") {
                return true;
            }
            if !text.starts_with('-') {
                subcommand = text;
                if subcommand == "config" {
                    return !reads_configuration(arguments);
                }
                if GIT_SUBCOMMANDS.contains(&text) {
                    return true;
                }
            }
            continue;
        }
        if git_subcommand(subcommand, text) {
            return true;
        }
    }
    false
}

fn reads_configuration(arguments: &[Word]) -> bool {
    let reading = [
        "--get",
        "--get-all",
        "--get-regexp",
        "--list",
        "-l",
        "get",
        "list",
    ];
    let any = |wanted: &[&str]| {
        arguments
            .iter()
            .any(|word| wanted.contains(&word.text.as_str()))
    };
    any(&reading)
        && !any(&[
            "set",
            "unset",
            "edit",
            "--edit",
            "-e",
            "--add",
            "--unset",
            "--replace-all",
        ])
}

fn git_subcommand(subcommand: &str, text: &str) -> bool {
    let short = |letters: &str| has_option(text, letters, &[]);
    match subcommand {
        "rebase" => short("xi") || text == "--interactive",
        "grep" => short("O"),
        "clone" => short("uc") || has_option(text, "", &["config", "upload-pack"]),
        "ls-remote" | "fetch-pack" | "archive" => {
            short("o") || has_option(text, "", &["exec", "remote"])
        }
        "bisect" => matches!(text, "run" | "visualize" | "view"),
        "submodule" => text == "foreach",
        "format-patch" => short("o") || has_option(text, "", &["output-directory"]),
        "worktree" => text == "add",
        "bundle" => text == "create",
        "apply" => text == "--unsafe-paths" || text.starts_with("--directory"),
        "add" | "checkout" | "commit" | "stash" => matches!(text, "-i" | "-e" | "--edit"),
        "p4" | "svn" => true,
        _ => false,
    }
}

/// Only scripts that print, delete and replace are known to run and write nothing else.
fn sed(arguments: &[Word]) -> bool {
    let mut script_seen = false;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        if word.may_be_option() {
            return true;
        }
        let script = match text {
            "-e" | "--expression" => words.next().map_or("", |word| word.text.as_str()),
            _ if text.starts_with("--expression=") => &text["--expression=".len()..],
            _ if text.starts_with("--") => match text {
                "--quiet" | "--silent" | "--regexp-extended" | "--null-data" | "--in-place"
                | "--posix" | "--debug" | "--sandbox" => continue,
                _ => return true,
            },
            _ if text.starts_with('-') && text.len() > 1 => {
                match text[1..].chars().all(|c| "nErsuzi".contains(c)) || text.starts_with("-i.") {
                    true => continue,
                    false => return true,
                }
            }
            _ if !script_seen => text,
            _ => continue,
        };
        script_seen = true;
        if !words_of_sed(script) {
            return true;
        }
    }
    false
}

/// Whether a script of sed is made of `s`, `p`, `d` and `q` alone.
fn words_of_sed(script: &str) -> bool {
    script.split(['\n']).all(|command| {
        let command = command.trim();
        let address = |c: char| c.is_ascii_digit() || "$,!~ +".contains(c);
        let rest = command.trim_start_matches(address);
        if matches!(rest, "p" | "d" | "q" | "=" | "") {
            return true;
        }
        if let Some(pattern) = rest.strip_prefix('/') {
            let end = pattern.find('/').map(|end| &pattern[end + 1..]);
            return end.is_some_and(|c| matches!(c.trim(), "p" | "d" | "!d" | "q")) && !pattern.contains('\\');
        }
        let Some(substitution) = rest.strip_prefix('s') else {
            return false;
        };
        let Some(separator) = substitution.chars().next().filter(|c| c.is_ascii_punctuation() && *c != '\\') else {
            return false;
        };
        let unescaped = substitution.replace("\\\\", "").replace(&format!("\\{separator}"), "");
        let pieces: Vec<&str> = unescaped.split(separator).collect();
        matches!(pieces.as_slice(), ["", _, _, flags] if flags.chars().all(|c| "gpIi0123456789".contains(c)))
    })
}

/// A program of awk that neither runs, reads nor writes anything by itself.
fn awk(arguments: &[Word]) -> bool {
    arguments.iter().any(|word| {
        let text = word.text.as_str();
        let option = text.starts_with('-') && text.len() > 1;
        let known = text.starts_with("-F") || text.starts_with("-v") || text == "--";
        let runs = ["system", "getline", "|", ">", "@", "close", "printf >"];
        word.may_be_option() || (option && !known) || runs.iter().any(|piece| text.contains(piece))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_scripts_of_sed_are_known() {
        for script in [
            "s/a/b/",
            "s/a/b/g",
            "s|a/b|c|2p",
            "1,5p",
            "$d",
            "/x/d",
            "5q",
            r"s/a\/b/c/",
        ] {
            assert!(words_of_sed(script), "{script}");
        }
        for script in [
            "e",
            "1e rm x",
            "s/a/rm x/e",
            "s/a/b/w /etc/x",
            "w x",
            "r x",
            "s/a/b/;e rm",
            "y/a/b/w",
            "s/a/b",
            "/x/e rm",
        ] {
            assert!(!words_of_sed(script), "{script}");
        }
    }
}
