//! The commands that OpenCode's users expect to be there, in our own words.

use super::Command;

/// What `init` and `POST /session/{sessionID}/init` ask for.
pub const INIT: &str = "\
Look at this project and write AGENTS.md in its root: a short guide for coding agents that work here. \
Say how to build it, how to run all tests and a single one, which checks have to pass, how the code is \
laid out, and which conventions of naming, formatting, errors and tests it follows. Write only what you \
have found in the project, in at most 60 lines. If AGENTS.md is there already, correct and complete it; \
take over rules from .cursor/rules, .cursorrules or .github/copilot-instructions.md where they exist.";

const INIT_WISHES: &str = "\n\nWhat the user wants of it in particular, if anything: $ARGUMENTS";

const REVIEW: &str = "\
Review a change of this project, and change nothing yourself. What to review: $ARGUMENTS

If nothing is named there, review what is not committed yet: `git diff HEAD`, and the files that git does \
not know. If a commit, a branch or a range is named, review that (`git show`, `git diff` from where the \
branch began). If a pull request is named, get it with the tools that there are.

Read enough of the code around the change to judge it, and look up what you are not sure of. Report, the \
worst first, what is wrong: mistakes that change what the program does, cases that are not handled, data \
that can be lost or leaked, tests that are missing or cannot fail. For each say the file and the line, what \
happens and when, and what to do instead. Leave out what is only a matter of taste, and what was so before \
the change. If nothing is wrong, say so.";

/// The built-in commands.
pub fn all() -> Vec<Command> {
    let command = |name: &str, description: &str, template: String| Command {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        template,
        ..Command::default()
    };
    vec![
        command(
            "init",
            "write AGENTS.md, a guide for coding agents",
            format!("{INIT}{INIT_WISHES}"),
        ),
        command(
            "review",
            "review a change [commit|branch|pr], what is not committed by default",
            REVIEW.to_owned(),
        ),
    ]
}
