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

    /// Exact, of an array of integers of 8 or 16 bytes.
    pub(super) fn sum_integers(&self, array: usize) -> i128 {
        let sums = self.each().map(|(_, row, tiles)| match row.width(array) {
            16 => row.words(array, tiles).iter().map(|sum| i128::from_le_bytes(*sum)).fold(0, i128::saturating_add),
            _ => sum_integers(row.words(array, tiles)),
        });
        sums.fold(0, i128::saturating_add)
    }

    pub(super) fn sum(&self, array: usize) -> f64 {
        if self.column.kind == Kind::Int64 {
            return self.sum_integers(array) as f64;
        }
        self.each().map(|(_, row, tiles)| sum(row.words(array, tiles))).sum()
    }

    /// The squared distances of all values from their mean: those within tiles from the tiles' means, and those of these.
    pub(super) fn squares(&self, count: u64) -> f64 {
        let arrays = (self.column.array(Partial::Sum), self.column.array(Partial::Squares));
        let (Some(sums), Some(squares)) = arrays else { return 0.0 };
        let mean = self.sum(sums) / count as f64;
        let each = self.parts.iter().map(|part| {
            let row = &self.rows[part.row];
            sum(row.words(squares, part.tiles.clone())) + self.apart(row, part, sums, mean)
        });
        each.sum()
    }

    /// The squared distances of single values from their mean.
    pub(super) fn squares_of(&self, values: usize, mean: f64) -> f64 {
        let each = self.each().map(|(_, row, tiles)| match self.column.kind {
            Kind::Int64 => squares(row.words(values, tiles), mean, small),
            _ => squares(row.words(values, tiles), mean, f64::from_le_bytes),
        });
        each.sum()
    }

    /// Σ count · (tile's mean − mean)².
    fn apart(&self, row: &Row<'_>, part: &Part, sums: usize, mean: f64) -> f64 {
        let counts = row.counts(self.column.first_array, part.tiles.clone());
        let floats = self.column.kind != Kind::Int64;
        match row.width(sums) {
            8 if floats => apart(counts, row.words(sums, part.tiles.clone()), mean, f64::from_le_bytes),
            8 => apart(counts, row.words(sums, part.tiles.clone()), mean, small),
            _ => apart(counts, row.words(sums, part.tiles.clone()), mean, wide),
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
        Counts::One(counts) => {
            // Narrow sums hold more lanes; so many bytes cannot overflow them.
            let narrow = |counts: &[[u8; 1]]| counts.iter().map(|count| u32::from(count[0])).sum::<u32>();
            counts.chunks(1 << 24).map(|counts| u64::from(narrow(counts))).sum()
        }
        Counts::Four(counts) => counts.iter().map(|count| u64::from(u32::from_le_bytes(*count))).sum(),
        Counts::Eight(counts) => counts.iter().map(|count| u64::from_le_bytes(*count)).fold(0, u64::saturating_add),
    }
}

fn sum(values: &[[u8; 8]]) -> f64 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane += f64::from_le_bytes(*value);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|value| f64::from_le_bytes(*value)).sum::<f64>()
}

/// Exact: the halves of all numbers are added up by themselves, which no row is long enough to overflow. They are moved up by 2⁶³ first, so that
/// both halves are plain shifts away.
fn sum_integers(values: &[[u8; 8]]) -> i128 {
    let (mut low, mut high) = (0u64, 0u64);
    for value in values {
        let value = u64::from_le_bytes(*value) ^ 1 << 63;
        low += value & 0xffff_ffff;
        high += value >> 32;
    }
    (i128::from(high) << 32) + i128::from(low) - ((values.len() as i128) << 63)
}

/// Σ (value − mean)².
fn squares(values: &[[u8; 8]], mean: f64, read: impl Fn([u8; 8]) -> f64) -> f64 {
    let square = |value: &[u8; 8]| (read(*value) - mean) * (read(*value) - mean);
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane += square(value);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(square).sum::<f64>()
}

/// Σ (sum − count · mean)² / count.
#[inline]
fn apart<const SUM: usize>(
    counts: Counts<'_>,
    sums: &[[u8; SUM]],
    mean: f64,
    sum: impl Fn([u8; SUM]) -> f64 + Copy,
) -> f64 {
    match counts {
        Counts::One(counts) => apart_of(counts, |[count]| f64::from(count), sums, sum, mean),
        Counts::Four(counts) => apart_of(counts, |count| f64::from(u32::from_le_bytes(count)), sums, sum, mean),
        // They are below 2⁶³, and signed ones are converted in one instruction.
        Counts::Eight(counts) => apart_of(counts, |count| i64::from_le_bytes(count) as f64, sums, sum, mean),
    }
}

/// Two tiles share a division, which costs more than all the rest: a/b + c/d = (a·d + c·b) / (b·d).
#[inline]
fn apart_of<const COUNT: usize, const SUM: usize>(
    counts: &[[u8; COUNT]],
    count: impl Fn([u8; COUNT]) -> f64,
    sums: &[[u8; SUM]],
    sum: impl Fn([u8; SUM]) -> f64,
    mean: f64,
) -> f64 {
    let parts = |at_count: &[u8; COUNT], at_sum: &[u8; SUM]| {
        let count = count(*at_count);
        let apart = sum(*at_sum) - count * mean;
        (apart * apart, if count > 1.0 { count } else { 1.0 }) // one instruction, which `max` is not
    };
    let ((counts, counts_rest), (sums, sums_rest)) = (counts.as_chunks::<PAIRS>(), sums.as_chunks::<PAIRS>());
    let mut lanes = [0.0; LANES];
    for (counts, sums) in counts.iter().zip(sums) {
        for (at, lane) in lanes.iter_mut().enumerate() {
            let (one, by) = parts(&counts[at], &sums[at]);
            let (other, other_by) = parts(&counts[at + LANES], &sums[at + LANES]);
            *lane += (one * other_by + other * by) / (by * other_by);
        }
    }
    let rest = counts_rest.iter().zip(sums_rest).map(|(count, sum)| parts(count, sum));
    lanes.iter().sum::<f64>() + rest.map(|(one, by)| one / by).sum::<f64>()
}

const PAIRS: usize = 2 * LANES;
