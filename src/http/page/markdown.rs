//! Markdown as HTML that a page may show: `POST /ui/markdown`.
//!
//! What a model has written is text of a stranger. HTML in it stays text, pictures become links, so that nothing is asked
//! of other servers, and what comes out goes through a list of what is allowed once more.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use ammonia::Builder;
use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd};
use rustix::time::{ClockId, clock_gettime};
use syntect::html::{ClassStyle, ClassedHTMLGenerator};
use syntect::parsing::{SyntaxReference, SyntaxSet};
use syntect::util::LinesWithEndings;

/// A longer text is shown as it is, in bytes.
pub(super) const TEXT_MAX_BYTES: usize = 256 * 1024;
/// A longer piece of code is not coloured, in bytes.
const CODE_MAX_BYTES: usize = 32 * 1024;
/// CPU time for highlighting one text; code after that is not highlighted.
const COLOURS_WITHIN: Duration = Duration::from_millis(200);
/// What is within each other, at most: `>>>>…` is one line.
const DEPTH_MAX: usize = 32;

/// What the style sheet's names for kinds of code begin with.
const CODE_STYLE: ClassStyle = ClassStyle::SpacedPrefixed { prefix: "hl-" };

static SYNTAXES: LazyLock<SyntaxSet> = LazyLock::new(SyntaxSet::load_defaults_newlines);

static ALLOWED: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    let tags = [
        "a",
        "blockquote",
        "br",
        "code",
        "del",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "span",
        "strong",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ];
    let attributes = HashMap::from([
        ("a", HashSet::from(["href"])),
        ("code", HashSet::from(["class"])),
        ("ol", HashSet::from(["start"])),
        ("span", HashSet::from(["class"])),
        ("td", HashSet::from(["align"])),
        ("th", HashSet::from(["align"])),
    ]);
    builder
        .tags(HashSet::from(tags))
        .tag_attributes(attributes)
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .set_tag_attribute_value("a", "target", "_blank")
        .link_rel(Some("noopener noreferrer nofollow"));
    builder
});

/// The HTML of a text; `None` for one that is shown as it is, because it is too long or too deep.
pub(super) fn render(text: &str) -> Option<String> {
    if text.len() > TEXT_MAX_BYTES {
        return None;
    }
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut depth = 0_usize;
    let mut events = Vec::new();
    let mut code = None;
    let deadline = processor_time() + COLOURS_WITHIN;
    for event in Parser::new_ext(text, options) {
        match &event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return None;
        }
        code = match (code, event) {
            (None, Event::Start(Tag::CodeBlock(kind))) => Some((language(&kind), String::new())),
            (Some((language, mut so_far)), Event::Text(text)) => {
                so_far.push_str(&text);
                Some((language, so_far))
            }
            (Some((language, so_far)), Event::End(TagEnd::CodeBlock)) => {
                let html = code_block(&language, &so_far, deadline);
                events.push(Event::Html(html.into()));
                None
            }
            (code, event) => {
                events.extend(harmless(event));
                code
            }
        };
    }
    let mut html = String::with_capacity(text.len() * 3 / 2);
    pulldown_cmark::html::push_html(&mut html, events.into_iter());
    Some(ALLOWED.clean(&html).to_string())
}

/// Replaces what a page must not contain.
fn harmless(event: Event<'_>) -> Option<Event<'_>> {
    Some(match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Image {
            link_type,
            dest_url,
            title,
            id,
        }) => Event::Start(Tag::Link {
            link_type,
            dest_url,
            title,
            id,
        }),
        Event::End(TagEnd::Image) => Event::End(TagEnd::Link),
        // Whoever writes to a person breaks lines where they are meant to break.
        Event::SoftBreak => Event::HardBreak,
        Event::TaskListMarker(done) => {
            Event::Text(CowStr::Borrowed(if done { "☑ " } else { "☐ " }))
        }
        other => other,
    })
}

fn language(kind: &CodeBlockKind<'_>) -> String {
    let CodeBlockKind::Fenced(info) = kind else {
        return String::new();
    };
    let word = info.split([' ', ',', '{', '\t']).next();
    word.unwrap_or_default().to_ascii_lowercase()
}

fn code_block(language: &str, code: &str, deadline: Duration) -> String {
    let syntax = syntax(language).filter(|_| code.len() <= CODE_MAX_BYTES);
    let coloured = syntax.and_then(|syntax| coloured(syntax, code, deadline));
    let mut html = String::from("<pre><code>");
    match coloured {
        Some(coloured) => html.push_str(&coloured),
        None => escape_into(&mut html, code),
    }
    html.push_str("</code></pre>\n");
    html
}

