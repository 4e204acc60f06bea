//! The requests of one turn and the rows they need, in stages over all of them.
//!
//! Nothing here borrows a table or a request: keys are stretches of one arena, rows are named by table and probe, and
//! are found again when the answer is rendered. By then they are in the processor's cache. A row that is not in memory is not
//! touched: the request it belongs to is set aside (`waiting.rs`).
//!
//! Where a view is served as it was written, a row of the overlay is most likely as new as everything in files. So they are looked into
//! only if it is not; then, and for whatever else may have rows in several places, the key takes a way of its own (`levels.rs`).

use std::{io::Write as _, ops::Range};

use gannet_engine::{Limited, ServerTiming, admission::Criticality};
use gannet_store::{
    ColdStep, Corrupt, KeyHash, Probe, Probed, Row, Table,
    cache::{Place, RowCache},
    overlay::{CopiedRows, OverlayHash, OverlayKeyHash, OverlayProbe},
};

use super::{
    concurrency::Permits,
    levels::{Level, Recent, Rows, Spread, newest_of_levels},
};
use crate::{
    aggregates::LeadingEdge,
    catalog::NamedTable,
    error::{Fault, Refusal},
    limits::COPIED_KEPT_BYTES_MAX,
    query::Span,
    tecton::MetadataOptions,
};

/// What a ticket stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pending {
    Features(Features),
    /// Its place among the turn's writes.
    Write(u32),
    Refused {
        refusal: Refusal,
        /// In [`Batch::text`].
        message: Span,
        /// Whose counters the answer goes to; `None` for what is no API request.
        service_slot: Option<usize>,
        /// Only API requests are timed.
        seen: Seen,
        /// Refused for a limit of its own.
        limited: Option<Limited>,
    },
    Healthz,
    Readyz,
    Metrics,
    Observability,
    Options {
        allow: &'static str,
    },
}

/// A request for features with its lookups under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Features {
    /// Position in the catalog.
    pub(super) plan: usize,
    pub(super) options: MetadataOptions,
    /// What the request says of aggregates.
    pub(super) folding: Folding,
    /// Position in [`Batch::lookups`] of the first view's; the others follow.
    pub(super) lookups: usize,
    pub(super) seen: Seen,
    pub(super) deadline: Deadline,
    /// What it holds while it is in progress: its place in the batch.
    pub(super) permits: Option<u32>,
    /// Whose refusal it is, should it have to wait and not be able to.
    pub(super) criticality: Criticality,
}

/// How aggregates are taken, as far as a request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Folding {
    /// `None`: what each view says.
    pub(super) leading_edge: Option<LeadingEdge>,
    pub(super) coerce_null_counts_to_zero: bool,
}

/// When a request was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// On the monotonic clock.
    pub(super) at_ns: u64,
    /// Its answer is to tell where the time from then on went.
    pub(super) server_timing: bool,
}

/// Until when an answer is worth something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline {
    /// On the monotonic clock.
    pub(super) at_ns: u64,
    /// A budget was set: then the answer has what is there. Otherwise there is none but `Timed out`.
    pub(super) partial: bool,
}

/// One view's key.
#[derive(Debug, Clone, Copy)]
struct Lookup {
    /// Position in the catalog's tables.
    table: usize,
    /// In [`Batch::keys`].
    key: Span,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    Hashed(KeyHash),
    /// In memory, in its segment.
    Resident(Probe),
    /// In the overlay, perhaps, and then most likely nowhere else that counts: among [`Batch::recent`].
    Recent(OverlayHash),
    /// The same with its bucket line read.
    InOverlay(OverlayHash, OverlayProbe),
    /// In [`Batch::copied`], and no other counts.
    Copied(Span),
    /// In more than one place, perhaps: position in [`Batch::spread`].
    Spread(usize),
    /// In memory, in this core's cache.
    Cached(KeyHash, Place),
    /// Has to be read.
    Cold(ColdStep),
    /// The key is not there, or a part of it is null.
    Absent,
    /// The index line is damaged; reported when it was met.
    Corrupt,
}

/// A row as an answer finds it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'t> {
    Row(Row<'t>),
    /// The key has none.
    Absent,
    /// It did not come in time.
    Late,
}

