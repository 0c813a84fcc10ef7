//! Tables and paragraphs for people, as wide as the terminal.

/// The columns that everything fits into.
pub const COLUMNS: usize = 100;
/// Shown in an empty cell.
pub const NOTHING: &str = "-";
/// Between two columns.
const GAP: &str = "  ";
/// A column that gives way keeps this many characters.
const KEPT_CHARS: usize = 8;

/// The rows below their heads, in columns. With `gives_way`, the texts of that column are cut until everything fits into
/// [`COLUMNS`].
pub fn table(head: &[&str], rows: &[Vec<String>], gives_way: Option<usize>) -> String {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut rows: Vec<Vec<String>> = std::iter::once(&head).chain(rows).cloned().collect();
    if let Some(column) = gives_way {
        let all: usize = widths(&rows).iter().sum::<usize>() + GAP.len() * (head.len() - 1);
        let own = widths(&rows).get(column).copied().unwrap_or_default();
        let room = own.saturating_sub(all.saturating_sub(COLUMNS));
        for row in &mut rows {
            row[column] = cut(&row[column], room.max(KEPT_CHARS));
        }
    }
    let widths = widths(&rows);
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join(GAP).trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect()
}

fn cut(cell: &str, chars: usize) -> String {
    match cell.chars().count() > chars {
        true => {
            let kept: String = cell.chars().take(chars.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
        false => cell.to_owned(),
    }
}

/// A sentence in lines that fit into [`COLUMNS`]; all but the first are indented. A word that is longer stays whole.
pub fn paragraph(text: &str, indent: usize) -> String {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let count = lines.len();
        let line = lines.last_mut().map(|line| (line.chars().count(), line));
        match line {
            Some((0, line)) => line.push_str(word),
            Some((chars, line)) if chars + 1 + word.chars().count() <= COLUMNS => {
                if count == 1 || chars > indent {
                    line.push(' ');
                }
                line.push_str(word);
            }
            _ => lines.push(format!("{:indent$}{word}", "")),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[[&str; 3]]) -> Vec<Vec<String>> {
        rows.iter()
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect()
    }

    #[test]
    fn columns_stand_below_each_other() {
        let text = table(
            &["A", "BB", "C"],
            &rows(&[["x", "y", ""], ["xxx", "", "ä"]]),
            None,
        );
        assert_eq!(text, "A    BB  C\nx    y\nxxx      ä");
    }

    #[test]
    fn one_column_gives_way() {
        let long = "m".repeat(200);
        let text = table(&["A", "B", "C"], &rows(&[["x", &long, "z"]]), Some(1));
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines.iter().all(|line| line.chars().count() <= COLUMNS),
            "{text}"
        );
        assert!(
            lines[1].starts_with("x  mmm") && lines[1].ends_with("…  z"),
            "{text}"
        );
        // Where nothing helps, something of it stays.
        let text = table(&["A", "B", "C"], &rows(&[[&long, &long, "z"]]), Some(1));
        assert!(text.contains("mmmmmmm…  z"), "{text}");
    }

    #[test]
    fn a_paragraph_is_broken_between_words() {
        let text = paragraph(&"word ".repeat(40), 2);
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines.iter().all(|line| line.chars().count() <= COLUMNS),
            "{text}"
        );
        assert!(lines[1].starts_with("  word word"), "{text}");
        assert_eq!(text.split_whitespace().count(), 40);
        let long = "x".repeat(150);
        assert_eq!(
            paragraph(&format!("a {long} b"), 2),
            format!("a\n  {long}\n  b")
        );
        assert_eq!(paragraph("", 2), "");
    }
}
