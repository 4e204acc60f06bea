//! What commands say: results on stdout, errors on stderr.

use std::{
    fmt,
    io::{self, Write as _},
};

use anyhow::Result;

/// A result, for people or for the next program in a pipe.
pub(crate) fn say(line: impl fmt::Display) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// What happened beside the result.
pub(crate) fn note(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}"); // with stderr gone there is nowhere to complain
}

/// One line: what went wrong and why, down to the cause.
pub(crate) fn error(error: &anyhow::Error) {
    note(format_args!("error: {}", chain(error)));
}

/// The chain of causes. Some errors show their cause in their own text; it is not said twice.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.ends_with(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

/// Whether the program that read our results ended first (`gannet inspect | head`); that is no failure.
pub(crate) fn reader_is_gone(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn causes_are_said_once() {
        let e = Err::<(), _>(anyhow!("no such file")).context("cannot open x: no such file").context("cannot start");
        assert_eq!(chain(&e.unwrap_err()), "cannot start: cannot open x: no such file");
    }
}
