//! Rows that have their place in the part that is written to, and are not shown yet.
//!
//! What may fail, because there is no room or a row cannot be combined, fails here, before the log has the write. To show what is
//! staged, once it is durable, cannot fail.

use std::collections::HashMap;

use super::{TableId, entry, memory::Memory, memory::Place};

/// In the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Staged {
    pub(super) rows: Vec<StagedRow>,
    /// By hash, the last of those that are combined: what comes next is combined with it.
    last: HashMap<u32, usize>,
}

/// A row of an entry that was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct StagedRow {
    pub(super) table: TableId,
    pub(super) hash: u32,
    pub(super) place: Place,
    pub(super) words: usize,
    pub(super) is_combined: bool,
    /// The one of the same hash before it, if both are combined.
    before: Option<usize>,
}

impl Staged {
    pub(super) fn push(&mut self, table: TableId, hash: u32, place: Place, words: usize, is_combined: bool) {
        let before = if is_combined { self.last.insert(hash, self.rows.len()) } else { None };
        self.rows.push(StagedRow { table, hash, place, words, is_combined, before });
    }

    /// Forgets all from the one numbered `from` on, the last one first.
    pub(super) fn cut(&mut self, from: usize, mut each: impl FnMut(StagedRow)) {
        while self.rows.len() > from
            && let Some(row) = self.rows.pop()
        {
            match row.before {
                Some(before) => drop(self.last.insert(row.hash, before)),
                None if row.is_combined => drop(self.last.remove(&row.hash)),
                None => {}
            }
            each(row);
        }
    }

    /// Takes all, to be shown.
    pub(super) fn take(&mut self) -> Vec<StagedRow> {
        self.last.clear();
        std::mem::take(&mut self.rows)
    }

    /// Gives the list back, to be used again.
    pub(super) fn give_back(&mut self, mut rows: Vec<StagedRow>) {
        rows.clear();
        self.rows = rows;
    }

    /// Copies the last row of a key among those that are combined to `scratch`.
    pub(super) fn find(&self, memory: &Memory, hash: u32, of: (TableId, &[u8]), scratch: &mut Vec<u8>) -> bool {
        let mut next = self.last.get(&hash).copied();
        while let Some(row) = next.and_then(|at| self.rows.get(at)) {
            if entry::row_of(memory, row.place, of, scratch).is_some() {
                return true;
            }
            next = row.before;
        }
        false
    }
}
