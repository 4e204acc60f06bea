//! How far a long job is, for a person at a terminal; silent for everyone else.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar, or nothing when stderr is no terminal. Shared by all workers.
#[derive(Debug)]
pub(crate) struct Progress(Option<ProgressBar>);

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    Rows,
    Bytes,
}

impl Progress {
    pub(crate) fn new(what: &str, total: u64, unit: Unit) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let template = match unit {
            Unit::Rows => "{msg} {wide_bar} {human_pos}/{human_len} rows, {eta} left",
            Unit::Bytes => "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes}, {eta} left",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(Some(ProgressBar::new(total).with_style(style).with_message(what.to_owned())))
    }

    pub(crate) fn advance(&self, by: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(by);
        }
    }

    pub(crate) fn reach(&self, done: u64, total: u64) {
        if let Some(bar) = &self.0 {
            bar.set_length(total);
            bar.set_position(done);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear(); // the summary that follows says all that the bar would
        }
    }
}
