//! Keys whose rows may lie in more than one place: in the overlay, in a delta, in the base.
//!
//! Most keys have a row in the base and nowhere else, which a word of the overlay's filter tells, and of most others the overlay's row
//! is all that counts (`batch.rs`); they never come here. For those that are left every place goes through the same stages as that one
//! row, over all requests of the turn.
//!
//! ```text
//! begin     overlay: prefetch the bucket                     files: prefetch bucket lines
//! gather 1  overlay: read the bucket, prefetch the entry     files: read bucket lines, prefetch rows
//! gather 2  overlay: copy the rows
//! gather 3                                                   files: leave out what upper rows hide
//! ```

use gannet_store::{
    Corrupt, Row, Table,
    cache::RowCache,
    levels,
    log::Sequence,
    overlay::{CopiedRows, OverlayHash, OverlayProbe, OverlayRow, Sight},
};

use super::batch::{Fetched, Found, Stage, Unreadable, fetched_from, probed};
use crate::{catalog::NamedTable, query::Span};

/// Where a row of a key may be. What is in an upper level was written later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// The overlay's part that is written to.
    Current,
    /// The overlay's part that is being flushed.
    Frozen,
    Delta,
    Base,
}

/// The overlay, as a request or a stage of the turn sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recent<'c> {
    pub(super) sight: Sight<'c>,
    /// What is in files already, up to this record of the log.
    pub(super) covered: Sequence,
}

/// What is there of a request's views when it is answered.
pub(super) trait Rows<'t> {
    /// The newest row of a view that is served as it was written. All that is read is counted.
    fn newest(&self, view: usize, read_bytes: &mut u64) -> Result<Found<'t>, Unreadable>;

    /// The row of a view at a level. It may be a tombstone.
    fn at(&self, view: usize, level: Level) -> Result<Found<'t>, Unreadable>;
}

/// A key that may have several rows.
#[derive(Debug)]
pub(super) struct Spread {
    /// Position in the catalog's tables.
    table: usize,
    key: Span,
    recent: InOverlay,
    delta: Stage,
    base: Stage,
}

#[derive(Debug)]
enum InOverlay {
    /// It may be there, and counts beside what files have.
    Hashed(OverlayHash),
    Found(OverlayHash, OverlayProbe),
    /// Of the current part and the frozen one. Where the newest row counts alone, it is the first.
    Read([Option<OverlayRow>; 2]),
}

impl Level {
    /// The upper ones first.
    pub(super) const ALL: [Self; 4] = [Self::Current, Self::Frozen, Self::Delta, Self::Base];

    /// The file that it is, if the table has it.
    pub(super) fn file(self, named: &NamedTable) -> Option<&Table> {
        match self {
            Self::Current | Self::Frozen => None,
            Self::Delta => named.delta.as_deref(),
            Self::Base => named.base.as_deref(),
        }
    }
}

/// The newest row over all levels.
pub(super) fn newest_of_levels<'t>(
    rows: &impl Rows<'t>,
    view: usize,
    read_bytes: &mut u64,
) -> Result<Found<'t>, Unreadable> {
    let mut newest: Option<Row<'t>> = None;
    for level in Level::ALL {
        match rows.at(view, level)? {
            Found::Row(row) => {
                *read_bytes += row.bytes() as u64;
                newest = levels::newest(newest, Some(row));
            }
            Found::Absent => {}
            Found::Late => return Ok(Found::Late),
        }
    }
    Ok(newest.filter(|row| !row.is_tombstone()).map_or(Found::Absent, Found::Row))
}

impl Spread {
    /// Starts the lookups of a key; `recent` if the overlay may hold rows of it that count together.
    pub(super) fn begin(named: &NamedTable, table: usize, key: Span, recent: Option<OverlayHash>, keys: &[u8]) -> Self {
        let recent = recent.map_or(InOverlay::Read([None, None]), InOverlay::Hashed);
        Self { table, key, recent, delta: Stage::Absent, base: Stage::Absent }.asking_files(named, keys)
    }

    /// Starts the lookups of a key in files, `recent` being what the overlay has.
    pub(super) fn below(named: &NamedTable, table: usize, key: Span, recent: OverlayRow, keys: &[u8]) -> Self {
        let recent = InOverlay::Read([Some(recent), None]);
        Self { table, key, recent, delta: Stage::Absent, base: Stage::Absent }.asking_files(named, keys)
    }

