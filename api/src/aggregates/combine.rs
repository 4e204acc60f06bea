//! Two rows of one key become one, in the overlay, when it is flushed, and when levels are compacted.
//!
//! ```text
//! upper       lower       together
//! tombstone   any         upper
//! row         tombstone   upper, which begins anew
//! row         row         lower, then upper, in one; upper alone if it begins anew
//! ```
//! What has expired by then is left out. A row that would be too long loses its oldest tiles: they are added to the past where there is a
//! lifetime window, and are gone where there is none. If the newest tiles alone are too long, what `upper` holds stays. Nothing is ever
//! refused for that, since what `upper` says was promised already; it is counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use gannet_store::{
    Corrupt, Row, Schema,
    plane::Combine,
    row::{RowLayout, RowWriter},
};

use super::{
    compiled::Aggregates,
    limits::TILES_BYTES_MAX,
    row::{Damaged, RowBuilder, UncheckedRow},
    window::LeadingEdge,
};

/// How the rows of a view with aggregates combine.
#[derive(Debug)]
pub struct CombineTiles {
    aggregates: Arc<Aggregates>,
    leading_edge: LeadingEdge,
    schema: Schema,
    layout: RowLayout,
    /// Rows that lost tiles for their length: of all views together.
    rows_cut: Arc<AtomicU64>,
}

impl CombineTiles {
    /// `schema` is that of the view's table, `table` its name for messages.
    pub fn new(
        aggregates: Arc<Aggregates>,
        leading_edge: LeadingEdge,
        schema: Schema,
        table: &str,
        rows_cut: Arc<AtomicU64>,
    ) -> Self {
        let layout = RowLayout::new(&schema, table);
        Self { aggregates, leading_edge, schema, layout, rows_cut }
    }

    fn tiles<'r>(&self, row: &Row<'r>) -> Result<&'r [u8], Corrupt> {
        match row.encoded_value(0)? {
            Some(tiles) => Ok(tiles),
            None => Err(self.corrupt(Damaged { at: 0, expected: "tiles" })),
        }
    }

    fn absorb(&self, builder: &mut RowBuilder<'_>, tiles: &[u8]) -> Result<(), Corrupt> {
        let row = self.aggregates.row(UncheckedRow::new(tiles)).map_err(|damaged| self.corrupt(damaged))?;
        builder.absorb(&row).map_err(|damaged| self.corrupt(damaged))
    }

    fn corrupt(&self, damaged: Damaged) -> Corrupt {
        Corrupt {
            file: format!("a row of tiles of {}", self.layout.name()),
            offset: damaged.at as u64,
            expected: damaged.expected.to_owned(),
            found: "other bytes".to_owned(),
        }
    }
}

impl Combine for CombineTiles {
    fn combine(&self, upper: &[u8], lower: &[u8], now_us: i64, out: &mut Vec<u8>) -> Result<(), Corrupt> {
        let (upper, lower) = (Row::parse(&self.layout, upper)?, Row::parse(&self.layout, lower)?);
        if upper.is_tombstone() {
            out.extend_from_slice(upper.encoded());
            return Ok(());
        }
        let mut builder = self.aggregates.builder();
        let mut event_time_us = upper.event_time_us();
        if lower.is_tombstone() {
            builder.begin_anew();
        } else {
            self.absorb(&mut builder, self.tiles(&lower)?)?;
            event_time_us = event_time_us.max(lower.event_time_us());
        }
        let begins_anew = builder.begins_anew();
        let written = self.tiles(&upper)?;
        self.absorb(&mut builder, written)?;
        // where windows end at the newest event of the view, that of the key is not beyond it
        let moment_us = match self.leading_edge {
            LeadingEdge::WallClock => Some(now_us),
            // an event of a time to come must not drive out what is served until then
            LeadingEdge::LatestEventTime => builder.newest_event_us().map(|newest_us| newest_us.min(now_us)),
        };
        if let Some(moment_us) = moment_us {
            self.aggregates.expire(&mut builder, moment_us);
        }
        let mut tiles = Vec::new();
        match self.aggregates.encode_newest(&mut builder, TILES_BYTES_MAX, &mut tiles) {
            Ok(false) => {}
            Ok(true) => drop(self.rows_cut.fetch_add(1, Ordering::Relaxed)),
            Err(_) => {
                self.rows_cut.fetch_add(1, Ordering::Relaxed);
                builder.clear();
                if begins_anew {
                    builder.begin_anew();
                }
                self.absorb(&mut builder, written)?;
                super::row::encode(&builder, &mut tiles);
            }
        }
        let mut writer = RowWriter::new(&self.schema);
        writer.begin(upper.key(), event_time_us);
        writer.binary(0, &tiles);
        let too_long = |error: gannet_store::row::RowError| Corrupt {
            file: self.layout.name().to_owned(),
            offset: 0,
            expected: "tiles that fitted a row before".to_owned(),
            found: error.to_string(),
        };
        out.extend_from_slice(writer.finish().map_err(too_long)?);
        Ok(())
    }
}
