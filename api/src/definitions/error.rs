//! What is wrong in a definition file, said so that its author can mend it without a manual.

use std::fmt::{self, Write as _};

/// One error: where, what was found there, what was expected instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionError {
    /// The file's path, as it was handed in.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// What to do about it, where that is not obvious.
    pub help: Option<String>,
    /// The line itself, cut to what a terminal shows.
    pub(super) excerpt: Excerpt,
}

/// The part of a line around an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    text: String,
    /// Characters of `text` before the error.
    before: usize,
    /// Characters to underline.
    width: usize,
}

impl Excerpt {
    /// Cuts `line` around characters `start..start + width`.
    pub(super) fn new(line: &str, start: usize, width: usize) -> Self {
        let skip = if line.chars().count() > EXCERPT_CHARS { start.saturating_sub(EXCERPT_CHARS / 2) } else { 0 };
        // a control character (a tab, an escape) becomes one column, or the caret points elsewhere
        let text: String = line
            .chars()
            .skip(skip)
            .take(EXCERPT_CHARS)
            .map(|character| if is_invisible(character) { ' ' } else { character })
            .collect();
        let before = start - skip;
        let width = width.min(text.chars().count().saturating_sub(before)).max(1);
        Self { text, before, width }
    }
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}; expected {}", self.file, self.line, self.column, self.found, self.expected)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DefinitionError {}

impl DefinitionError {
    /// The error over several lines, with the line it is in and a caret below the culprit.
    pub fn render(&self, colour: bool) -> String {
        let paint = |code, text: &str| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
        let margin = self.line.to_string().len();
        let bar = paint("1;34", "|");
        let mut out = String::new();
        let mut line = |text: String| {
            out.push_str(text.trim_end());
            out.push('\n');
        };
        line(format!("{}: {}", paint("1;31", "error"), paint("1", &self.found)));
        line(format!("{:margin$}{} {}:{}:{}", "", paint("1;34", "-->"), self.file, self.line, self.column));
        line(format!("{:margin$} {bar}", ""));
        line(format!("{} {bar} {}", paint("1;34", &self.line.to_string()), self.excerpt.text));
        let carets = paint("1;31", &format!("{} expected {}", "^".repeat(self.excerpt.width), self.expected));
        line(format!("{:margin$} {bar} {:before$}{carets}", "", "", before = self.excerpt.before));
        if let Some(help) = &self.help {
            line(format!("{:margin$} {} help: {help}", "", paint("1;34", "=")));
        }
        out
    }
}

/// User text inside a message: back-ticked, without what would act on a terminal, cut when long.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("`");
    for (position, character) in text.chars().enumerate() {
        if position == QUOTED_CHARS {
            out.push('…');
            break;
        }
        if is_invisible(character) {
            // writing to a String cannot fail
            let _ = write!(out, "{}", character.escape_default());
        } else {
            out.push(character);
        }
    }
    out.push('`');
    out
}

/// Whether a character acts (on a terminal, on the direction of text) rather than shows.
pub(super) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

const EXCERPT_CHARS: usize = 120;
const QUOTED_CHARS: usize = 80;
