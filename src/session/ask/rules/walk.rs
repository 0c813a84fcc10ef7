//! From the syntax tree of a command line to what it runs.
//!
//! The grammar is tree-sitter's. It mends what it cannot parse and misreads a few things, so nothing is taken on
//! trust: only kinds of nodes that are known here count as understood, every leaf is read again, and what lies
//! between two leaves may only be blanks. All else leaves a doubt, and a line in doubt is asked.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{Node, ParseOptions, Parser, Tree};

use super::line::{Line, MAX_PARTS, Part};
use super::pattern::{ANY, ONE};
use super::variable;
use super::word::Word;

/// How deep a tree is followed.
const MAX_DEPTH: usize = 100;
/// How long the grammar may take.
const MAX_TIME: Duration = Duration::from_millis(200);
/// What separates commands, and the words of the shell's own language.
const TOKENS: [&str; 32] = [
    ";", "&", "&&", "||", "|", "|&", ";;", ";&", ";;&", "(", ")", "{", "}", "!", "if", "then",
    "elif", "else", "fi", "while", "until", "for", "select", "in", "do", "done", "case", "esac",
    "$(", "`", "<(", ">(",
];
/// What has words of its own that are no arguments.
const WITH_WORDS: [&str; 8] = [
    "for_statement",
    "case_statement",
    "case_item",
    "test_command",
    "unary_expression",
    "binary_expression",
    "parenthesized_expression",
    "heredoc_body",
];
/// What changes the working directory.
const MOVES: [&str; 4] = ["cd", "chdir", "pushd", "popd"];

/// A walk over one tree.
pub(super) struct Walk<'a> {
    pub(super) text: &'a str,
    /// What variables are known to be.
    pub(super) variables: HashMap<String, String>,
    pub(super) line: Line,
    depth: usize,
    scripts: usize,
    /// Whether there is more than a simple command.
    pub(super) compound: bool,
    /// Whether a dash that is not in the tree follows the next command.
    pub(super) dash: bool,
}

/// Reads a command line that is inside of `scripts` others.
pub(super) fn read(text: &str, scripts: usize) -> Line {
    let (text, joined) = join_lines(text);
    let Some(tree) = parse(&text) else {
        return Line::default();
    };
    let mut walk = Walk {
        text: &text,
        variables: HashMap::new(),
        line: Line {
            certain: joined && text.chars().all(is_readable),
            ..Line::default()
        },
        depth: 0,
        scripts,
        compound: false,
        dash: false,
    };
    walk.statement(tree.root_node());
    let mut line = walk.line;
    line.plain = line.certain && !walk.compound && line.parts.len() == 1;
    line
}

fn parse(text: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_bash::LANGUAGE.into())
        .ok()?;
    let start = Instant::now();
    let mut progress = |_: &tree_sitter::ParseState| match start.elapsed() < MAX_TIME {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    };
    let options = ParseOptions::new().progress_callback(&mut progress);
    let bytes = text.as_bytes();
    parser.parse_with_options(
        &mut |at, _| &bytes[at.min(bytes.len())..],
        None,
        Some(options),
    )
}

/// Takes out the line ends that a backslash cancels, where it is clear that it does.
fn join_lines(text: &str) -> (String, bool) {
    if !text.contains("\\\n") {
        return (text.to_owned(), true);
    }
    // In quotes, comments and here-documents a backslash means something else, and two are one backslash.
    let clear = !text.contains(['\'', '#']) && !text.contains("<<") && !text.contains("\\\\");
    (text.replace("\\\n", ""), clear)
}

/// Whether a character means the same to every shell and every reader.
fn is_readable(c: char) -> bool {
    let blank = c.is_whitespace() && !matches!(c, ' ' | '\n' | '\t');
    let control = c.is_control() && !matches!(c, '\n' | '\t');
    // Characters without a width can hide what a user is asked about.
    let hidden = matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{00AD}');
    !blank && !control && !hidden && c != ANY && c != ONE
}

impl<'a> Walk<'a> {
    pub(super) fn doubt(&mut self) {
        self.line.certain = false;
    }

