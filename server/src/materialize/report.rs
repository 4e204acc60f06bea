//! What a person is told about a view that was materialized.

use std::{fmt, path::PathBuf};

use gannet_store::build::BuildSummary;

use super::fault::BadRows;
use crate::text::{bytes, count};

/// One view's outcome.
#[derive(Debug)]
pub(crate) struct Report {
    /// `prod/user_profile`.
    pub(crate) name: String,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) rows_read: u64,
    pub(crate) bad: BadRows,
    pub(crate) bytes_in: u64,
    pub(crate) built: BuildSummary,
    /// With aggregates: how many keys lost their oldest tiles, because a row holds no more.
    pub(crate) keys_cut: Option<u64>,
    pub(crate) seconds: f64,
}

impl Report {
    /// One line for each of the first bad rows.
    pub(crate) fn bad_lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for row in self.bad.first() {
            let file = self.files.get(row.file).map(|file| file.display().to_string()).unwrap_or_default();
            lines.push(format!("{file}, {}: {}: {}", row.position, row.fault.reason.words(), row.fault.detail));
        }
        let more = self.bad.total().saturating_sub(lines.len() as u64);
        if more > 0 {
            lines.push(format!("and {} more", count(more)));
        }
        lines
    }
}

impl Report {
    /// The outcome in one line.
    pub(crate) fn brief(&self) -> String {
        let (rows, keys) = (count(self.rows_read), count(self.built.rows_kept));
        format!("  {:<48} {rows:>9} rows, {keys:>9} keys  {:>6.2} s", self.name, self.seconds)
    }
}

impl fmt::Display for Report {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BuildSummary { rows_in, rows_kept, raw_bytes, disk_bytes, .. } = self.built;
        writeln!(f, "{}", self.name)?;
        match self.keys_cut {
            None => {
                let superseded = count(rows_in - rows_kept);
                let (read, kept) = (count(self.rows_read), count(rows_kept));
                write!(f, "  rows    {read} read, {kept} kept, {superseded} superseded")?;
            }
            Some(keys_cut) => {
                write!(f, "  rows    {} read, aggregated for {} keys", count(self.rows_read), count(rows_kept))?;
                if keys_cut > 0 {
                    write!(f, ", of which {} have more than a row holds and lost the oldest", count(keys_cut))?;
                }
            }
        }
        if self.bad.total() > 0 {
            let reasons: Vec<_> = self.bad.by_reason().map(|(r, n)| format!("{} {}", count(n), r.words())).collect();
            write!(f, ", {} bad ({})", count(self.bad.total()), reasons.join(", "))?;
        }
        writeln!(f)?;
        write!(f, "  bytes   {} in, {} on disk", bytes(self.bytes_in), bytes(disk_bytes))?;
        if raw_bytes > 0 {
            write!(
                f,
                " ({:.2} times the {} of keys and values)",
                disk_bytes as f64 / raw_bytes as f64,
                bytes(raw_bytes)
            )?;
        }
        writeln!(f)?;
        let per_second = (self.rows_read as f64 / self.seconds.max(1e-9)).round();
        write!(f, "  time    {:.2} s, {per_second:.0} rows/s", self.seconds)
    }
}
