//! Distinct values, approximately: a HyperLogLog sketch whose bytes are our own.
//!
//! ```text
//! sparse   | 1 u8 | coupons, u32 each, ascending |       coupon: rank (1 to 63) << 26 | 26 bits of the value's hash
//! dense    | 2 u8 | registers, 2^precision × u8  |       the largest rank of each slot: the coupon's low bits
//! ```
//! What a value's coupon is, and how many values so many coupons or such registers stand for, is the crate's; it is fixed for all
//! implementations of the Apache DataSketches family. Coupons and registers are ours to hold, so that the same values give the same bytes in any
//! order, and so that no byte from a disk reaches arithmetic unchecked.

use std::ops::Range;

use datasketches::{
    hash::value::raw_bytes,
    hll::{HllSketch, HllType},
};

use crate::aggregates::row::{Damaged, Row};

/// The distinct values of one tile or window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::aggregates) struct Distinct {
    precision: u8,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// Coupons, ascending.
    Sparse(Vec<u32>),
    /// Registers.
    Dense(Vec<u8>),
}

/// The same, in place.
#[derive(Debug, Clone, Copy)]
pub(in crate::aggregates) enum DistinctRef<'r> {
    Sparse(&'r [[u8; 4]]),
    Dense(&'r [u8]),
}

const SPARSE: u8 = 1;
const DENSE: u8 = 2;

impl Distinct {
    pub(in crate::aggregates) fn new(precision: u8) -> Self {
        Self { precision, form: Form::Sparse(Vec::new()) }
    }

    pub(in crate::aggregates) fn precision(&self) -> u8 {
        self.precision
    }

    pub(in crate::aggregates) fn add_bytes(&mut self, value: &[u8]) {
        self.add_hashed(raw_bytes::from_slice(value));
    }

    pub(in crate::aggregates) fn add_integer(&mut self, value: i64) {
        self.add_hashed(value);
    }

    fn add_hashed(&mut self, value: impl std::hash::Hash) {
        let Ok(mut one) = HllSketch::new(PRECISION_OF_ONE, HllType::Hll8) else { return };
        one.update(value);
        if let Some((_, coupon)) = one.serialize().split_last_chunk::<4>() {
            self.add_coupon(u32::from_le_bytes(*coupon));
        }
    }

    fn add_coupon(&mut self, coupon: u32) {
        match &mut self.form {
            Form::Dense(registers) => raise(registers, coupon),
            Form::Sparse(coupons) => {
                if let Err(at) = coupons.binary_search(&coupon) {
                    coupons.insert(at, coupon);
                }
                if coupons.len() > sparse_max(self.precision) {
                    self.densify();
                }
            }
        }
    }

    fn densify(&mut self) -> &mut [u8] {
        if let Form::Sparse(coupons) = &self.form {
            let mut registers = vec![0; 1 << self.precision];
            coupons.iter().for_each(|coupon| raise(&mut registers, *coupon));
            self.form = Form::Dense(registers);
        }
        match &mut self.form {
            Form::Dense(registers) => registers,
            Form::Sparse(_) => &mut [],
        }
    }

    /// Adds the values of another of the same precision.
    pub(in crate::aggregates) fn merge(&mut self, other: DistinctRef<'_>) {
        match other {
            DistinctRef::Sparse(coupons) => {
                coupons.iter().for_each(|coupon| self.add_coupon(u32::from_le_bytes(*coupon)));
            }
            DistinctRef::Dense(others) => {
                let registers = self.densify();
                registers.iter_mut().zip(others).for_each(|(register, other)| *register = (*register).max(*other));
            }
        }
    }

    /// Adds the values of another of the same precision.
    pub(in crate::aggregates) fn absorb(&mut self, other: &Self) {
        match &other.form {
            Form::Sparse(coupons) => coupons.iter().for_each(|coupon| self.add_coupon(*coupon)),
            Form::Dense(registers) => self.merge(DistinctRef::Dense(registers)),
        }
    }

    /// About how many there are. It depends on the values alone, not on their order.
    pub(in crate::aggregates) fn estimate(&self) -> i64 {
        let estimate = HllSketch::deserialize(&self.image()).map_or(0.0, |sketch| sketch.composite_estimate());
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the estimate of 2^16 registers of 6 bits is far below 2^63"
        )]
        let rounded = estimate.round() as i64;
        rounded
    }

    /// Appends its bytes; nothing without values.
    pub(in crate::aggregates) fn encode(&self, out: &mut Vec<u8>) {
        match &self.form {
            Form::Sparse(coupons) if coupons.is_empty() => {}
            Form::Sparse(coupons) => {
                out.push(SPARSE);
                coupons.iter().for_each(|coupon| out.extend_from_slice(&coupon.to_le_bytes()));
            }
            Form::Dense(registers) => {
                out.push(DENSE);
                out.extend_from_slice(registers);
            }
        }
    }

    /// The sketch that an item of a row holds, checked.
    pub(in crate::aggregates) fn read<'r>(
        row: &Row<'r>,
        item: Range<usize>,
        precision: u8,
    ) -> Result<DistinctRef<'r>, Damaged> {
        DistinctRef::parse(row.bytes(item.clone()), precision)
            .ok_or(Damaged { at: item.start, expected: "a sketch of distinct values" })
    }

    /// The sketch as the crate's format has it. What follows from coupons or registers is worked out here.
    fn image(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match &self.form {
            Form::Sparse(coupons) => {
                let (count, mode) = (coupons.len(), TYPE_REGISTERS_OF_8_BITS);
                match u8::try_from(count) {
                    Ok(count) if usize::from(count) <= LIST_MAX => {
                        let flags = FLAG_COMPACT | if count == 0 { FLAG_EMPTY } else { 0 };
                        out.extend_from_slice(&[2, 1, FAMILY, self.precision, 3, flags, count, mode]);
                    }
                    _ => {
                        let slots_log2 = (5..).find(|log2| count <= (3 << log2) / 4).unwrap_or(u8::MAX);
                        out.extend_from_slice(&[
                            3,
                            1,
                            FAMILY,
                            self.precision,
                            slots_log2,
                            FLAG_COMPACT,
                            0,
                            mode | MODE_SET,
                        ]);
                        out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
                    }
                }
                coupons.iter().for_each(|coupon| out.extend_from_slice(&coupon.to_le_bytes()));
            }
            Form::Dense(registers) => {
                let weight = |from: u8, to: u8| {
                    let within = registers.iter().filter(|rank| (from..to).contains(*rank));
                    within.map(|rank| 1.0 / (1u64 << rank.min(&RANK_MAX)) as f64).sum::<f64>()
                };
                let zeros = registers.iter().filter(|rank| **rank == 0).count();
                let mode = TYPE_REGISTERS_OF_8_BITS | MODE_REGISTERS;
                out.extend_from_slice(&[10, 1, FAMILY, self.precision, 0, FLAG_OUT_OF_ORDER, 0, mode]);
                for number in [0.0, weight(0, 32), weight(32, u8::MAX)] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
                out.extend_from_slice(&u32::try_from(zeros).unwrap_or(0).to_le_bytes());
                out.extend_from_slice(&[0; 4]);
                out.extend_from_slice(registers);
            }
        }
        out
    }
}

