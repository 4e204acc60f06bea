//! The smallest and the largest.

use super::{Fold, Item, bytes};
use crate::aggregates::{
    partial::Kind,
    row::{Damaged, is_better},
};

/// How many comparisons run beside each other.
const LANES: usize = 8;

impl Fold<'_, '_> {
    /// Of an array in which at least one tile has a value.
    pub(super) fn extreme(&self, array: usize, larger: bool) -> Result<Item, Damaged> {
        // Where a tile has no value stands what changes no result.
        let words = self.each().map(|(_, row, tiles)| row.words(array, tiles));
        Ok(match (self.column.kind, larger) {
            (Kind::Int64, false) => Item::Int64(words.map(smallest_integer).fold(i64::MAX, i64::min)),
            (Kind::Int64, true) => Item::Int64(words.map(largest_integer).fold(i64::MIN, i64::max)),
            (Kind::Float64, false) => Item::Float64(words.map(smallest).fold(f64::NAN, f64::min)),
            (Kind::Float64, true) => Item::Float64(words.map(largest).fold(f64::NAN, f64::max)),
            _ => self.extreme_bytes(array, larger)?,
        })
    }

    fn extreme_bytes(&self, array: usize, larger: bool) -> Result<Item, Damaged> {
        let mut best: Option<(Item, &[u8])> = None;
        for (at, row, tiles) in self.each() {
            let counts = row.counts(self.column.first_array, tiles.clone());
            for (position, tile) in tiles.enumerate() {
                if counts.at(position) > 0 {
                    let range = row.item(array, tile)?;
                    let value = row.bytes(range.clone());
                    if best.is_none_or(|(_, best)| is_better(Kind::Bytes, value, best, larger)) {
                        best = Some((bytes(at, &range), value));
                    }
                }
            }
        }
        Ok(best.map_or(Item::Null, |(item, _)| item))
    }
}

fn lanes<T: Copy>(values: &[[u8; 8]], neutral: T, read: impl Fn([u8; 8]) -> T, better: impl Fn(T, T) -> T) -> T {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [neutral; LANES];
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane = better(*lane, read(*value));
        }
    }
    lanes.into_iter().chain(rest.iter().map(|value| read(*value))).fold(neutral, better)
}

fn smallest(values: &[[u8; 8]]) -> f64 {
    lanes(values, f64::NAN, f64::from_le_bytes, f64::min)
}

fn largest(values: &[[u8; 8]]) -> f64 {
    lanes(values, f64::NAN, f64::from_le_bytes, f64::max)
}

fn smallest_integer(values: &[[u8; 8]]) -> i64 {
    lanes(values, i64::MAX, i64::from_le_bytes, i64::min)
}

fn largest_integer(values: &[[u8; 8]]) -> i64 {
    lanes(values, i64::MIN, i64::from_le_bytes, i64::max)
}