/// A row as the turn's lookups left it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fetched<'t> {
    Row(Row<'t>),
    Absent,
    Cold(ColdStep),
}

/// Why a row could not be had.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// Met now.
    Now(Corrupt),
    /// Met, and reported, while the batch was gathered.
    Before,
}

/// One turn's requests. Its memory is kept from turn to turn.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) pending: Vec<Pending>,
    lookups: Vec<Lookup>,
    /// Positions of those that the overlay may settle.
    recent: Vec<usize>,
    /// Of those that may have several rows.
    spread: Vec<Spread>,
    keys: Vec<u8>,
    /// The key that was looked for in the overlay last.
    recent_key: Option<(Span, OverlayKeyHash)>,
    /// Rows of the overlay.
    copied: CopiedRows,
    text: Vec<u8>,
    permits: Vec<Permits>,
    /// When the turn began.
    began_ns: u64,
    /// When the turn's store reads began.
    gathered_from_ns: u64,
    /// From then to the turn's first answer: no store read of the turn took longer.
    store_ns: Option<u64>,
    /// Lookups of the turn that have to be read.
    cold: usize,
}

impl Batch {
    /// A turn begins.
    pub(super) fn begin(&mut self, now_ns: u64) {
        self.clear();
        (self.began_ns, self.gathered_from_ns) = (now_ns, now_ns);
    }

    pub(super) fn clear(&mut self) {
        self.pending.clear();
        self.lookups.clear();
        self.recent.clear();
        self.spread.clear();
        self.keys.clear();
        self.recent_key = None;
        self.copied.clear();
        self.copied.shrink_to(COPIED_KEPT_BYTES_MAX / size_of::<u64>());
        self.text.clear();
        self.permits.clear();
        self.store_ns = None;
        self.cold = 0;
    }

    /// The arena that keys are encoded into.
    pub(super) fn keys(&mut self) -> &mut Vec<u8> {
        &mut self.keys
    }

    /// Where the next view's lookup will be.
    pub(super) fn lookups_next(&self) -> usize {
        self.lookups.len()
    }

    /// Hashes an encoded key and touches its bucket line. No key: nothing will be read.
    pub(super) fn look_up(
        &mut self,
        tables: &[NamedTable],
        recent: Option<Recent<'_>>,
        table: usize,
        key: Option<Span>,
    ) {
        let Some(key) = key else {
            self.lookups.push(Lookup { table, key: Span::default(), stage: Stage::Absent });
            return;
        };
        let named = &tables[table];
        let recent = recent.and_then(|recent| self.may_be_recent(recent, named, key));
        let stage = match (recent, &named.aggregates) {
            (Some(hash), None) => {
                self.recent.push(self.lookups.len());
                Stage::Recent(hash)
            }
            (recent, _) => self.ask_files(named, table, key, recent),
        };
        self.lookups.push(Lookup { table, key, stage });
    }

    /// Hashes a key for the files of its table and touches their bucket lines; `recent` if rows of the overlay may count beside them.
    #[inline]
    fn ask_files(&mut self, named: &NamedTable, table: usize, key: Span, recent: Option<OverlayHash>) -> Stage {
        match (recent, &named.delta, &named.base) {
            (None, None, Some(base)) => {
                let hash = base.hash(key.of(&self.keys));
                base.prefetch_bucket(hash);
                Stage::Hashed(hash)
            }
            _ => {
                self.spread.push(Spread::begin(named, table, key, recent, &self.keys));
                Stage::Spread(self.spread.len() - 1)
            }
        }
    }

    /// Whether the overlay may hold the key; then its bucket there is touched.
    #[inline]
    fn may_be_recent(&mut self, recent: Recent<'_>, named: &NamedTable, key: Span) -> Option<OverlayHash> {
        let stream = named.stream.as_ref()?;
        let of_key = match self.recent_key {
            Some((known, hash)) if known == key => hash,
            _ => {
                let hash = recent.sight.hash_key(key.of(&self.keys));
                self.recent_key = Some((key, hash));
                hash
            }
        };
        let hash = recent.sight.hash_in(stream.id, of_key);
        recent.sight.prefetch(hash).then_some(hash)
    }

