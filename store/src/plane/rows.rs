//! A write's rows, checked and matched with the tables they are for.

use std::sync::Arc;

use super::{MalformedWrite, SourceToken, StreamTable, StreamTables, WriteRows};
use crate::{
    error::Error,
    log::Sequence,
    overlay::{OverlayWriter, Stage},
    row::Row,
};

/// A write, ready to be staged.
#[derive(Debug)]
pub(super) struct Rows<'w> {
    pub(super) token: Option<SourceToken>,
    tables: Vec<Arc<StreamTable>>,
    rows: Vec<OneRow<'w>>,
    /// Rows of tables that are not there any more, or have another schema now.
    pub(super) passed_over: u64,
}

#[derive(Debug, Clone, Copy)]
struct OneRow<'w> {
    /// In `tables`.
    table: usize,
    bytes: &'w [u8],
    event_time_us: i64,
    is_tombstone: bool,
}

impl<'w> Rows<'w> {
    pub(super) fn parse(payload: &'w [u8], known: &StreamTables) -> Result<Self, MalformedWrite> {
        let mut write = WriteRows::parse(payload)?;
        let mut rows = Self { token: write.token.take(), tables: Vec::new(), rows: Vec::new(), passed_over: 0 };
        // Rows of one table mostly follow each other.
        let mut last: Option<(&str, u64, Option<usize>)> = None;
        while let Some(row) = write.next_row()? {
            let table = match last {
                Some((name, fingerprint, table)) if (name, fingerprint) == (row.table, row.fingerprint) => table,
                _ => rows.table(known, row.table, row.fingerprint),
            };
            last = Some((row.table, row.fingerprint, table));
            let Some(table) = table else {
                rows.passed_over += 1;
                continue;
            };
            let at = row.row.as_ptr().addr() - payload.as_ptr().addr();
            let parsed = Row::parse(&rows.tables[table].layout, row.row).ok();
            let parsed = parsed.filter(|parsed| parsed.bytes() == row.row.len()).ok_or(MalformedWrite { at })?;
            let (event_time_us, is_tombstone) = (parsed.event_time_us(), parsed.is_tombstone());
            rows.rows.push(OneRow { table, bytes: row.row, event_time_us, is_tombstone });
        }
        Ok(rows)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn has_deletes(&self) -> bool {
        self.rows.iter().any(|row| row.is_tombstone)
    }

    /// Stages all rows, or none.
    pub(super) fn stage(&self, overlay: &mut OverlayWriter, sequence: Sequence, now_us: i64) -> Result<Stage, Error> {
        let staged = overlay.staged();
        for row in &self.rows {
            let table = &self.tables[row.table];
            let combine = table.combine.as_deref().map(|combine| (combine, now_us));
            match overlay.stage(table.id, sequence, row.bytes, combine) {
                Ok(Stage::Staged) => {}
                other => {
                    overlay.drop_staged(staged);
                    return other;
                }
            }
        }
        Ok(Stage::Staged)
    }

    /// The newest event time of each table, tombstones aside, and the oldest of all that is written to it.
    pub(super) fn times(&self, mut each: impl FnMut(&Arc<StreamTable>, Option<i64>, i64)) {
        for (number, table) in self.tables.iter().enumerate() {
            let of_table = || self.rows.iter().filter(|row| row.table == number);
            let newest = of_table().filter(|row| !row.is_tombstone).map(|row| row.event_time_us).max();
            if let Some(oldest) = of_table().map(|row| row.event_time_us).min() {
                each(table, newest, oldest);
            }
        }
    }

    fn table(&mut self, known: &StreamTables, name: &str, fingerprint: u64) -> Option<usize> {
        let table = known.get(name).filter(|table| table.fingerprint == fingerprint)?;
        let same = self.tables.iter().position(|known| known.id == table.id);
        Some(same.unwrap_or_else(|| {
            self.tables.push(Arc::clone(table));
            self.tables.len() - 1
        }))
    }
}
