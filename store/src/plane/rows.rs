//! A write's rows, checked and matched with the tables they are for.

use std::{
    borrow::Cow,
    collections::hash_map::{Entry, HashMap},
    sync::Arc,
};

use super::{MalformedWrite, SourceToken, StreamTable, StreamTables, WriteRows};
use crate::{
    error::{Corrupt, Error},
    format::layout::RowHead,
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

#[derive(Debug)]
struct OneRow<'w> {
    /// In `tables`.
    table: usize,
    key: &'w [u8],
    /// `None`: it was put together with an earlier one of its key.
    bytes: Option<Cow<'w, [u8]>>,
    event_time_us: i64,
    is_tombstone: bool,
}

impl<'w> Rows<'w> {
    pub(super) fn parse(payload: &'w [u8], known: &StreamTables, now_us: i64) -> Result<Self, MalformedWrite> {
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
            let key = RowHead::read(row.row).and_then(|head| row.row.get(head.key())).ok_or(MalformedWrite { at })?;
            rows.rows.push(OneRow { table, key, bytes: Some(Cow::Borrowed(row.row)), event_time_us, is_tombstone });
        }
        rows.combine(now_us).map_err(|_| MalformedWrite { at: payload.len() })?;
        Ok(rows)
    }

    /// Of rows of a key that are put together, one is left: or a write with many events of a key would take the room of its whole row
    /// for each.
    fn combine(&mut self, now_us: i64) -> Result<(), Corrupt> {
        if self.rows.len() < 2 {
            return Ok(());
        }
        let mut firsts: HashMap<(usize, &[u8]), usize> = HashMap::new();
        for at in 0..self.rows.len() {
            let (table, key) = (self.rows[at].table, self.rows[at].key);
            let Some(combine) = self.tables[table].combine.as_deref() else { continue };
            match firsts.entry((table, key)) {
                Entry::Vacant(first) => drop(first.insert(at)),
                Entry::Occupied(first) => {
                    let (upper, mut combined) = (self.rows[at].bytes.take(), Vec::new());
                    let lower = &mut self.rows[*first.get()].bytes;
                    if let (Some(upper), Some(lower)) = (&upper, &lower) {
                        combine.combine(upper, lower, now_us, &mut combined)?;
                    }
                    *lower = Some(Cow::Owned(combined));
                }
            }
        }
        Ok(())
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
            let Some(bytes) = row.bytes.as_deref() else { continue };
            match overlay.stage(table.id, sequence, bytes, combine) {
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
