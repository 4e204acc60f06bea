//! Requests that wait: for rows to be read, or for what they write to be durable.
//!
//! A request that waits is set aside with everything its answer needs: the catalog it began under, its keys, and copies of the
//! rows it has. So whatever is published, cached or let go of meanwhile, its answer is made of one generation. Places are
//! numbered and used again; a read that comes late finds another generation in its tag, and nobody waiting.

use std::sync::Arc;

use gannet_engine::{Read, ServerTiming, Waiting, admission::Reason, limits::WAITING_MAX};
use gannet_store::{ColdStep, Corrupt, Resumed, Row, cache::RowCache, plane::Failure};

use super::{
    Features,
    batch::{Batch, Fetched, Found, Unreadable, span, us},
    concurrency::Permits,
    levels::{Level, Rows, newest_of_levels},
    writes::HeldWrite,
};
use crate::{
    Catalog,
    catalog::NamedTable,
    limits::{WAITING_BYTES_MAX, WAITING_KEPT_BYTES_MAX},
    query::Span,
    tecton::response::StoreTime,
};

/// One lookup of a request that waits, at a level where there is a row or may be one.
#[derive(Debug, Clone, Copy)]
struct HeldLookup {
    /// Position in the catalog's tables.
    table: usize,
    level: Level,
    /// In [`WaitingRequest::bytes`].
    key: Span,
    stage: HeldStage,
}

#[derive(Debug, Clone, Copy)]
enum HeldStage {
    /// Copied to [`WaitingRequest::bytes`].
    Row(Span),
    /// Was read, and is none of this key.
    Absent,
    /// Being read since then.
    Reading { step: ColdStep, since_ns: u64 },
    /// Could not be read; reported when it was met.
    Failed,
}

/// A place for a request that waits, and the one that does. Its memory is kept from one to the next.
#[derive(Debug, Default)]
struct WaitingRequest {
    generation: u32,
    /// With neither, the place is free.
    request: Option<(Features, Arc<Catalog>)>,
    /// Its answer, should it be written, is in `bytes`.
    write: Option<HeldWrite>,
    /// It is in progress for as long as it waits.
    permits: Permits,
    /// By view, the upper levels first.
    lookups: Vec<HeldLookup>,
    /// Where the lookups of each view end.
    ends: Vec<usize>,
    bytes: Vec<u8>,
    /// Lookups still being read.
    reading: usize,
    /// Of the reads that are over.
    store: StoreTime,
    /// Where the time went until it was set aside, if it asked.
    timing: Option<ServerTiming>,
}

/// What became of a request that was to be set aside.
#[derive(Debug)]
pub(super) enum Held {
    Waits(Waiting),
    /// As many wait as may, by number or by bytes.
    Full(Reason),
}

/// What came of a read.
#[derive(Debug)]
pub(super) struct ReadOver {
    /// Nothing more is being read for this request.
    pub(super) ready: Option<Waiting>,
    /// How long the lookup's read took; `None` if nobody waited for it.
    pub(super) took_ns: Option<u64>,
    pub(super) damage: Option<Corrupt>,
}

/// All requests of one core that wait.
#[derive(Debug, Default)]
pub(super) struct WaitingRequests {
    places: Vec<WaitingRequest>,
    free: Vec<u32>,
    reads: Vec<Read>,
    /// Of all places: keys and rows.
    bytes: usize,
}

/// Which lookup of which request a read is for.
#[derive(Debug, Clone, Copy)]
struct Tag {
    generation: u32,
    place: u32,
    lookup: usize,
}

impl Tag {
    fn pack(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.place) << LOOKUP_BITS | self.lookup as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "the shifts and masks select the fields")]
    fn unpack(tag: u64) -> Self {
        let low = tag as u32;
        let lookup = (low & ((1 << LOOKUP_BITS) - 1)) as usize;
        Self { generation: (tag >> 32) as u32, place: low >> LOOKUP_BITS, lookup }
    }
}