    /// Keeps what a request holds until the turn is over, or until it is set aside.
    pub(super) fn keep(&mut self, permits: Permits) -> Option<u32> {
        if permits.is_empty() {
            return None;
        }
        self.permits.push(permits);
        u32::try_from(self.permits.len() - 1).ok() // the engine bounds a turn's requests far below 2³²
    }

    /// What a request holds, if it is to be in progress beyond this turn.
    pub(super) fn take_permits(&mut self, place: Option<u32>) -> Permits {
        place.and_then(|place| self.permits.get_mut(place as usize)).map(std::mem::take).unwrap_or_default()
    }

    /// The turn's requests are decoded.
    pub(super) fn gather_from(&mut self, now_ns: u64) {
        self.gathered_from_ns = now_ns;
    }

    /// Reads all bucket lines and touches all rows, as far as they are in memory.
    pub(super) fn gather(
        &mut self,
        tables: &[NamedTable],
        recent: Option<Recent<'_>>,
        cache: &mut RowCache,
        mut corrupt: impl FnMut(&Corrupt),
    ) {
        if !self.recent.is_empty() {
            self.gather_recent(tables, recent); // first, as it may ask files
        }
        for lookup in &mut self.lookups {
            let Stage::Hashed(hash) = lookup.stage else { continue };
            let NamedTable { base: Some(base), delay_ns, .. } = &tables[lookup.table] else { continue };
            let keys = &self.keys;
            lookup.stage = probed(base, *delay_ns, hash, || lookup.key.of(keys), cache, &mut corrupt);
            self.cold += usize::from(matches!(lookup.stage, Stage::Cold(_)));
        }
        if !self.spread.is_empty() {
            self.gather_spread(tables, recent, cache, corrupt);
        }
    }

    /// Of keys that the overlay may settle: reads all bucket lines there and touches all entries, then copies all rows. Where that does
    /// not settle it, files are asked, as they are for other keys when a turn begins.
    fn gather_recent(&mut self, tables: &[NamedTable], recent: Option<Recent<'_>>) {
        let places = std::mem::take(&mut self.recent);
        for &place in &places {
            let Lookup { table, key, stage: Stage::Recent(hash) } = self.lookups[place] else { continue };
            // What was seen when the turn began may be gone by now, if it is in files.
            let probe = recent.map_or_else(OverlayProbe::default, |recent| recent.sight.probe(hash));
            self.lookups[place].stage = match probe.is_absent() {
                false => Stage::InOverlay(hash, probe),
                true => self.ask_files(&tables[table], table, key, None),
            };
        }
        for &place in &places {
            let Lookup { table, key, stage: Stage::InOverlay(hash, probe) } = self.lookups[place] else { continue };
            let named = &tables[table];
            let row = recent.and_then(|recent| recent.sight.read(hash, probe, key.of(&self.keys), &mut self.copied));
            self.lookups[place].stage = match row {
                None => self.ask_files(named, table, key, None),
                Some(row) if named.newest_us.is_none_or(|newest_us| newest_us <= row.event_time_us) => {
                    Stage::Copied(span(row.bytes.start, row.bytes.end))
                }
                Some(row) => {
                    self.spread.push(Spread::below(named, table, key, row, &self.keys));
                    Stage::Spread(self.spread.len() - 1)
                }
            };
        }
        self.recent = places;
    }

    fn gather_spread(
        &mut self,
        tables: &[NamedTable],
        recent: Option<Recent<'_>>,
        cache: &mut RowCache,
        mut corrupt: impl FnMut(&Corrupt),
    ) {
        let Self { spread, keys, copied, cold, .. } = self;
        for spread in &mut *spread {
            spread.probe(tables, recent, keys, cache, &mut corrupt);
        }
        for spread in &mut *spread {
            spread.copy(recent, keys, copied);
        }
        for spread in &mut *spread {
            *cold += spread.settle(tables, keys, cache);
        }
    }

    /// Whether any of these lookups has to be read.
    pub(super) fn is_cold(&self, lookups: Range<usize>) -> bool {
        self.cold > 0
            && self.lookups[lookups].iter().any(|lookup| match lookup.stage {
                Stage::Cold(_) => true,
                Stage::Spread(place) => self.spread[place].is_cold(),
                _ => false,
            })
    }

