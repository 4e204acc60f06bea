//! A part that takes no more writes: its rows, sorted as segments need them.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Shared, TableId,
    entry::{self, EntryHead},
    index::Index,
    memory::Place,
};
use crate::{
    log::Sequence,
    table::{KeyHash, Table},
};

/// A frozen part. May be read by any one thread while the writer goes on; goes back to the writer when a generation has its rows.
#[derive(Debug)]
pub struct Frozen {
    shared: Arc<Shared>,
    index: Index,
    covers: Sequence,
}

/// The rows of one table in a frozen part, in ascending order of their hashes.
#[derive(Debug)]
pub struct FrozenRows<'f> {
    frozen: &'f Frozen,
    sorted: std::vec::IntoIter<(u64, Place)>,
    row: Vec<u8>,
}

impl Frozen {
    pub(super) fn new(shared: Arc<Shared>, index: Index, covers: Sequence) -> Self {
        Self { shared, index, covers }
    }

    pub(super) fn is_of(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// The last record of the log that it holds: with its generation published, the log is needed from the next one on.
    pub fn covers(&self) -> Sequence {
        self.covers
    }

    /// The tables that have rows here.
    pub fn tables(&self) -> Vec<TableId> {
        let memory = &self.shared.memory;
        let tables: BTreeSet<TableId> =
            self.index.places(memory).map(|place| EntryHead::read(memory, place).table).collect();
        tables.into_iter().collect()
    }

    /// The rows of a table, sorted by their hashes under `seed`. Takes 16 bytes a row for as long as they are read.
    pub fn rows(&self, table: TableId, seed: u64) -> FrozenRows<'_> {
        let memory = &self.shared.memory;
        let mut row = Vec::new();
        let of_table = self.index.places(memory).filter_map(|place| {
            let head = EntryHead::read(memory, place);
            if head.table != table {
                return None;
            }
            row.clear();
            entry::copy_row(memory, place, head, &mut row);
            let (_, key, _) = entry::key_and_time(&row)?;
            Some((Table::hash_with(seed, key).0, place))
        });
        let mut sorted: Vec<_> = of_table.collect();
        sorted.sort_unstable();
        FrozenRows { frozen: self, sorted: sorted.into_iter(), row: Vec::new() }
    }
}

impl FrozenRows<'_> {
    /// The next row, tombstones among them.
    pub fn next_row(&mut self) -> Option<(KeyHash, &[u8])> {
        let (hash, place) = self.sorted.next()?;
        let memory = &self.frozen.shared.memory;
        self.row.clear();
        entry::copy_row(memory, place, EntryHead::read(memory, place), &mut self.row);
        Some((KeyHash(hash), &self.row))
    }

    /// Rows left.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Bytes of the rows left.
    pub(crate) fn row_bytes(&self) -> u64 {
        let memory = &self.frozen.shared.memory;
        self.sorted.as_slice().iter().map(|&(_, place)| u64::from(EntryHead::read(memory, place).row_bytes)).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.sorted.len() == 0
    }
}
