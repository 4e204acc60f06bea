//! TOML's own syntax. The parser stops at the first error; here a table with an error in it is blanked out and the rest
//! is parsed again, so that one slip does not hide the other errors of its file.

use std::ops::Range;

use toml_edit::{Document, TomlError};

use crate::definitions::{
    error::quoted,
    faults::{Faults, Place},
    limits::SYNTAX_ERRORS_MAX,
};

/// What could be parsed, and whether that was all of it.
pub(super) fn parse(file: usize, text: &str, faults: &mut Faults<'_>) -> (Option<Document<String>>, bool) {
    let mut remaining = text.to_owned();
    for errors in 0..SYNTAX_ERRORS_MAX {
        let error = match Document::parse(remaining.clone()) {
            Ok(document) => return (Some(document), errors == 0),
            Err(error) => error,
        };
        let span = error.span().unwrap_or(0..0);
        report(file, text, &error, span.clone(), faults);
        let Some(blanked) = blank_table(&remaining, span.start) else { return (None, false) };
        remaining = blanked;
    }
    (None, false)
}

fn report(file: usize, text: &str, error: &TomlError, span: Range<usize>, faults: &mut Faults<'_>) {
    let place = Place { file, start: span.start, end: span.end };
    let culprit = text.get(span).filter(|culprit| !culprit.trim().is_empty());
    let (found, expected) =
        error.message().split_once(", expected ").unwrap_or_else(|| (error.message(), "valid TOML"));
    match (found, culprit) {
        ("duplicate key", Some(key)) => faults.report(
            place,
            format!("{} defined again", quoted(key)),
            "each key of a table, and each table of a file, once",
        ),
        (_, Some(culprit)) => faults.report(place, format!("TOML syntax: {found} at {}", quoted(culprit)), expected),
        (_, None) => faults.report(place, format!("TOML syntax: {found}"), expected),
    };
}

/// The text with the table around `at` turned to spaces, every other byte where it was. `None` when that brings nothing
/// new: an error at the end of the file may have begun anywhere, and a blank table has no error left.
fn blank_table(text: &str, at: usize) -> Option<String> {
    if at >= text.trim_end().len() {
        return None;
    }
    let line_starts = || std::iter::once(0).chain(text.match_indices('\n').map(|(newline, _)| newline + 1));
    let is_header = |start: &usize| text[*start..].trim_start_matches([' ', '\t']).starts_with('[');
    let mut start = line_starts().take_while(|start| *start <= at).filter(is_header).last().unwrap_or(0);
    let mut end = line_starts().skip_while(|start| *start <= at).find(is_header).unwrap_or(text.len());
    if start > 0 && text.get(start..at)?.trim().is_empty() {
        // the header itself is not what is wrong: something above it was not closed
        end = start;
        start = line_starts().take_while(|start| *start < end).filter(is_header).last().unwrap_or(0);
    }
    let blank: String = text[start..end]
        .bytes()
        .map(|byte| if matches!(byte, b'\n' | b'\r') { char::from(byte) } else { ' ' })
        .collect();
    let table = text.get(start..end)?;
    (!table.trim().is_empty()).then(|| [&text[..start], &blank, &text[end..]].concat())
}