    /// The table and the key of a lookup; the key is empty if nothing is to be read.
    pub(super) fn key(&self, lookup: usize) -> (usize, &[u8]) {
        let lookup = &self.lookups[lookup];
        (lookup.table, lookup.key.of(&self.keys))
    }

    /// The row of a lookup at a level, if its key has one there and it is in memory.
    #[inline]
    pub(super) fn fetched<'t>(
        &'t self,
        tables: &'t [NamedTable],
        cache: &'t RowCache,
        lookup: usize,
        level: Level,
    ) -> Result<Fetched<'t>, Unreadable> {
        let lookup = &self.lookups[lookup];
        match (lookup.stage, level) {
            (Stage::Spread(place), _) => {
                self.spread[place].fetched(tables, level, &self.keys, self.copied.as_flattened(), cache)
            }
            (Stage::Copied(bytes), Level::Current) => {
                Ok(self.copied_row(&tables[lookup.table], bytes)?.map_or(Fetched::Absent, Fetched::Row))
            }
            (Stage::Copied(_), _) => Ok(Fetched::Absent),
            (stage, Level::Base) => {
                fetched_from(tables[lookup.table].base.as_deref(), stage, lookup.key.of(&self.keys), cache)
            }
            _ => Ok(Fetched::Absent),
        }
    }

    /// A row of the overlay; `None` only if the table took no writes, and then there is none.
    #[inline]
    fn copied_row<'t>(&'t self, named: &'t NamedTable, bytes: Span) -> Result<Option<Row<'t>>, Unreadable> {
        let row = named.stream.as_ref().map(|stream| Row::parse(&stream.layout, bytes.of(self.copied.as_flattened())));
        row.transpose().map_err(Unreadable::Now)
    }

    /// When the turn's store reads began.
    pub(super) fn gathered_from_ns(&self) -> u64 {
        self.gathered_from_ns
    }

    /// How long the turn's store reads took: from the first bucket line to the first answer. It is one stage for all
    /// requests of the turn, so this is also the slowest single read's bound.
    pub(super) fn store_ns(&mut self, now_ns: u64) -> u64 {
        *self.store_ns.get_or_insert_with(|| now_ns.saturating_sub(self.gathered_from_ns))
    }

    /// Where the time of a request went until its answer is begun, at `now_ns`; if it asked.
    pub(super) fn timing(&mut self, seen: Seen, now_ns: u64) -> Option<ServerTiming> {
        seen.server_timing.then(|| {
            let store_ns = self.store_ns(now_ns);
            ServerTiming {
                queue_us: us(self.began_ns.saturating_sub(seen.at_ns)),
                parse_us: us(self.gathered_from_ns.saturating_sub(self.began_ns)),
                lookup_us: us(store_ns),
                cold_us: 0,
                render_us: us(now_ns.saturating_sub(self.gathered_from_ns + store_ns)),
                from_ns: now_ns,
            }
        })
    }

    /// Whether any key of these lookups was really looked up.
    pub(super) fn reads_anything(&self, lookups: Range<usize>) -> bool {
        self.lookups[lookups].iter().any(|lookup| lookup.key.len > 0)
    }

    /// Writes a fault's message down, since what it quotes will be gone.
    pub(super) fn refused(&mut self, fault: &Fault<'_>, service_slot: Option<usize>, seen: Seen) -> Pending {
        let start = self.text.len();
        let _infallible = write!(self.text, "{fault}");
        let message = span(start, self.text.len());
        Pending::Refused { refusal: fault.refusal(), message, service_slot, seen, limited: None }
    }

    pub(super) fn message(&self, message: Span) -> &[u8] {
        message.of(&self.text)
    }
}

/// Whole microseconds.
pub(super) fn us(ns: u64) -> u32 {
    u32::try_from(ns / 1000).unwrap_or(u32::MAX)
}

/// A request's rows, at the end of the turn that it came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct TurnRows<'t> {
    pub(super) batch: &'t Batch,
    pub(super) tables: &'t [NamedTable],
    pub(super) cache: &'t RowCache,
    /// Of the first view.
    pub(super) lookups: usize,
}

