//! Percentiles, approximately: a t-digest, stored as its crate serializes it.
//!
//! The bytes are serial version 1 of the Apache DataSketches family's t-digest, with doubles: a preamble of 8 or 16 bytes, minimum and
//! maximum, then centroids (mean f64, weight u64) in ascending order. A single value is 16 bytes.

use std::ops::Range;

use datasketches::tdigest::TDigestMut;

use crate::aggregates::{
    limits::DIGEST_WEIGHT_MAX,
    row::{Damaged, Row},
};

/// The values of one tile or window.
#[derive(Debug, Clone)]
pub(in crate::aggregates) struct Digest(TDigestMut);

impl Digest {
    /// Precisions outside of the limits are refused with the definitions; here the nearest that there is stands for one.
    pub(in crate::aggregates) fn new(precision: u16) -> Self {
        Self(TDigestMut::new(precision).unwrap_or_default())
    }

    pub(in crate::aggregates) fn precision(&self) -> u16 {
        self.0.k()
    }

    /// Adds a value; NaN and infinities are left out.
    pub(in crate::aggregates) fn add(&mut self, value: f64) {
        self.0.update(value);
    }

    pub(in crate::aggregates) fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    /// All of several, in one pass.
    pub(in crate::aggregates) fn merged(digests: impl Iterator<Item = Self>) -> Self {
        Self(digests.map(|digest| digest.0).collect())
    }

    /// The value that this share of the values lies below; `None` without values.
    pub(in crate::aggregates) fn quantile(&mut self, share: f64) -> Option<f64> {
        self.0.quantile(share).ok().flatten()
    }

    /// Appends its bytes; nothing without values.
    pub(in crate::aggregates) fn encode(&self, out: &mut Vec<u8>) {
        if !self.0.is_empty() {
            out.extend_from_slice(&self.0.clone().serialize());
        }
    }

    /// The digest that an item of a row holds, checked.
    pub(in crate::aggregates) fn read(row: &Row<'_>, item: Range<usize>, precision: u16) -> Result<Self, Damaged> {
        Self::parse(row.bytes(item.clone()), precision).ok_or(Damaged { at: item.start, expected: "a t-digest" })
    }

    pub(super) fn parse(bytes: &[u8], precision: u16) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::new(precision));
        }
        // The crate reads older forms, too, which no row of ours has.
        if bytes.get(1..3) != Some(&[SERIAL_VERSION, FAMILY]) {
            return None;
        }
        let digest = TDigestMut::deserialize(bytes).ok()?;
        let sound = digest.k() == precision && digest.total_weight() <= DIGEST_WEIGHT_MAX;
        sound.then_some(Self(digest))
    }
}

const SERIAL_VERSION: u8 = 1;
const FAMILY: u8 = 20;