impl WaitingRequests {
    /// Sets a request aside and asks for what it has to read.
    pub(super) fn hold(
        &mut self,
        features: Features,
        timing: Option<ServerTiming>,
        catalog: &Arc<Catalog>,
        batch: &mut Batch,
        cache: &RowCache,
    ) -> Result<Held, Unreadable> {
        let tables = catalog.tables();
        let views = catalog.plan(features.plan).views.len();
        if self.bytes >= WAITING_BYTES_MAX {
            return Ok(Held::Full(Reason::WaitingBytes));
        }
        let Some(place) = self.place() else { return Ok(Held::Full(Reason::Waiting)) };
        let held = &mut self.places[place as usize];
        for lookup in features.lookups..features.lookups + views {
            let (table, key) = batch.key(lookup);
            let key = append(&mut held.bytes, key);
            for level in Level::ALL {
                let stage = match batch.fetched(tables, cache, lookup, level) {
                    Ok(Fetched::Row(row)) => HeldStage::Row(append(&mut held.bytes, row.encoded())),
                    Ok(Fetched::Absent) => continue,
                    Ok(Fetched::Cold(step)) => {
                        let tag = Tag { generation: held.generation, place, lookup: held.lookups.len() };
                        self.reads.extend(read(catalog, table, level, step, tag, tables[table].delay_ns));
                        held.reading += 1;
                        HeldStage::Reading { step, since_ns: batch.gathered_from_ns() }
                    }
                    Err(unreadable) => {
                        self.bytes += held.bytes.len();
                        self.let_go(place);
                        return Err(unreadable);
                    }
                };
                held.lookups.push(HeldLookup { table, level, key, stage });
            }
            held.ends.push(held.lookups.len());
        }
        self.bytes += held.bytes.len();
        held.request = Some((features, Arc::clone(catalog)));
        held.permits = batch.take_permits(features.permits);
        held.timing = timing;
        Ok(Held::Waits(Waiting(place)))
    }

    /// Sets a request aside that writes, with the answer that it gets if all goes well; and the tag that its outcome is to carry.
    pub(super) fn hold_write(
        &mut self,
        write: HeldWrite,
        answer: &[u8],
        permits: Permits,
        timing: Option<ServerTiming>,
    ) -> Result<(Waiting, u64), Reason> {
        if self.bytes >= WAITING_BYTES_MAX {
            return Err(Reason::WaitingBytes);
        }
        let place = self.place().ok_or(Reason::Waiting)?;
        let held = &mut self.places[place as usize];
        held.write = Some(write);
        held.bytes.extend_from_slice(answer);
        (held.permits, held.timing) = (permits, timing);
        self.bytes += held.bytes.len();
        Ok((Waiting(place), Tag { generation: held.generation, place, lookup: 0 }.pack()))
    }

    /// A write is over. Nobody may be waiting for it any more.
    pub(super) fn write_over(&mut self, tag: u64, outcome: Result<(), Failure>) -> Option<Waiting> {
        let Tag { generation, place, .. } = Tag::unpack(tag);
        let held = self.places.get_mut(place as usize).filter(|held| held.generation == generation)?;
        held.write.as_mut()?.outcome = Some(outcome);
        Some(Waiting(place))
    }

    /// A write that waits, to be answered, and its answer if all went well.
    pub(super) fn write(&self, waiting: Waiting) -> Option<(&HeldWrite, &[u8])> {
        let held = self.places.get(waiting.0 as usize)?;
        Some((held.write.as_ref()?, &held.bytes))
    }

    /// A free place; `None` if as many wait as may.
    fn place(&mut self) -> Option<u32> {
        if let Some(place) = self.free.pop() {
            return Some(place);
        }
        if self.places.len() == WAITING_MAX {
            return None;
        }
        self.places.push(WaitingRequest::default());
        u32::try_from(self.places.len() - 1).ok() // below WAITING_MAX
    }

    /// Moves the reads asked for to `reads`.
    pub(super) fn take_reads(&mut self, reads: &mut Vec<Read>) {
        reads.append(&mut self.reads);
    }

