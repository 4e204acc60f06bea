//! Where things stand in the files, and the errors found so far.

use std::ops::Range;

use super::error::{DefinitionError, Excerpt};

/// One file as handed in, with the start of every line.
#[derive(Debug)]
pub(super) struct SourceFile<'s> {
    pub(super) path: &'s str,
    pub(super) text: &'s str,
    line_starts: Vec<usize>,
}

/// A span of one file, in bytes. Places order as their files do, then by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A value with the place it was written at.
#[derive(Debug, Clone)]
pub(super) struct Spanned<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// Proof that an error was reported: what failed may be left out without another word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reported(());

/// Collects errors over all files.
#[derive(Debug)]
pub(super) struct Faults<'s> {
    files: &'s [SourceFile<'s>],
    errors: Vec<(Place, DefinitionError)>,
}

impl<'s> SourceFile<'s> {
    pub(super) fn new(path: &'s str, text: &'s str) -> Self {
        let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { path, text, line_starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// The line of a byte and its column, both from zero, the column in characters; and the line's text.
    fn locate(&self, at: usize) -> (usize, usize, &'s str) {
        let at = floor_char_boundary(self.text, at);
        let line = self.line_starts.partition_point(|start| *start <= at).saturating_sub(1);
        let start = self.line_starts[line];
        let text = self.text[start..].split('\n').next().unwrap_or_default();
        (line, self.text[start..at].chars().count(), text.trim_end_matches('\r'))
    }

    fn error(&self, span: Range<usize>, found: String, expected: String) -> DefinitionError {
        let (line, column, text) = self.locate(span.start);
        let end = floor_char_boundary(self.text, span.end);
        let width = self.text.get(floor_char_boundary(self.text, span.start)..end).map_or(1, |t| t.chars().count());
        let excerpt = Excerpt::new(text, column, width);
        let file = self.path.to_owned();
        DefinitionError { file, line: line + 1, column: column + 1, found, expected, help: None, excerpt }
    }
}

impl<'s> Faults<'s> {
    pub(super) fn new(files: &'s [SourceFile<'s>]) -> Self {
        Self { files, errors: Vec::new() }
    }

    /// Reports an error.
    pub(super) fn report(&mut self, place: Place, found: impl Into<String>, expected: impl Into<String>) -> Reported {
        self.report_with_help(place, found, expected, None)
    }

    /// Reports an error that comes with advice, if there is any.
    pub(super) fn report_with_help(
        &mut self,
        place: Place,
        found: impl Into<String>,
        expected: impl Into<String>,
        help: Option<String>,
    ) -> Reported {
        let error = self.files[place.file].error(place.start..place.end, found.into(), expected.into());
        self.errors.push((place, DefinitionError { help, ..error }));
        Reported(())
    }

    /// Reports more of something than fits. `limit` is the constant's name.
    pub(super) fn report_limit(&mut self, place: Place, what: &str, count: usize, limit: (&str, usize)) -> Reported {
        let (name, max) = limit;
        self.report(place, format!("{count} {what}"), format!("at most {max} ({name})"))
    }

    /// `prod/views.toml:14:3`, for messages that point at a second place.
    pub(super) fn position(&self, place: Place) -> String {
        let file = &self.files[place.file];
        let (line, column, _) = file.locate(place.start);
        format!("{}:{}:{}", file.path, line + 1, column + 1)
    }

    /// All errors by file and line.
    pub(super) fn into_errors(mut self) -> Vec<DefinitionError> {
        self.errors.sort_by_key(|(place, _)| (place.file, place.start));
        let mut errors: Vec<_> = self.errors.into_iter().map(|(_, error)| error).collect();
        errors.dedup();
        errors
    }
}

/// The last character boundary at or before `at`.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
