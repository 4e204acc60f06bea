//! Builds rows: from events in any order, from other rows, or from both.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    cell::Cell,
    view::{Damaged, Row},
};
use crate::aggregates::{
    limits::TILES_BYTES_MAX,
    partial::Shape,
    window::{Grid, PAST},
};

/// A column's value of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Input<'v> {
    Null,
    Boolean(bool),
    /// An int64 or a timestamp.
    Int64(i64),
    Float32(f32),
    Float64(f64),
    /// A text, or a nested value as it is encoded elsewhere: it is handed back as it came.
    Bytes(&'v [u8]),
}

/// The tiles of one key, while they are put together. What comes later is taken to be written later, which decides between equal times.
#[derive(Debug, Clone)]
pub struct RowBuilder<'s> {
    pub(super) shape: &'s Shape,
    /// By secondary key (empty without), then by tile, columns in order.
    pub(super) groups: BTreeMap<Box<[u8]>, BTreeMap<i64, Vec<Cell>>>,
    pub(super) newest_event_us: i64,
    /// Whether the row says that nothing before it counts.
    pub(super) anew: bool,
}

/// With its key the row would be longer than a row may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the row of tiles has {bytes} bytes, more than {TILES_BYTES_MAX} (TILES_BYTES_MAX)")]
pub struct RowTooLong {
    pub bytes: usize,
}

impl<'s> RowBuilder<'s> {
    pub(in crate::aggregates) fn new(shape: &'s Shape) -> Self {
        Self { shape, groups: BTreeMap::new(), newest_event_us: i64::MIN, anew: false }
    }

    /// Takes in an event, with a value for each of the view's columns in order. A value of another type than its column's is a programming
    /// error, and panics.
    ///
    /// With secondary keys, an event without one (`None`) belongs nowhere and is left out. Single events replace the one of their time.
    pub fn add(&mut self, event_time_us: i64, secondary_key: Option<&[u8]>, values: &[Input<'_>]) {
        assert!(values.len() == self.shape.columns.len(), "a value for each column");
        let key = match (self.shape.grouped, secondary_key) {
            (true, Some(key)) => key,
            (true, None) => return,
            (false, _) => &[],
        };
        self.newest_event_us = self.newest_event_us.max(event_time_us);
        let shape = self.shape;
        let cells = self.tile(key, shape.grid.number(event_time_us));
        if shape.grid == Grid::Events {
            *cells = shape.columns.iter().map(Cell::new).collect();
        }
        for ((cell, column), value) in cells.iter_mut().zip(&shape.columns).zip(values) {
            cell.add(column.kind, event_time_us, *value);
        }
    }

    /// Takes in a row of which everything was written after everything here.
    pub fn absorb(&mut self, row: &Row<'_>) -> Result<(), Damaged> {
        if row.begins_anew() {
            self.begin_anew();
        }
        let shape = self.shape;
        for group in 0..row.groups() {
            for tile in row.group(group) {
                let decoded = shape.columns.iter().map(|column| Cell::decode(column, row, tile));
                let later: Vec<Cell> = decoded.collect::<Result<_, _>>()?;
                self.put(row.key(group), row.number(tile), later);
            }
        }
        if row.tiles() > 0 {
            self.newest_event_us = self.newest_event_us.max(row.newest_event_us());
        }
        Ok(())
    }

    /// From here on nothing counts that was written before, here or in rows below: the key was deleted.
    pub fn begin_anew(&mut self) {
        self.clear();
        self.anew = true;
    }

    /// Lets go of tiles before `number`. With `past_from`, those from that one on are kept together as one, for lifetime windows.
    pub(in crate::aggregates) fn expire(&mut self, number: i64, past_from: Option<i64>) {
        let shape = self.shape;
        for tiles in self.groups.values_mut() {
            let kept = tiles.split_off(&number.max(PAST + 1));
            let expired = std::mem::replace(tiles, kept);
            for (expired, cells) in expired {
                if past_from.is_some_and(|from| expired >= from || expired == PAST) {
                    put(tiles, shape, PAST, cells);
                }
            }
        }
        self.groups.retain(|_, tiles| !tiles.is_empty());
    }

    /// Whether there is no tile.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Starts over with another key.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.newest_event_us = i64::MIN;
        self.anew = false;
    }

    /// Appends the row to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), RowTooLong> {
        let start = out.len();
        super::encode::encode(self, out);
        let bytes = out.len() - start;
        if bytes > TILES_BYTES_MAX {
            out.truncate(start);
            return Err(RowTooLong { bytes });
        }
        Ok(())
    }

    /// Appends the row, of at most `bytes_max` bytes: if it has more, without its oldest tiles, as [`Self::expire`] lets go of them. Says
    /// whether that was needed. It fails when not even the newest ones alone would fit.
    pub(in crate::aggregates) fn encode_newest(
        &mut self,
        bytes_max: usize,
        past_from: Option<i64>,
        out: &mut Vec<u8>,
    ) -> Result<bool, RowTooLong> {
        let start = out.len();
        let mut is_cut = false;
        loop {
            super::encode::encode(self, out);
            let bytes = out.len() - start;
            if bytes <= bytes_max {
                return Ok(is_cut);
            }
            out.truncate(start);
            let numbers: BTreeSet<i64> = self.groups.values().flat_map(BTreeMap::keys).copied().collect();
            let numbers: Vec<i64> = numbers.into_iter().filter(|number| *number != PAST).collect();
            if numbers.len() < 2 {
                return Err(RowTooLong { bytes });
            }
            // what fits if all are alike, and a little less, so that seldom a third attempt is needed
            let kept = (numbers.len() * (bytes_max / 20) / (bytes / 19)).clamp(1, numbers.len() - 1);
            self.expire(numbers[numbers.len() - kept], past_from);
            is_cut = true;
        }
    }

    /// Whether the row says that nothing before it counts.
    pub(in crate::aggregates) fn begins_anew(&self) -> bool {
        self.anew
    }

    /// The time of the newest event; `None` before the first.
    pub fn newest_event_us(&self) -> Option<i64> {
        (self.newest_event_us != i64::MIN).then_some(self.newest_event_us)
    }

    fn tile(&mut self, key: &[u8], number: i64) -> &mut Vec<Cell> {
        if !self.groups.contains_key(key) {
            self.groups.insert(key.into(), BTreeMap::new());
        }
        let shape = self.shape;
        let new = || shape.columns.iter().map(Cell::new).collect();
        self.groups.entry(key.into()).or_default().entry(number).or_insert_with(new)
    }

    fn put(&mut self, key: &[u8], number: i64, later: Vec<Cell>) {
        let shape = self.shape;
        put(self.groups.entry(key.into()).or_default(), shape, number, later);
    }
}

fn put(tiles: &mut BTreeMap<i64, Vec<Cell>>, shape: &Shape, number: i64, later: Vec<Cell>) {
    match tiles.entry(number) {
        std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(later)),
        std::collections::btree_map::Entry::Occupied(mut place) if shape.grid == Grid::Events => {
            place.insert(later);
        }
        std::collections::btree_map::Entry::Occupied(mut place) => {
            for ((cell, column), later) in place.get_mut().iter_mut().zip(&shape.columns).zip(later) {
                cell.absorb(column.kind, later);
            }
        }
    }
}