impl<'t> Rows<'t> for TurnRows<'t> {
    // Inlined, since a row is nine words: copying it out through two results cost 80 instructions a lookup (callgrind).
    #[inline(always)]
    fn newest(&self, view: usize, read_bytes: &mut u64) -> Result<Found<'t>, Unreadable> {
        let lookup = &self.batch.lookups[self.lookups + view];
        let named = &self.tables[lookup.table];
        let row = match (lookup.stage, &named.base) {
            (Stage::Resident(probe), Some(base)) => {
                base.row(probe, lookup.key.of(&self.batch.keys)).map_err(Unreadable::Now)?
            }
            (Stage::Copied(bytes), _) => self.batch.copied_row(named, bytes)?,
            _ => return newest_of_levels(self, view, read_bytes),
        };
        let Some(row) = row else { return Ok(Found::Absent) };
        *read_bytes += row.bytes() as u64;
        Ok(if row.is_tombstone() { Found::Absent } else { Found::Row(row) })
    }

    fn at(&self, view: usize, level: Level) -> Result<Found<'t>, Unreadable> {
        Ok(match self.batch.fetched(self.tables, self.cache, self.lookups + view, level)? {
            Fetched::Row(row) => Found::Row(row),
            Fetched::Absent => Found::Absent,
            Fetched::Cold(_) => Found::Late,
        })
    }
}

/// Reads a bucket line of a file and touches the row that it names, as far as they are in memory.
#[inline(always)]
pub(super) fn probed<'k>(
    file: &Table,
    delay_ns: u64,
    hash: KeyHash,
    key: impl Fn() -> &'k [u8],
    cache: &mut RowCache,
    mut corrupt: impl FnMut(&Corrupt),
) -> Stage {
    match file.probe(hash) {
        Ok(Probed::At(probe)) if delay_ns == 0 && file.is_resident(probe) => Stage::Resident(probe),
        Ok(Probed::At(probe)) => {
            cached(file, delay_ns, hash, key(), cache).unwrap_or_else(|| Stage::Cold(file.cold_row(probe)))
        }
        Ok(Probed::Cold(step)) => cached(file, delay_ns, hash, key(), cache).unwrap_or(Stage::Cold(step)),
        Ok(Probed::Absent) => Stage::Absent,
        Err(damage) => {
            corrupt(&damage);
            Stage::Corrupt
        }
    }
}

/// The row in this core's cache, if it is there: also where the index that says where it lies is not in memory.
fn cached(file: &Table, delay_ns: u64, hash: KeyHash, key: &[u8], cache: &mut RowCache) -> Option<Stage> {
    if delay_ns > 0 {
        return None;
    }
    let place = cache.find(file.row_id(hash))?;
    // Another key of the same name is possible, and says nothing about this one.
    let is_it = matches!(file.cached_row(hash, key, cache.bytes(place)), Ok(Some(_)));
    is_it.then_some(Stage::Cached(hash, place))
}

/// A row of a file after its lookup's last stage, if it is in memory.
#[inline(always)]
pub(super) fn fetched_from<'t>(
    file: Option<&'t Table>,
    stage: Stage,
    key: &[u8],
    cache: &'t RowCache,
) -> Result<Fetched<'t>, Unreadable> {
    let Some(file) = file else { return Ok(Fetched::Absent) };
    let row = match stage {
        Stage::Resident(probe) => file.row(probe, key),
        Stage::Cached(hash, place) => file.cached_row(hash, key, cache.bytes(place)),
        Stage::Cold(step) => return Ok(Fetched::Cold(step)),
        Stage::Absent => return Ok(Fetched::Absent),
        Stage::Corrupt => return Err(Unreadable::Before),
        Stage::Hashed(_) | Stage::Recent(_) | Stage::InOverlay(..) | Stage::Copied(_) | Stage::Spread(_) => {
            unreachable!("answers are finished after the batch was gathered")
        }
    };
    Ok(row.map_err(Unreadable::Now)?.map_or(Fetched::Absent, Fetched::Row))
}

/// A stretch of an arena. Arenas hold a turn's keys or messages: far below 4 GiB.
pub(super) fn span(start: usize, end: usize) -> Span {
    let narrow = |number| u32::try_from(number).unwrap_or(u32::MAX);
    Span { start: narrow(start), len: narrow(end - start) }
}