    pub(super) fn source(&self, node: Node<'_>) -> &'a str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// Goes one level down, if that is not too deep.
    pub(super) fn descend(&mut self) -> bool {
        if self.depth >= MAX_DEPTH || self.line.size >= MAX_PARTS {
            self.doubt();
            return false;
        }
        self.depth += 1;
        true
    }

    pub(super) fn ascend(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn children<'n>(
        &mut self,
        node: Node<'n>,
        mut each: impl FnMut(&mut Self, Node<'n>),
    ) {
        let mut cursor = node.walk();
        let children: Vec<_> = node.children(&mut cursor).collect();
        for child in children {
            if child.is_missing() {
                self.doubt();
            }
            each(self, child);
        }
    }

    pub(super) fn visit_children(&mut self, node: Node<'_>) {
        self.children(node, |walk, child| {
            if child.is_named() {
                walk.statement(child);
            }
        });
    }

    /// Notes a doubt unless the children of a node follow each other with nothing but these characters between.
    pub(super) fn gaps(&mut self, node: Node<'_>, allowed: &[char]) {
        let mut at = node.start_byte();
        let mut cursor = node.walk();
        let mut clear = true;
        let ends = node
            .children(&mut cursor)
            .map(|c| (c.start_byte(), c.end_byte()));
        for (start, end) in ends.chain([(node.end_byte(), node.end_byte())]) {
            let gap = self.text.get(at.min(start)..start);
            clear &=
                at <= start && gap.is_some_and(|gap| gap.chars().all(|c| allowed.contains(&c)));
            at = end;
        }
        if !clear {
            self.doubt();
        }
    }

    pub(super) fn without_gaps(&mut self, node: Node<'_>) {
        self.gaps(node, &[]);
    }

    /// `$(…)`, `` `…` ``, `<(…)`: commands inside of a word.
    pub(super) fn nested(&mut self, node: Node<'_>) {
        // Inside of backquotes a backslash is taken off once more.
        let source = self.source(node);
        if source.starts_with('`') && source.contains('\\') {
            self.doubt();
        }
        self.container(node);
    }

    /// An arithmetic expression that runs nothing.
    pub(super) fn only_arithmetic(&mut self, source: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_ ()+-*/%<>=!$".contains(c);
        if !source.chars().all(plain) || source[1..].contains("$(") {
            self.doubt();
        }
    }

    pub(super) fn statement(&mut self, node: Node<'_>) {
        if !self.descend() {
            return;
        }
        match node.kind() {
            "program" => self.program(node),
            "list" | "pipeline" | "subshell" | "compound_statement" | "do_group"
            | "if_statement" | "elif_clause" | "else_clause" | "while_statement"
            | "case_statement" | "case_item" | "negated_command" | "for_statement" => {
                self.container(node)
            }
            "redirected_statement" => self.redirected(node),
            "command" => self.command(node),
            "variable_assignment" => self.assignment(node),
            "variable_assignments" => self.visit_children(node),
            "declaration_command" | "unset_command" => self.declaration(node),
            "test_command" => self.test(node),
            "file_redirect" => self.file_redirect(node),
            "heredoc_redirect" => self.here_document(node),
            "herestring_redirect" => {
                self.compound = true;
                self.children(node, |walk, child| {
                    if child.is_named() {
                        walk.word(child);
                    }
                });
            }
            "comment" => {
                self.compound = true;
                let source = self.source(node);
                if !source.starts_with('#') || source.contains('\n') {
                    self.doubt();
                }
            }
            "word"
            | "string"
            | "raw_string"
            | "ansi_c_string"
            | "translated_string"
            | "concatenation"
            | "number"
            | "simple_expansion"
            | "expansion"
            | "command_substitution"
            | "process_substitution"
            | "arithmetic_expansion" => {
                self.word(node);
                // Anywhere else it would be an argument that its command does not show.
                let listed = node
                    .parent()
                    .is_some_and(|p| WITH_WORDS.contains(&p.kind()));
                if !listed {
                    self.doubt();
                }
            }
            "extglob_pattern" => {
                if self.source(node).contains(['(', '`', '$']) {
                    self.doubt();
                }
            }
            "variable_name" => {
                // The variable of a loop.
                let name = self.source(node);
                self.assigned(name, None);
            }
            _ => {
                self.compound = true;
                self.doubt();
                self.visit_children(node);
            }
        }
        self.ascend();
    }

    fn program(&mut self, node: Node<'_>) {
        self.gaps(node, &[' ', '\t', '\n']);
        self.children(node, |walk, child| match child.is_named() {
            true => walk.statement(child),
            // One at the end changes nothing but that.
            false => walk.token(child),
        });
    }

    fn container(&mut self, node: Node<'_>) {
        self.compound = true;
        // To the shell `{git` is a word.
        let source = self.source(node);
        if node.kind() == "compound_statement" && !source[1..].starts_with([' ', '\t', '\n']) {
            self.doubt();
        }
        self.program(node);
    }

    fn token(&mut self, node: Node<'_>) {
        self.compound = true;
        let source = self.source(node);
        let in_case = node
            .parent()
            .is_some_and(|parent| parent.kind() == "case_item");
        if source.starts_with(";;") && !in_case {
            self.doubt();
        }
        if !TOKENS.contains(&source) && !source.trim_matches([' ', '\t', '\n']).is_empty() {
            self.doubt();
        }
    }

    fn redirected(&mut self, node: Node<'_>) {
        self.compound = true;
        // The grammar drops a dash in front of a here-document (`git commit -F - <<EOF`).
        let mut cursor = node.walk();
        let children: Vec<_> = node.children(&mut cursor).collect();
        let dropped = children.windows(2).any(|pair| {
            let gap = self
                .text
                .get(pair[0].end_byte()..pair[1].start_byte())
                .unwrap_or_default();
            pair[0].kind() == "command" && pair[1].kind() == "heredoc_redirect" && gap == " - "
        });
        self.dash = dropped;
        if !dropped {
            self.gaps(node, &[' ', '\t', '\n']);
        }
        self.visit_children(node);
    }

    fn command(&mut self, node: Node<'_>) {
        let dash = std::mem::take(&mut self.dash);
        self.gaps(node, &[' ', '\t']);
        let mut words = Vec::new();
        let mut from = node.start_byte();
        self.children(node, |walk, child| match child.kind() {
            "variable_assignment" => {
                walk.assignment(child);
                from = child.end_byte();
            }
            "file_redirect" | "heredoc_redirect" | "herestring_redirect" => walk.statement(child),
            _ => words.push(walk.word(child)),
        });
        let mut source = self
            .text
            .get(from..node.end_byte())
            .unwrap_or_default()
            .trim()
            .to_owned();
        if dash {
            words.push(Word::plain("-"));
            source.push_str(" -");
        }
        self.add(words, &source);
    }

    /// `export`, `declare`, `unset`: a command, whose assignments are ones.
    fn declaration(&mut self, node: Node<'_>) {
        self.gaps(node, &[' ', '\t']);
        let mut words = Vec::new();
        self.children(node, |walk, child| match child.kind() {
            "variable_assignment" => {
                walk.assignment(child);
                words.push(Word::plain(walk.source(child)));
            }
            "variable_name" => {
                let name = walk.source(child);
                walk.assigned(name, None);
                words.push(Word::plain(name));
            }
            _ if child.is_named() => words.push(walk.word(child)),
            _ => words.push(Word::plain(walk.source(child))),
        });
        self.compound = true;
        self.add(words, self.source(node));
    }

    /// `[ … ]` and `[[ … ]]`: a command that runs nothing but what is substituted into it.
    fn test(&mut self, node: Node<'_>) {
        self.gaps(node, &[' ', '\t', '\n']);
        let source = self.source(node);
        let open = source.split_whitespace().next().unwrap_or_default();
        // An index is an arithmetic expression, and those run what is substituted into them.
        let index = source[open.len().min(source.len())..]
            .trim_end_matches(']')
            .contains('[');
        if !["[", "[["].contains(&open) || index || source.contains(';') {
            self.doubt();
        }
        self.test_operands(node);
        self.compound = true;
        let words = source.split_whitespace().map(Word::plain).collect();
        self.add(words, source);
    }

    fn test_operands(&mut self, node: Node<'_>) {
        if !self.descend() {
            return;
        }
        self.children(node, |walk, child| match child.kind() {
            "unary_expression" | "binary_expression" | "parenthesized_expression" => {
                walk.test_operands(child);
            }
            "test_operator" | "regex" | "extglob_pattern" => {
                let clear = !walk.source(child).contains(['`', '$']);
                walk.line.certain &= clear;
            }
            _ if child.is_named() => walk.statement(child),
            _ => {}
        });
        self.ascend();
    }

    fn add(&mut self, words: Vec<Word>, source: &str) {
        if words.is_empty() {
            return;
        }
        if MOVES.contains(&words[0].text.as_str()) {
            self.line.moves = true;
        }
        if variable::runs_index(&words) {
            self.doubt();
        }
        let scripts = self.scripts;
        let part = Part::new(words, source, &mut self.line, scripts);
        self.line.parts.push(part);
    }
}
