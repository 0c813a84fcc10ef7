//! Redirections, here-documents and assignments: what is around the words of a command.

use tree_sitter::Node;

use super::variable;
use super::walk::Walk;

impl Walk<'_> {
    pub(super) fn assignment(&mut self, node: Node<'_>) {
        self.compound = true;
        self.without_gaps(node);
        let (mut name, mut value, mut plain) = (String::new(), Some(String::new()), true);
        self.children(node, |walk, child| match child.kind() {
            "variable_name" => name = walk.source(child).to_owned(),
            "=" => {}
            "array" | "subscript" | "+=" => {
                plain = false;
                walk.doubt();
                walk.visit_children(child);
            }
            _ => {
                let word = walk.word(child);
                value = word.literal.then_some(word.text);
            }
        });
        self.assigned(&name, value.filter(|_| plain));
    }

    pub(super) fn assigned(&mut self, name: &str, value: Option<String>) {
        if !variable::is_harmless(name) || value.as_deref().is_some_and(variable::holds_code) {
            self.doubt();
        }
        match value {
            Some(value) => self.variables.insert(name.to_owned(), value),
            None => self.variables.remove(name),
        };
    }

    pub(super) fn file_redirect(&mut self, node: Node<'_>) {
        self.compound = true;
        self.gaps(node, &[' ', '\t']);
        let (mut operator, mut targets) = (String::new(), Vec::new());
        self.children(node, |walk, child| match child.kind() {
            "file_descriptor" => {}
            _ if child.is_named() => targets.push(walk.word(child)),
            _ => operator = walk.source(child).to_owned(),
        });
        // The grammar takes the words after it for targets, too.
        let [target] = targets.as_slice() else {
            return self.doubt();
        };
        let descriptor = target
            .text
            .trim_end_matches('-')
            .chars()
            .all(|c| c.is_ascii_digit());
        match operator.as_str() {
            "<" => {}
            ">&" | "<&" if descriptor && target.literal => {}
            ">" | ">>" | ">|" | "&>" | "&>>" | ">&" => {
                let name = target.literal && !target.glob && !target.text.starts_with('~');
                self.line.writes.push(name.then(|| target.text.clone()));
            }
            _ => self.doubt(),
        }
    }

    /// A here-document is understood when there is one, its end is a plain word, and the grammar has found the same
    /// end as the shell does.
    pub(super) fn here_document(&mut self, node: Node<'_>) {
        self.compound = true;
        let (mut start, mut end, mut body) = (None, None, None);
        self.children(node, |walk, child| match child.kind() {
            "<<" | "<<-" => {}
            "heredoc_start" => start = Some(child),
            "heredoc_end" => end = Some(child),
            "heredoc_body" => {
                body = Some(child);
                walk.visit_substitutions(child);
            }
            "pipeline" | "command" | "list" | "file_redirect" => walk.statement(child),
            "&&" | "||" | "|" => {}
            _ => {
                walk.doubt();
                walk.statement(child);
            }
        });
        let (Some(start), Some(end), Some(body)) = (start, end, body) else {
            return self.doubt();
        };
        let tabs = self.source(node).starts_with("<<-");
        if !self.ends_there(start, end, tabs) || self.text.matches("<<").count() != 1 {
            self.doubt();
        }
        let quoted = self.source(start).starts_with(['\'', '"']);
        let body = self.source(body);
        if !quoted && (body.contains('`') || body.contains("$(") || body.contains("${")) {
            self.doubt();
        }
    }

    fn visit_substitutions(&mut self, node: Node<'_>) {
        self.children(node, |walk, child| {
            if child.kind() == "command_substitution" {
                walk.statement(child);
            }
        });
    }

    fn ends_there(&self, start: Node<'_>, end: Node<'_>, tabs: bool) -> bool {
        let word = self.source(start);
        let quotes = ['\'', '"'];
        let inner = quotes
            .iter()
            .find_map(|q| word.strip_prefix(*q)?.strip_suffix(*q));
        let word = inner.unwrap_or(word);
        if word.is_empty() || !word.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
            return false;
        }
        let Some(first) = self.text[start.end_byte()..].find('\n') else {
            return false;
        };
        let mut at = start.end_byte() + first + 1;
        for line in self.text[at..].split('\n') {
            let stripped = if tabs {
                line.trim_start_matches('\t')
            } else {
                line
            };
            if stripped == word {
                let found = at + (line.len() - stripped.len());
                return found + word.len() == end.end_byte() && end.start_byte() <= found;
            }
            at += line.len() + 1;
        }
        false
    }
}
