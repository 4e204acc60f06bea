//! Sketches of tiles, put together. These allocate.

use super::{Fold, Item};
use crate::aggregates::{
    partial::Partial,
    row::Damaged,
    sketch::{Digest, Distinct},
};

impl Fold<'_, '_> {
    pub(super) fn distinct(&self, precision: u8) -> Result<Item, Damaged> {
        let Some(array) = self.column.array(Partial::Distinct(precision)) else { return Ok(Item::Null) };
        let mut all = Distinct::new(precision);
        for (_, row, tiles) in self.each() {
            for tile in tiles {
                all.merge(Distinct::read(row, row.item(array, tile)?, precision)?);
            }
        }
        Ok(Item::Int64(all.estimate()))
    }

    /// Null if no value is a finite number.
    pub(super) fn percentile(&self, share: f64, precision: u16) -> Result<Item, Damaged> {
        let Some(array) = self.column.array(Partial::Digest(precision)) else { return Ok(Item::Null) };
        let mut digests = Vec::new();
        for (_, row, tiles) in self.each() {
            for tile in tiles {
                digests.push(Digest::read(row, row.item(array, tile)?, precision)?);
            }
        }
        Ok(Digest::merged(digests.into_iter()).quantile(share).map_or(Item::Null, Item::Float64))
    }
}