    /// The first stage of gathering.
    pub(super) fn probe(
        &mut self,
        tables: &[NamedTable],
        recent: Option<Recent<'_>>,
        keys: &[u8],
        cache: &mut RowCache,
        corrupt: &mut impl FnMut(&Corrupt),
    ) {
        self.probe_files(&tables[self.table], keys, cache, corrupt);
        if let (InOverlay::Hashed(hash), Some(recent)) = (&self.recent, recent) {
            self.recent = InOverlay::Found(*hash, recent.sight.probe(*hash));
        }
    }

    /// The second stage: copies what the overlay has of the key, but for what is in files already.
    pub(super) fn copy(&mut self, recent: Option<Recent<'_>>, keys: &[u8], copied: &mut CopiedRows) {
        let (InOverlay::Found(hash, probe), Some(Recent { sight, covered })) = (&self.recent, recent) else { return };
        let rows = sight.read_parts(*hash, *probe, covered, self.key.of(keys), copied);
        if rows.iter().flatten().any(|row| row.is_tombstone) {
            (self.delta, self.base) = (Stage::Absent, Stage::Absent);
        }
        self.recent = InOverlay::Read(rows);
    }

    /// The last stage. Says how many rows have to be read.
    pub(super) fn settle(&mut self, tables: &[NamedTable], keys: &[u8], cache: &RowCache) -> usize {
        let named = &tables[self.table];
        if matches!(self.base, Stage::Cold(_))
            && let Ok(Fetched::Row(upper)) = fetched_from(named.delta.as_deref(), self.delta, self.key.of(keys), cache)
        {
            let is_hidden = match named.aggregates {
                None => named.base_newest_us.is_none_or(|newest| newest <= upper.event_time_us()),
                Some(_) => upper.is_tombstone(),
            };
            if is_hidden {
                self.base = Stage::Absent;
            }
        }
        usize::from(matches!(self.delta, Stage::Cold(_))) + usize::from(matches!(self.base, Stage::Cold(_)))
    }

    pub(super) fn is_cold(&self) -> bool {
        matches!(self.delta, Stage::Cold(_)) || matches!(self.base, Stage::Cold(_))
    }

    /// The row at a level, after all stages. `copied` is what they copied.
    pub(super) fn fetched<'t>(
        &self,
        tables: &'t [NamedTable],
        level: Level,
        keys: &[u8],
        copied: &'t [u8],
        cache: &'t RowCache,
    ) -> Result<Fetched<'t>, Unreadable> {
        let named = &tables[self.table];
        let stage = match level {
            Level::Current | Level::Frozen => {
                let (InOverlay::Read(rows), Some(stream)) = (&self.recent, &named.stream) else {
                    return Ok(Fetched::Absent);
                };
                let Some(row) = &rows[usize::from(level == Level::Frozen)] else { return Ok(Fetched::Absent) };
                return row.row(&stream.layout, copied).map(Fetched::Row).map_err(Unreadable::Now);
            }
            Level::Delta => self.delta,
            Level::Base => self.base,
        };
        fetched_from(level.file(named), stage, self.key.of(keys), cache)
    }

    fn asking_files(mut self, named: &NamedTable, keys: &[u8]) -> Self {
        let key = self.key.of(keys);
        let mut known = None;
        for (file, stage) in [(&named.delta, &mut self.delta), (&named.base, &mut self.base)] {
            let Some(file) = file else {
                *stage = Stage::Absent;
                continue;
            };
            // A delta is written under its base's seed.
            let hash = known.filter(|(seed, _)| *seed == file.seed()).map_or_else(|| file.hash(key), |(_, hash)| hash);
            known = Some((file.seed(), hash));
            file.prefetch_bucket(hash);
            *stage = Stage::Hashed(hash);
        }
        self
    }

    fn probe_files(
        &mut self,
        named: &NamedTable,
        keys: &[u8],
        cache: &mut RowCache,
        corrupt: &mut impl FnMut(&Corrupt),
    ) {
        for (file, stage) in [(&named.delta, &mut self.delta), (&named.base, &mut self.base)] {
            if let (Some(file), Stage::Hashed(hash)) = (file, *stage) {
                *stage = probed(file, named.delay_ns, hash, || self.key.of(keys), cache, &mut *corrupt);
            }
        }
    }
}
