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
    log::{Cut, Log, Record, Sequence},
    overlay::{OverlayWriter, Stage, TableId},
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
}

/// What a plane goes on with.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) log: Log,
    pub(super) positions: Positions,
    pub(super) oldest: BTreeMap<TableId, i64>,
    pub(super) has_deletes: bool,
    pub(super) recovered: PlaneRecovered,
    /// The last record that a generation holds.
    pub(super) covered: Sequence,
}

/// Opens the log and puts what it has behind the live generation into the overlay, which is empty.
pub(super) fn recover(
    data: &DataDirectory,
    settings: &PlaneSettings,
    tables: &Arc<StreamTables>,
    overlay: &mut OverlayWriter,
) -> Result<Ready, Error> {
    let live = data.current()?;
    let from = Sequence(live.as_ref().map_or(0, |live| live.log_position));
    restore_watermarks(live.as_ref(), tables);
    // Before anything of it is in memory.
    let given_up = if settings.gives_up_log { data.give_up_log(settings.log, from)? } else { None };
    let mut replay = Replay {
        data,
        settings,
        tables,
        overlay,
        positions: Positions::new(live.map(|live| live.source_positions).unwrap_or_default()),
        oldest: BTreeMap::new(),
        has_deletes: false,
        recovered: PlaneRecovered { given_up, ..PlaneRecovered::default() },
        last: from,
        covered: from,
    };
    let (log, read) = data.open_log(settings.log, from, &mut |record| replay.record(record))?;
    let Replay { positions, oldest, has_deletes, recovered, covered, .. } = replay;
    let recovered = PlaneRecovered { records: read.records, cut: read.cut, was_closed: read.was_closed, ..recovered };
    Ok(Ready { log, positions, oldest, has_deletes, recovered, covered })
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
    overlay: &'r mut OverlayWriter,
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
        let staged = match rows.stage(self.overlay, sequence, now_us) {
            Ok(Stage::Staged) => Stage::Staged,
            // Full, or put together with what came before a row is longer than one may be, as it was not when that was in a generation.
            Ok(Stage::Full) | Err(_) if self.overlay.usage().rows > 0 => {
                self.flush()?;
                rows.stage(self.overlay, sequence, now_us)?
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

    /// Brings what is in the overlay into a generation. Nobody reads yet, so it is gone at once.
    fn flush(&mut self) -> Result<(), Error> {
        let frozen = self.overlay.freeze(self.last).ok_or(Error::BatchFull)?;
        let watermarks = self.tables.iter().filter_map(|table| Some((table.name.clone(), table.watermark_us()?)));
        let mut flush = Flush::new(frozen, Arc::clone(self.tables), watermarks.collect(), self.positions.all());
        let PlaneSettings { flush_memory_bytes: memory_bytes, generations_kept, .. } = *self.settings;
        let now_us = self.settings.clock.now().unix_us;
        let (stop, underway) = (Stop::default(), Underway::default());
        flush.run(self.data, &WorkOptions { memory_bytes, now_us, generations_kept, stop, underway })?;
        self.overlay.drop_frozen(flush.frozen);
        while self.overlay.is_reclaiming() {
            self.overlay.reclaim();
        }
        self.oldest.clear();
        self.covered = self.last;
        self.recovered.flushes += 1;
        Ok(())
    }
}
