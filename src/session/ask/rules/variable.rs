//! Variables that can be set in front of a command without changing what runs.

use super::line::program;
use super::word::Word;

/// Variables that say how something is shown or how much of it.
const HARMLESS: [&str; 28] = [
    "CI",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "TERM",
    "COLORTERM",
    "LANG",
    "LANGUAGE",
    "TZ",
    "COLUMNS",
    "LINES",
    "DEBUG",
    "VERBOSE",
    "NODE_ENV",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "CARGO_TERM_COLOR",
    "PYTHONUNBUFFERED",
    "PYTHONDONTWRITEBYTECODE",
    "GIT_TERMINAL_PROMPT",
    "GIT_OPTIONAL_LOCKS",
    "DEBIAN_FRONTEND",
    "PORT",
    "HUSKY",
    "RAILS_ENV",
    "APP_ENV",
    "TEST",
];

/// Whether a variable can be set without a program reading it as a command, a path to load from, or options.
///
/// A short name in small letters is one of the line's own. `path` and its like are `PATH` to zsh.
pub(super) fn is_harmless(name: &str) -> bool {
    let own = !name.is_empty()
        && name.len() <= 16
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        && !name.contains("path")
        && name != "argv";
    own || HARMLESS.contains(&name) || name.starts_with("LC_")
}

/// Builtins that take the name of a variable, and evaluate what is in its brackets: in `read 'a[$(COMMAND)]'`
/// the command is run.
const COUNT_OUT: [&str; 15] = [
    "let", "read", "printf", "test", "[", "declare", "typeset", "local", "export", "readonly",
    "unset", "getopts", "wait", "integer", "float",
];

/// Whether a value runs something when it is evaluated, as `$((name))` does with the variable's value.
pub(super) fn holds_code(value: &str) -> bool {
    value.contains("$(") || value.contains('`')
}

/// Whether a command is a builtin that evaluates brackets in its arguments.
pub(super) fn runs_index(words: &[Word]) -> bool {
    COUNT_OUT.contains(&program(words))
        && words[1..]
            .iter()
            .any(|word| word.text.contains('[') && holds_code(&word.text))
}

#[cfg(test)]
mod tests {
    use super::is_harmless;

    #[test]
    fn what_chooses_a_program_or_its_options_is_not_harmless() {
        for name in [
            "PATH",
            "LD_PRELOAD",
            "GIT_SSH_COMMAND",
            "GIT_PAGER",
            "PAGER",
            "EDITOR",
            "BASH_ENV",
            "IFS",
            "NODE_OPTIONS",
            "path",
            "fpath",
            "http_proxy",
            "npm_config_script_shell",
            "PROMPT_COMMAND",
            "PS4",
            "",
        ] {
            assert!(!is_harmless(name), "{name}");
        }
        for name in ["CI", "LC_ALL", "i", "branch"] {
            assert!(is_harmless(name), "{name}");
        }
    }
}