fn syntax(language: &str) -> Option<&'static SyntaxReference> {
    // What is not among the built-in ones, and reads nearly the same.
    let name = match language {
        "" | "text" | "plain" | "txt" => return None,
        "ts" | "tsx" | "typescript" | "jsx" | "mjs" => "js",
        "sh" | "shell" | "console" | "zsh" => "bash",
        "jsonc" | "json5" => "json",
        "toml" | "ini" => "properties",
        other => other,
    };
    SYNTAXES.find_syntax_by_token(name)
}

fn coloured(syntax: &SyntaxReference, code: &str, deadline: Duration) -> Option<String> {
    let mut generator = ClassedHTMLGenerator::new_with_class_style(syntax, &SYNTAXES, CODE_STYLE);
    for line in LinesWithEndings::from(code) {
        if processor_time() > deadline {
            return None;
        }
        generator
            .parse_html_for_line_which_includes_newline(line)
            .ok()?;
    }
    Some(generator.finalize())
}

/// What this thread has had of it. Other than the time of the clock it does not pass while others have the processor.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn escape_into(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        render(text).expect("rendered")
    }

    #[test]
    fn markdown_becomes_html() {
        let all = html(
            "# Title\n\n*a* **b** `c` ~~d~~\n\n1. x\n2. y\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n- [x] done\n\none\ntwo",
        );
        for wanted in [
            "<h1>Title</h1>",
            "<em>a</em> <strong>b</strong> <code>c</code> <del>d</del>",
            "<ol>\n<li>x</li>",
            "<table>",
            "☑ done",
            "one<br>\ntwo",
        ] {
            assert!(all.contains(wanted), "{wanted} in {all}");
        }
    }

    #[test]
    fn code_has_classes_and_no_markup_of_its_own() {
        let rust = html("```rust\nfn main() { let x = \"<b>\"; }\n```");
        assert!(rust.contains("<span class=\"hl-"), "{rust}");
        assert!(
            rust.contains("&lt;b&gt;") && !rust.contains("<b>"),
            "{rust}"
        );
        let unknown = html("```no-such-language\n<script>1</script>\n```");
        assert_eq!(
            unknown,
            "<pre><code>&lt;script&gt;1&lt;/script&gt;\n</code></pre>\n"
        );
    }

    #[test]
    fn html_is_shown_as_text() {
        for text in [
            "<script>alert(1)</script>",
            "a <b onclick=x>bold</b> c",
            "<img src=x onerror=alert(1)>",
            "<style>*{display:none}</style>",
            "<iframe src=//evil></iframe>\n\ntext",
            "<!-- a comment -->",
            "<svg/onload=alert(1)>",
        ] {
            let html = html(text);
            let shown = html.replace("&lt;", "<").replace("&gt;", ">");
            let first = text.split(['\n', ' ']).next().expect("a word");
            assert!(shown.contains(first), "{text} as {html}");
            for tag in [
                "<script", "<b ", "<img", "<style", "<iframe", "<!--", "<svg",
            ] {
                assert!(!html.contains(tag), "{text} as {html}");
            }
        }
    }

    #[test]
    fn a_picture_is_a_link_and_a_link_leads_to_the_web_only() {
        let picture = html("![a picture](https://evil.example/p.png)");
        assert!(
            picture.contains("href=\"https://evil.example/p.png\"") && !picture.contains("<img"),
            "{picture}"
        );
        assert!(picture.contains("noopener") && picture.contains("_blank"));
        for bad in [
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html,<script>1</script>)",
            "[x](/opencode/session)",
            "[x](//evil.example)",
            "<javascript:alert(1)>",
        ] {
            assert!(!html(bad).contains("href"), "{bad} as {}", html(bad));
        }
    }

    #[test]
    fn what_would_take_long_is_left_as_it_is() {
        assert_eq!(render(&"x".repeat(TEXT_MAX_BYTES + 1)), None);
        assert_eq!(render(&">".repeat(1_000)), None);
        let nested = "[".repeat(50_000);
        let started = processor_time();
        let _html = render(&nested);
        let code = format!("```js\n{}\n```", "/(a+)+$/.x(`${'".repeat(2_000));
        let _html = render(&code);
        assert!(processor_time() - started < Duration::from_secs(10));
    }
}