    /// Whether the lookup with this tag still waits.
    pub(super) fn wants(&self, tag: u64) -> bool {
        let Tag { generation, place, .. } = Tag::unpack(tag);
        self.places.get(place as usize).is_some_and(|held| held.generation == generation && held.request.is_some())
    }

    /// A read is over. What it brought is kept for the answer and offered to the cache.
    pub(super) fn read_over(
        &mut self,
        now_ns: u64,
        tag: u64,
        outcome: Result<&[u8], i32>,
        cache: &mut RowCache,
    ) -> ReadOver {
        let nothing = ReadOver { ready: None, took_ns: None, damage: None };
        if !self.wants(tag) {
            return nothing;
        }
        let tag = Tag::unpack(tag);
        let WaitingRequest { request: Some((_, catalog)), lookups, bytes, reading, store, .. } =
            &mut self.places[tag.place as usize]
        else {
            return nothing;
        };
        let Some(HeldLookup { table: position, level, key, stage }) = lookups.get_mut(tag.lookup) else {
            return nothing;
        };
        let HeldStage::Reading { step, since_ns } = *stage else { return nothing };
        let Some(table) = level.file(&catalog.tables()[*position]) else { return nothing };
        let resumed = match outcome {
            Ok(read) => table.resume(step, key.of(bytes), read),
            Err(errno) => Err(table.unreadable(step, errno)),
        };
        let row = match resumed {
            Ok(Resumed::Again(step)) => {
                *stage = HeldStage::Reading { step, since_ns };
                self.reads.extend(read(catalog, *position, *level, step, tag, 0));
                return nothing;
            }
            Ok(Resumed::Row(row)) => {
                cache.insert(table.row_id(table.hash(key.of(bytes))), row.encoded());
                Ok(Some(row))
            }
            // The index line was read, and names a row that is in memory.
            Ok(Resumed::At(probe)) => table.row(probe, key.of(bytes)),
            Ok(Resumed::Absent) => Ok(None),
            Err(damage) => Err(damage),
        };
        if let Ok(Some(row)) = &row {
            // Twice what others may begin to wait with: beyond it the row is not kept, and is missing at the deadline.
            if self.bytes + row.bytes() > 2 * WAITING_BYTES_MAX {
                return nothing;
            }
            self.bytes += row.bytes();
        }
        let mut damage = None;
        *stage = match row {
            Ok(Some(row)) => HeldStage::Row(append(bytes, row.encoded())),
            Ok(None) => HeldStage::Absent,
            Err(met) => {
                damage = Some(met);
                HeldStage::Failed
            }
        };
        *reading -= 1;
        let took_ns = now_ns.saturating_sub(since_ns);
        store.add(took_ns);
        ReadOver { ready: (*reading == 0).then_some(Waiting(tag.place)), took_ns: Some(took_ns), damage }
    }

    /// A request that waits, to be rendered.
    pub(super) fn request(&self, waiting: Waiting) -> Option<(Features, &Arc<Catalog>)> {
        let (features, catalog) = self.places.get(waiting.0 as usize)?.request.as_ref()?;
        Some((*features, catalog))
    }

    /// The rows of a request that waits, with the catalog that it began under.
    pub(super) fn rows<'w>(&'w self, waiting: Waiting, catalog: &'w Catalog) -> HeldRows<'w> {
        HeldRows { held: &self.places[waiting.0 as usize], catalog }
    }

    /// What the reads of a request took that is concluded at `now_ns`. Those that are not over have taken as long as they were waited
    /// for.
    pub(super) fn store(&self, waiting: Waiting, now_ns: u64) -> StoreTime {
        let held = &self.places[waiting.0 as usize];
        let mut store = held.store;
        for lookup in &held.lookups {
            if let HeldStage::Reading { since_ns, .. } = lookup.stage {
                store.add_cut_off(now_ns.saturating_sub(since_ns));
            }
        }
        store
    }

