//! From what is on disk to where writes are taken: the log's records behind the live generation, put into the overlay.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    PlaneSettings, StreamTables,
    flushing::Flush,
    positions::{Positions, Token},
    rows::Rows,
    underway::Underway,
    work::WorkOptions,
};
use crate::{
    directory::{DataDirectory, GivenUp, Manifest, TableEntry},
    error::{Corrupt, Error},
    levels::Stop,
    limits::{OVERLAY_BUDGET_BYTES_MAX, OVERLAY_BUDGET_BYTES_MIN},
    log::{Cut, Log, Record, Sequence},
    overlay::{Overlay, OverlaySettings, OverlayWriter, Stage, TableId},
};

/// What a start found. To be told in the process's log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlaneRecovered {
    /// The log that could not be read back, and was put aside as [`PlaneSettings::gives_up_log`] says.
    pub given_up: Option<GivenUp>,
    /// Records behind the live generation, and their rows.
    pub records: u64,
    pub rows: u64,
    /// Rows of tables that are not there any more, or have another schema now.
    pub rows_passed_over: u64,
    /// Bytes at the end of the log that were never acknowledged, and are cut.
    pub cut: Option<Cut>,
    /// Whether the process before ended as it should.
    pub was_closed: bool,
    /// How often the overlay was full and was flushed.
    pub flushes: u64,
    /// What the overlay may take, where that is more than [`PlaneSettings::overlay_budget_bytes`]: the log holds more, and nothing of it
    /// could be flushed.
    pub overlay_budget_bytes: Option<usize>,
}

/// What a plane goes on with.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) log: Log,
    pub(super) overlay: Overlay,
    pub(super) writer: OverlayWriter,
    /// Of the part that is frozen, if there is one.
    pub(super) unflushed: Option<Box<Flush>>,
    pub(super) positions: Positions,
    pub(super) oldest: BTreeMap<TableId, i64>,
    pub(super) has_deletes: bool,
    pub(super) recovered: PlaneRecovered,
    /// The last record that a generation holds.
    pub(super) covered: Sequence,
}

/// Opens the log and puts what it has behind the live generation into an overlay.
///
/// What was answered is readable again, whatever else fails: what cannot be flushed now stays in memory, as it did in the process before.
pub(super) fn recover(
    data: &DataDirectory,
    settings: &PlaneSettings,
    tables: &Arc<StreamTables>,
    overlay: OverlaySettings,
) -> Result<Ready, Error> {
    let mut given_up = None;
    if settings.gives_up_log {
        // Before anything of it is in memory.
        let live = data.current()?;
        given_up = data.give_up_log(settings.log, position(live.as_ref()))?;
    }
    let (mut budget_bytes, mut more) = (overlay.budget_bytes, None);
    loop {
        let mut is_too_small = false;
        let read = read_back(data, settings, tables, OverlaySettings { budget_bytes, ..overlay }, &mut is_too_small);
        match read {
            // In the process before it fitted; but there may have been more memory, or other tables.
            Err(_) if is_too_small && budget_bytes < OVERLAY_BUDGET_BYTES_MAX => {
                budget_bytes = budget_bytes.max(OVERLAY_BUDGET_BYTES_MIN) * 2;
                more = Some(budget_bytes);
            }
            read => {
                let mut ready = read?;
                (ready.recovered.given_up, ready.recovered.overlay_budget_bytes) = (given_up, more);
                return Ok(ready);
            }
        }
    }
}

/// `is_too_small`: nothing failed but that neither memory nor disk have room for what the log holds.
fn read_back(
    data: &DataDirectory,
    settings: &PlaneSettings,
    tables: &Arc<StreamTables>,
    overlay: OverlaySettings,
    is_too_small: &mut bool,
) -> Result<Ready, Error> {
    let live = data.current()?;
    let from = position(live.as_ref());
    restore_watermarks(live.as_ref(), tables);
    let (overlay, writer) = Overlay::new(overlay);
    let mut replay = Replay {
        data,
        settings,
        tables,
        overlay: writer,
        unflushed: None,
        is_too_small,
        positions: Positions::new(live.map(|live| live.source_positions).unwrap_or_default()),
        oldest: BTreeMap::new(),
        has_deletes: false,
        recovered: PlaneRecovered::default(),
        last: from,
        covered: from,
    };
    let (log, read) = data.open_log(settings.log, from, &mut |record| replay.record(record))?;
    let Replay { overlay: writer, unflushed, positions, oldest, has_deletes, recovered, covered, .. } = replay;
    let recovered = PlaneRecovered { records: read.records, cut: read.cut, was_closed: read.was_closed, ..recovered };
    Ok(Ready { log, overlay, writer, unflushed, positions, oldest, has_deletes, recovered, covered })
}

/// Up to where the live generation has everything.
fn position(live: Option<&Manifest>) -> Sequence {
    Sequence(live.map_or(0, |live| live.log_position))
}

