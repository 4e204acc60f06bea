//! Views with aggregates: all events of a key become its row of tiles.

#[cfg(test)]
mod tests;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use gannet_api::{
    aggregates::{Aggregates, LeadingEdge, RowBuilder, add_event, limits::TILES_BYTES_MAX},
    definitions::model::FeatureView,
};
use gannet_store::{
    Corrupt, Row, Schema,
    build::{Fold, Folder},
    row::RowWriter,
};

/// Makes rows of tiles.
#[derive(Debug)]
pub(super) struct Tiles {
    aggregates: Aggregates,
    schema: Arc<Schema>,
    /// What has expired by then is left out, if the data goes on beyond.
    now_us: Option<i64>,
    /// Keys that lost their oldest tiles, because a row holds no more.
    keys_cut: AtomicU64,
}

impl Tiles {
    /// `schema` is that of the view's table. `None` for a view of plain columns.
    pub(super) fn of(view: &FeatureView, schema: &Arc<Schema>, now_us: i64) -> Option<Self> {
        let aggregates = view.aggregates()?;
        // A stream goes on from the data; without one, windows end with it, however long ago that was.
        let by_clock = view.stream.is_some()
            && view.aggregation.as_ref().is_some_and(|aggregation| aggregation.leading_edge == LeadingEdge::WallClock);
        let now_us = by_clock.then_some(now_us);
        Some(Self { aggregates, schema: Arc::clone(schema), now_us, keys_cut: AtomicU64::new(0) })
    }

    pub(super) fn keys_cut(&self) -> u64 {
        self.keys_cut.load(Ordering::Relaxed)
    }
}

impl Fold for Tiles {
    fn folder(&self, event_time_max_us: i64) -> Box<dyn Folder + '_> {
        let end_us = self.aggregates.end_of_data_us(event_time_max_us);
        Box::new(Key {
            tiles: self,
            moment_us: self.now_us.map_or(end_us, |now_us| now_us.min(end_us)),
            builder: self.aggregates.builder(),
            key: Vec::new(),
            events: 0,
            is_cut: false,
            row: Vec::new(),
            writer: RowWriter::new(&self.schema),
        })
    }
}

/// The key at hand.
struct Key<'t> {
    tiles: &'t Tiles,
    moment_us: i64,
    builder: RowBuilder<'t>,
    key: Vec<u8>,
    events: usize,
    is_cut: bool,
    row: Vec<u8>,
    writer: RowWriter,
}

impl Key<'_> {
    /// Encodes what is there, and lets go of what a row has no room for: of everything, if not even the newest tiles fit.
    fn encode(&mut self) {
        self.row.clear();
        match self.tiles.aggregates.encode_newest(&mut self.builder, TILES_BYTES_MAX, &mut self.row) {
            Ok(is_cut) => self.is_cut |= is_cut,
            Err(_) => {
                self.builder.clear();
                self.is_cut = true;
            }
        }
    }
}

impl Folder for Key<'_> {
    fn add(&mut self, event: &Row<'_>) -> Result<(), Corrupt> {
        if self.events == 0 {
            self.key.extend_from_slice(event.key());
        }
        self.events += 1;
        if self.tiles.aggregates.is_expired(event.event_time_us(), self.moment_us) {
            return Ok(());
        }
        add_event(&self.tiles.aggregates, &mut self.builder, event)?;
        if self.events.is_multiple_of(EVENTS_UNCUT_MAX) {
            self.encode(); // what no row has room for does not fill the memory either
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<bool, Corrupt> {
        self.tiles.aggregates.expire(&mut self.builder, self.moment_us);
        self.encode();
        let is_there = !self.builder.is_empty();
        if is_there {
            let event_time_us = self.builder.newest_event_us().unwrap_or_default(); // there are tiles, so there were events
            self.writer.begin(&self.key, event_time_us);
            self.writer.binary(0, &self.row);
            let row = self.writer.finish();
            out.extend_from_slice(row.map_err(|error| Corrupt {
                file: "the events of a key".to_owned(),
                offset: 0,
                expected: "a key and tiles that fit a row".to_owned(),
                found: error.to_string(),
            })?);
        }
        self.tiles.keys_cut.fetch_add(u64::from(self.is_cut), Ordering::Relaxed);
        self.builder.clear();
        self.key.clear();
        (self.events, self.is_cut) = (0, false);
        Ok(is_there)
    }
}

/// Twice as many single events as a row can hold.
const EVENTS_UNCUT_MAX: usize = 1 << 18;