    /// Where the time of a request went that is concluded at `now_ns`; if it asked.
    pub(super) fn timing(&self, waiting: Waiting, now_ns: u64) -> Option<ServerTiming> {
        let timing = self.places[waiting.0 as usize].timing?;
        Some(ServerTiming { cold_us: us(now_ns.saturating_sub(timing.from_ns)), from_ns: now_ns, ..timing })
    }

    /// Forgets a request; its place may be used again.
    pub(super) fn release(&mut self, waiting: Waiting) {
        let is_held = |held: &WaitingRequest| held.request.is_some() || held.write.is_some();
        if self.places.get(waiting.0 as usize).is_some_and(is_held) {
            self.let_go(waiting.0);
        }
    }

    fn let_go(&mut self, place: u32) {
        let held = &mut self.places[place as usize];
        self.bytes -= held.bytes.len();
        held.generation = held.generation.wrapping_add(1); // what is still being read finds nobody
        (held.request, held.write) = (None, None);
        held.permits = Permits::default();
        held.lookups.clear();
        held.ends.clear();
        held.bytes.clear();
        held.bytes.shrink_to(WAITING_KEPT_BYTES_MAX);
        (held.reading, held.store) = (0, StoreTime::default());
        self.free.push(place);
    }
}

/// What is there of a request that waited.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeldRows<'w> {
    held: &'w WaitingRequest,
    catalog: &'w Catalog,
}

impl<'w> Rows<'w> for HeldRows<'w> {
    fn newest(&self, view: usize, read_bytes: &mut u64) -> Result<Found<'w>, Unreadable> {
        newest_of_levels(self, view, read_bytes)
    }

    fn at(&self, view: usize, level: Level) -> Result<Found<'w>, Unreadable> {
        let Self { held, catalog } = *self;
        let start = view.checked_sub(1).map_or(0, |before| held.ends[before]);
        let lookup = held.lookups[start..held.ends[view]].iter().find(|lookup| lookup.level == level);
        let Some(HeldLookup { table, key, stage, .. }) = lookup else { return Ok(Found::Absent) };
        match stage {
            HeldStage::Row(row) => row_of(&catalog.tables()[*table], level, key.of(&held.bytes), row.of(&held.bytes)),
            HeldStage::Absent => Ok(Found::Absent),
            HeldStage::Reading { .. } => Ok(Found::Late),
            HeldStage::Failed => Err(Unreadable::Before),
        }
    }
}

/// A row that was copied.
fn row_of<'w>(named: &'w NamedTable, level: Level, key: &[u8], encoded: &'w [u8]) -> Result<Found<'w>, Unreadable> {
    let row = match (level.file(named), &named.stream) {
        (Some(file), _) => file.cached_row(file.hash(key), key, encoded),
        (None, Some(stream)) => Row::parse(&stream.layout, encoded).map(Some),
        (None, None) => Ok(None),
    };
    Ok(row.map_err(Unreadable::Now)?.map_or(Found::Absent, Found::Row))
}

/// Nothing if the table has no file at this level, which no step is for.
fn read(catalog: &Catalog, table: usize, level: Level, step: ColdStep, tag: Tag, delay_ns: u64) -> Option<Read> {
    let cold = level.file(&catalog.tables()[table])?.cold_read(step);
    Some(Read { file: cold.file, offset: cold.offset, length: cold.length, tag: tag.pack(), delay_ns })
}

fn append(bytes: &mut Vec<u8>, more: &[u8]) -> Span {
    let start = bytes.len();
    bytes.extend_from_slice(more);
    span(start, bytes.len())
}

/// Views of a service: at most [`crate::definitions::limits::SELECTIONS_PER_SERVICE_MAX`], on four levels each, so this is ample.
const LOOKUP_BITS: u32 = 16;

const _: () = assert!(WAITING_MAX <= 1 << (32 - LOOKUP_BITS));
const _: () = assert!(crate::definitions::limits::SELECTIONS_PER_SERVICE_MAX * Level::ALL.len() <= 1 << LOOKUP_BITS);