/// From what generations know. What is in the log only comes with its records.
fn restore_watermarks(live: Option<&Manifest>, tables: &StreamTables) {
    let Some(live) = live else { return };
    for table in tables.iter() {
        // Of what was written the manifest knows better.
        let base = live.tables.get(&table.name).filter(|base| base.schema == *table.schema && !base.holds_writes);
        let written = live.watermarks_us.get(&table.name).copied();
        for watermark_us in written.into_iter().chain(base.and_then(TableEntry::newest_event_us)) {
            table.advance_watermark(watermark_us);
        }
    }
}

struct Replay<'r> {
    data: &'r DataDirectory,
    settings: &'r PlaneSettings,
    tables: &'r Arc<StreamTables>,
    overlay: OverlayWriter,
    /// Of the part that is frozen.
    unflushed: Option<Box<Flush>>,
    is_too_small: &'r mut bool,
    positions: Positions,
    oldest: BTreeMap<TableId, i64>,
    /// Stays true if what it is true for was flushed meanwhile: the log is open only later.
    has_deletes: bool,
    recovered: PlaneRecovered,
    /// The last record that is in the overlay, or in a generation.
    last: Sequence,
    covered: Sequence,
}

impl Replay<'_> {
    fn record(&mut self, record: Record<'_>) -> Result<(), Error> {
        let now_us = self.settings.clock.now().unix_us;
        let rows = Rows::parse(record.payload, self.tables, now_us).map_err(|malformed| {
            let (expected, found) = (format!("record {} to be a write", record.sequence), malformed.to_string());
            Corrupt { file: self.data.root().join("log").display().to_string(), offset: 0, expected, found }
        })?;
        self.recovered.rows_passed_over += rows.passed_over;
        let is_known = rows.token.as_ref().is_some_and(|token| self.positions.look(token) == Token::Known);
        if !is_known {
            self.apply(record.sequence, &rows)?;
            self.recovered.rows += rows.len() as u64;
            if let Some(token) = rows.token {
                self.positions.advance(token);
                self.positions.keep();
            }
        }
        self.last = record.sequence;
        Ok(())
    }

    fn apply(&mut self, sequence: Sequence, rows: &Rows<'_>) -> Result<(), Error> {
        let now_us = self.settings.clock.now().unix_us;
        let staged = match rows.stage(&mut self.overlay, sequence, now_us) {
            Ok(Stage::Staged) => Stage::Staged,
            // Full, or put together with what came before a row is longer than one may be, as it was not when that was in a generation.
            Ok(Stage::Full) | Err(_) if self.overlay.usage().rows > 0 => {
                self.make_room()?;
                rows.stage(&mut self.overlay, sequence, now_us)?
            }
            staged => staged?,
        };
        if staged == Stage::Full {
            let max = self.settings.overlay_budget_bytes as u64 / 2;
            return Err(Error::TooLarge { what: "a write in the log, in half of the overlay's budget,", max });
        }
        self.has_deletes |= rows.has_deletes();
        self.overlay.show_staged();
        self.overlay.reclaim();
        rows.times(|table, newest_us, oldest_us| {
            newest_us.into_iter().for_each(|newest_us| table.advance_watermark(newest_us));
            let known = self.oldest.entry(table.id).or_insert(oldest_us);
            *known = oldest_us.min(*known);
        });
        Ok(())
    }

    /// Brings what is in the overlay into a generation, or goes on in its other half if that fails.
    fn make_room(&mut self) -> Result<(), Error> {
        if let Some(unflushed) = self.unflushed.take()
            && let Err(error) = self.flush(unflushed)
        {
            *self.is_too_small = true;
            return Err(error);
        }
        self.settle();
        let frozen = self.overlay.freeze(self.last).ok_or(Error::BatchFull)?;
        let watermarks = self.tables.iter().filter_map(|table| Some((table.name.clone(), table.watermark_us()?)));
        let flush = Flush::new(frozen, Arc::clone(self.tables), watermarks.collect(), self.positions.all());
        self.oldest.clear();
        // What came of it is told by whoever tries it again.
        let _ = self.flush(Box::new(flush));
        Ok(())
    }

    /// Nobody reads yet, so what is in a generation is gone from memory at once.
    fn flush(&mut self, mut flush: Box<Flush>) -> Result<(), Error> {
        let PlaneSettings { flush_memory_bytes: memory_bytes, generations_kept, .. } = *self.settings;
        let now_us = self.settings.clock.now().unix_us;
        let (stop, underway) = (Stop::default(), Underway::default());
        let options = WorkOptions { memory_bytes, now_us, generations_kept, stop, underway };
        if let Err(error) = flush.run(self.data, &options) {
            flush.attempts += 1;
            self.unflushed = Some(flush);
            return Err(error);
        }
        self.covered = flush.frozen.covers();
        self.overlay.drop_frozen(flush.frozen);
        self.settle();
        self.recovered.flushes += 1;
        Ok(())
    }

    fn settle(&mut self) {
        while self.overlay.is_reclaiming() {
            self.overlay.reclaim();
        }
    }
}
