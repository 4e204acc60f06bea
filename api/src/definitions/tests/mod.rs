//! Definitions from text to model, and every rule with the error it gives.

mod aggregates;
mod documents;
mod examples;
mod files;
mod limits;
mod meaning;
mod rules;

use super::{check, model::Definitions};

/// Files for `check`, from pairs of path and text.
fn files(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

/// Definitions that must be right.
#[track_caller]
fn accepted(sources: &[(&str, &str)]) -> Definitions {
    match check(&files(sources)) {
        Ok(definitions) => definitions,
        Err(errors) => panic!("{}", errors.iter().map(|error| error.render(false)).collect::<String>()),
    }
}
