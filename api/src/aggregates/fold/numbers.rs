//! Counts, sums and squares: straight loops over one array each, in lanes, so that the compiler can keep several in a register.

use super::{Fold, Part};
use crate::aggregates::{
    partial::{Kind, Partial},
    row::{Counts, Row},
};

/// How many sums run beside each other: additions of floats wait for the one before, and are not reordered by the compiler.
const LANES: usize = 8;

impl Fold<'_, '_> {
    /// How many values are not null.
    pub(super) fn count(&self) -> u64 {
        self.each()
            .map(|(_, row, tiles)| count(row.counts(self.column.first_array, tiles)))
            .fold(0, u64::saturating_add)
    }

    pub(super) fn sum_integers(&self) -> i128 {
        let Some(array) = self.column.array(Partial::Sum) else { return 0 };
        let sums = self.each().map(|(_, row, tiles)| match row.width(array) {
            16 => row.words(array, tiles).iter().map(|sum| i128::from_le_bytes(*sum)).fold(0, i128::saturating_add),
            _ => sum_integers(row.words(array, tiles)),
        });
        sums.fold(0, i128::saturating_add)
    }

    pub(super) fn sum(&self) -> f64 {
        if self.column.kind == Kind::Int64 {
            return self.sum_integers() as f64;
        }
        let Some(array) = self.column.array(Partial::Sum) else { return 0.0 };
        self.each().map(|(_, row, tiles)| sum(row.words(array, tiles))).sum()
    }

    /// The squared distances of all values from their mean: those within tiles from the tiles' means, and those of these.
    pub(super) fn squares(&self, count: u64) -> f64 {
        let arrays = (self.column.array(Partial::Sum), self.column.array(Partial::Squares));
        let (Some(sums), Some(squares)) = arrays else { return 0.0 };
        let mean = self.sum() / count as f64;
        let each = self.parts.iter().map(|part| {
            let row = &self.rows[part.row];
            sum(row.words(squares, part.tiles.clone())) + self.apart(row, part, sums, mean)
        });
        each.sum()
    }

    /// Σ count · (tile's mean − mean)².
    fn apart(&self, row: &Row<'_>, part: &Part, sums: usize, mean: f64) -> f64 {
        let counts = row.counts(self.column.first_array, part.tiles.clone());
        let floats = self.column.kind != Kind::Int64;
        match (counts, row.width(sums)) {
            (Counts::One(counts), 8) if floats => {
                apart(counts, row.words(sums, part.tiles.clone()), mean, f64::from_le_bytes)
            }
            (Counts::Four(counts), 8) if floats => {
                apart(counts, row.words(sums, part.tiles.clone()), mean, f64::from_le_bytes)
            }
            (Counts::Eight(counts), 8) if floats => {
                apart(counts, row.words(sums, part.tiles.clone()), mean, f64::from_le_bytes)
            }
            (Counts::One(counts), 8) => apart(counts, row.words(sums, part.tiles.clone()), mean, small),
            (Counts::Four(counts), 8) => apart(counts, row.words(sums, part.tiles.clone()), mean, small),
            (Counts::Eight(counts), 8) => apart(counts, row.words(sums, part.tiles.clone()), mean, small),
            (Counts::One(counts), _) => apart(counts, row.words(sums, part.tiles.clone()), mean, wide),
            (Counts::Four(counts), _) => apart(counts, row.words(sums, part.tiles.clone()), mean, wide),
            (Counts::Eight(counts), _) => apart(counts, row.words(sums, part.tiles.clone()), mean, wide),
        }
    }
}

fn small(bytes: [u8; 8]) -> f64 {
    i64::from_le_bytes(bytes) as f64
}

fn wide(bytes: [u8; 16]) -> f64 {
    i128::from_le_bytes(bytes) as f64
}

fn count(counts: Counts<'_>) -> u64 {
    match counts {
        Counts::One(counts) => counts.iter().map(|count| u64::from(count[0])).sum(),
        Counts::Four(counts) => counts.iter().map(|count| u64::from(u32::from_le_bytes(*count))).sum(),
        Counts::Eight(counts) => counts.iter().map(|count| u64::from_le_bytes(*count)).fold(0, u64::saturating_add),
    }
}

pub(super) fn sum(values: &[[u8; 8]]) -> f64 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane += f64::from_le_bytes(*value);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|value| f64::from_le_bytes(*value)).sum::<f64>()
}

/// Exact: the halves of all numbers are added up by themselves, which no row is long enough to overflow.
fn sum_integers(values: &[[u8; 8]]) -> i128 {
    let (mut low, mut high) = (0u64, 0i64);
    for value in values {
        let value = i64::from_le_bytes(*value);
        low += value.cast_unsigned() & 0xffff_ffff;
        high += value >> 32;
    }
    (i128::from(high) << 32) + i128::from(low)
}

#[inline]
fn apart<const COUNT: usize, const SUM: usize>(
    counts: &[[u8; COUNT]],
    sums: &[[u8; SUM]],
    mean: f64,
    read: impl Fn([u8; SUM]) -> f64,
) -> f64 {
    let one = |count: &[u8; COUNT], sum: &[u8; SUM]| {
        let mut wide = [0; 8];
        wide[..COUNT].copy_from_slice(count);
        let count = i64::from_le_bytes(wide) as f64; // counts are below 2⁶³, and signed ones convert in one instruction
        let apart = read(*sum) - count * mean;
        apart * apart / count.max(1.0)
    };
    let ((counts, counts_rest), (sums, sums_rest)) = (counts.as_chunks::<LANES>(), sums.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (counts, sums) in counts.iter().zip(sums) {
        for ((lane, count), sum) in lanes.iter_mut().zip(counts).zip(sums) {
            *lane += one(count, sum);
        }
    }
    lanes.iter().sum::<f64>() + counts_rest.iter().zip(sums_rest).map(|(count, sum)| one(count, sum)).sum::<f64>()
}
