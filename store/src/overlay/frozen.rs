//! A part that takes no more writes: its rows, sorted as segments need them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

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
    deleted: BTreeSet<TableId>,
    /// Where the entries of each table are, in no order; found when it is asked for first.
    places: OnceLock<BTreeMap<TableId, Vec<Place>>>,
}

/// The rows of one table in a frozen part, in ascending order of their hashes.
#[derive(Debug)]
pub struct FrozenRows<'f> {
    frozen: &'f Frozen,
    sorted: Vec<(u64, Place)>,
    /// The next one.
    at: usize,
    row_bytes: u64,
    row: Vec<u8>,
}

impl Frozen {
    pub(super) fn new(shared: Arc<Shared>, index: Index, covers: Sequence, deleted: BTreeSet<TableId>) -> Self {
        Self { shared, index, covers, deleted, places: OnceLock::new() }
    }

    pub(super) fn is_of(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// The last record of the log that it holds: with its generation published, the log is needed from the next one on.
    pub fn covers(&self) -> Sequence {
        self.covers
    }

    /// Whether keys of a table were deleted in it, also if no tombstone is left of that.
    pub fn has_deletes(&self, table: TableId) -> bool {
        self.deleted.contains(&table)
    }

    /// The tables that have rows here.
    pub fn tables(&self) -> Vec<TableId> {
        self.places().keys().copied().collect()
    }

    /// The rows of a table, sorted by their hashes under `seed`. Takes 16 bytes a row for as long as they are read.
    pub fn rows(&self, table: TableId, seed: u64) -> FrozenRows<'_> {
        let memory = &self.shared.memory;
        let places = self.places().get(&table).map_or(&[][..], Vec::as_slice);
        let (mut sorted, mut row_bytes, mut row) = (Vec::with_capacity(places.len()), 0, Vec::new());
        for (at, place) in places.iter().enumerate() {
            self.load_ahead(places.get(at + AHEAD));
            let head = EntryHead::read(memory, *place);
            row.clear();
            entry::copy_row(memory, *place, head, &mut row);
            if let Some((_, key, _)) = entry::key_and_time(&row) {
                sorted.push((Table::hash_with(seed, key).0, *place));
                row_bytes += u64::from(head.row_bytes);
            }
        }
        sorted.sort_unstable();
        FrozenRows { frozen: self, sorted, at: 0, row_bytes, row }
    }

    fn places(&self) -> &BTreeMap<TableId, Vec<Place>> {
        self.places.get_or_init(|| {
            let memory = &self.shared.memory;
            let (all, mut places) = (self.index.places(memory).collect::<Vec<_>>(), BTreeMap::<_, Vec<_>>::new());
            for (at, place) in all.iter().enumerate() {
                self.load_ahead(all.get(at + AHEAD));
                places.entry(EntryHead::read(memory, *place).table).or_default().push(*place);
            }
            places
        })
    }

    /// Starts to load an entry that will be read soon. They lie anywhere, and loads that do not depend on each other wait for memory
    /// together instead of one by one.
    fn load_ahead(&self, place: Option<&Place>) {
        if let Some(place) = place {
            self.shared.memory.prefetch(*place);
        }
    }
}

impl FrozenRows<'_> {
    /// The next row, tombstones among them.
    pub fn next_row(&mut self) -> Option<(KeyHash, &[u8])> {
        let (hash, place) = *self.sorted.get(self.at)?;
        self.frozen.load_ahead(self.sorted.get(self.at + AHEAD).map(|(_, place)| place));
        self.at += 1;
        let memory = &self.frozen.shared.memory;
        self.row.clear();
        entry::copy_row(memory, place, EntryHead::read(memory, place), &mut self.row);
        Some((KeyHash(hash), &self.row))
    }

    /// Rows left.
    pub fn len(&self) -> usize {
        self.sorted.len() - self.at
    }

    /// Bytes of all rows, those that were read among them.
    pub(crate) fn row_bytes(&self) -> u64 {
        self.row_bytes
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How many entries are being loaded while one is read: about as many as a core can wait for at a time, of two lines each.
const AHEAD: usize = 12;
