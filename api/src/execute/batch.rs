//! The requests of one turn and the rows they need, in stages over all of them.
//!
//! Nothing here borrows a table or a request: keys are stretches of one arena, rows are named by table and probe, and
//! are found again when the answer is rendered. By then they are in the processor's cache. A row that is not in memory is not
//! touched: the request it belongs to is set aside (`waiting.rs`).

use std::{io::Write as _, ops::Range};

use gannet_store::{
    ColdStep, Corrupt, KeyHash, Probe, Probed, Row,
    cache::{Place, RowCache},
};

use crate::{
    catalog::NamedTable,
    error::{Fault, Refusal},
    query::Span,
    tecton::MetadataOptions,
};

/// What a ticket stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pending {
    Features(Features),
    Refused {
        refusal: Refusal,
        /// In [`Batch::text`].
        message: Span,
        /// Whose counters the answer goes to; `None` for what is no API request.
        service_slot: Option<usize>,
        /// When the request was seen; only API requests are timed.
        seen_ns: u64,
    },
    Healthz,
    Readyz,
    Metrics,
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
    /// Position in [`Batch::lookups`] of the first view's; the others follow.
    pub(super) lookups: usize,
    pub(super) seen_ns: u64,
    pub(super) deadline: Deadline,
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
enum Stage {
    Hashed(KeyHash),
    /// In memory, in its segment.
    Resident(Probe),
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
    keys: Vec<u8>,
    text: Vec<u8>,
    /// When the turn's store reads began.
    gathered_from_ns: u64,
    /// From then to the turn's first answer: no store read of the turn took longer.
    store_ns: Option<u64>,
    /// Lookups of the turn that have to be read.
    cold: usize,
}

impl Batch {
    pub(super) fn clear(&mut self) {
        self.pending.clear();
        self.lookups.clear();
        self.keys.clear();
        self.text.clear();
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
    pub(super) fn look_up(&mut self, tables: &[NamedTable], table: usize, key: Option<Span>) {
        let Some(key) = key else {
            self.lookups.push(Lookup { table, key: Span::default(), stage: Stage::Absent });
            return;
        };
        let hash = tables[table].table.hash(key.of(&self.keys));
        tables[table].table.prefetch_bucket(hash);
        self.lookups.push(Lookup { table, key, stage: Stage::Hashed(hash) });
    }

    /// Reads all bucket lines and touches all rows, as far as they are in memory.
    pub(super) fn gather(
        &mut self,
        now_ns: u64,
        tables: &[NamedTable],
        cache: &mut RowCache,
        mut corrupt: impl FnMut(&Corrupt),
    ) {
        self.gathered_from_ns = now_ns;
        for lookup in &mut self.lookups {
            let Stage::Hashed(hash) = lookup.stage else { continue };
            let named = &tables[lookup.table];
            let NamedTable { table, delay_ns, .. } = named;
            let key = lookup.key.of(&self.keys);
            lookup.stage = match table.probe(hash) {
                Ok(Probed::At(probe)) if *delay_ns == 0 && table.is_resident(probe) => Stage::Resident(probe),
                Ok(Probed::At(probe)) => {
                    cached(named, hash, key, cache).unwrap_or_else(|| Stage::Cold(table.cold_row(probe)))
                }
                Ok(Probed::Cold(step)) => cached(named, hash, key, cache).unwrap_or(Stage::Cold(step)),
                Ok(Probed::Absent) => Stage::Absent,
                Err(damage) => {
                    corrupt(&damage);
                    Stage::Corrupt
                }
            };
            self.cold += usize::from(matches!(lookup.stage, Stage::Cold(_)));
        }
    }

    /// Whether any of these lookups has to be read.
    pub(super) fn is_cold(&self, lookups: Range<usize>) -> bool {
        self.cold > 0 && self.lookups[lookups].iter().any(|lookup| matches!(lookup.stage, Stage::Cold(_)))
    }

    /// The table and the key of a lookup; the key is empty if nothing is to be read.
    pub(super) fn key(&self, lookup: usize) -> (usize, &[u8]) {
        let lookup = &self.lookups[lookup];
        (lookup.table, lookup.key.of(&self.keys))
    }

    /// The row of a lookup, if its key has one and it is in memory.
    pub(super) fn fetched<'t>(
        &self,
        tables: &'t [NamedTable],
        cache: &'t RowCache,
        lookup: usize,
    ) -> Result<Fetched<'t>, Unreadable> {
        let lookup = &self.lookups[lookup];
        let table = &tables[lookup.table].table;
        let key = lookup.key.of(&self.keys);
        let row = match lookup.stage {
            Stage::Resident(probe) => table.row(probe, key),
            Stage::Cached(hash, place) => table.cached_row(hash, key, cache.bytes(place)),
            Stage::Cold(step) => return Ok(Fetched::Cold(step)),
            Stage::Absent => return Ok(Fetched::Absent),
            Stage::Corrupt => return Err(Unreadable::Before),
            Stage::Hashed(_) => unreachable!("answers are finished after the batch was gathered"),
        };
        Ok(row.map_err(Unreadable::Now)?.map_or(Fetched::Absent, Fetched::Row))
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

    /// Whether any key of these lookups was really looked up.
    pub(super) fn reads_anything(&self, lookups: Range<usize>) -> bool {
        self.lookups[lookups].iter().any(|lookup| lookup.key.len > 0)
    }

    /// Writes a fault's message down, since what it quotes will be gone.
    pub(super) fn refused(&mut self, fault: &Fault<'_>, service_slot: Option<usize>, seen_ns: u64) -> Pending {
        let start = self.text.len();
        let _infallible = write!(self.text, "{fault}");
        let message = span(start, self.text.len());
        Pending::Refused { refusal: fault.refusal(), message, service_slot, seen_ns }
    }

    pub(super) fn message(&self, message: Span) -> &[u8] {
        message.of(&self.text)
    }
}

/// The row in this core's cache, if it is there: also where the index that says where it lies is not in memory.
fn cached(named: &NamedTable, hash: KeyHash, key: &[u8], cache: &mut RowCache) -> Option<Stage> {
    let place = cache.find(named.table.row_id(hash)).filter(|_| named.delay_ns == 0)?;
    // Another key of the same name is possible, and says nothing about this one.
    let is_it = matches!(named.table.cached_row(hash, key, cache.bytes(place)), Ok(Some(_)));
    is_it.then_some(Stage::Cached(hash, place))
}

/// A stretch of an arena. Arenas hold a turn's keys or messages: far below 4 GiB.
pub(super) fn span(start: usize, end: usize) -> Span {
    let narrow = |number| u32::try_from(number).unwrap_or(u32::MAX);
    Span { start: narrow(start), len: narrow(end - start) }
}