impl<'r> DistinctRef<'r> {
    pub(super) fn parse(bytes: &'r [u8], precision: u8) -> Option<Self> {
        let Some((form, rest)) = bytes.split_first() else { return Some(Self::Sparse(&[])) };
        match *form {
            SPARSE => {
                let (coupons, rest) = rest.as_chunks::<4>();
                let known = |coupon: &[u8; 4]| u32::from_le_bytes(*coupon) >= 1 << RANK_SHIFT;
                let ascend = |pair: &[[u8; 4]]| u32::from_le_bytes(pair[0]) < u32::from_le_bytes(pair[1]);
                let sound = rest.is_empty()
                    && coupons.len() <= sparse_max(precision)
                    && coupons.iter().all(known)
                    && coupons.windows(2).all(ascend);
                sound.then_some(Self::Sparse(coupons))
            }
            DENSE => {
                let sound = rest.len() == 1 << precision && rest.iter().all(|rank| *rank <= RANK_MAX);
                sound.then_some(Self::Dense(rest))
            }
            _ => None,
        }
    }
}

fn raise(registers: &mut [u8], coupon: u32) {
    let slot = coupon as usize & (registers.len() - 1);
    let rank = coupon.to_le_bytes()[3] >> (RANK_SHIFT - 24);
    registers[slot] = registers[slot].max(rank);
}

/// How many coupons there may be before registers take less room, as the crate has it.
fn sparse_max(precision: u8) -> usize {
    if precision < 8 { LIST_MAX } else { 3 << (precision - 5) }
}

/// A sketch of one value is read for that value's coupon, which does not depend on the precision.
const PRECISION_OF_ONE: u8 = 4;
const RANK_SHIFT: u32 = 26;
const RANK_MAX: u8 = 63;

// Of the family's format: serial version 1 of HLL.
const FAMILY: u8 = 7;
const LIST_MAX: usize = 7;
const FLAG_EMPTY: u8 = 4;
const FLAG_COMPACT: u8 = 8;
const FLAG_OUT_OF_ORDER: u8 = 16;
const MODE_SET: u8 = 1;
const MODE_REGISTERS: u8 = 2;
const TYPE_REGISTERS_OF_8_BITS: u8 = 2 << 2;
