//! What takes long, as values: done on threads beside the plane's, or in place by tests.

use std::{collections::BTreeMap, sync::Arc};

use super::{PlaneClock, StreamTable, StreamTables};
use crate::{
    directory::{DataDirectory, Manifest, SourcePositions, TableEntry, WriterLock},
    error::Error,
    levels::{self, FlushOptions, Stop},
    log::{Preparation, Prepared},
    overlay::Frozen,
};

#[derive(Debug)]
pub(super) enum Job {
    Flush {
        flush: Box<Flush>,
        options: WorkOptions,
    },
    Compact {
        compact: Compact,
        options: WorkOptions,
    },
    /// A file for the log, ahead of its time.
    Prepare(Preparation),
}

#[derive(Debug)]
pub(super) enum JobDone {
    Flushed { flush: Box<Flush>, attempts: u32, outcome: Result<u64, Error>, took_us: u64 },
    Compacted { outcome: Result<Option<Compaction>, Error>, took_us: u64 },
    Prepared(Prepared),
}

#[derive(Debug, Clone)]
pub(super) struct WorkOptions {
    pub(super) memory_bytes: usize,
    pub(super) now_us: i64,
    pub(super) generations_kept: usize,
    pub(super) stop: Stop,
}

/// A frozen part, with what belongs to the position up to which it goes.
#[derive(Debug)]
pub(super) struct Flush {
    pub(super) frozen: Frozen,
    pub(super) tables: Arc<StreamTables>,
    pub(super) watermarks_us: BTreeMap<String, i64>,
    pub(super) source_positions: SourcePositions,
    /// How often it failed.
    pub(super) attempts: u32,
}

/// Look for a table that is due, and compact it.
#[derive(Debug)]
pub(super) struct Compact {
    pub(super) tables: Arc<StreamTables>,
    /// By name, the oldest event time in the overlay: tombstones that are as new stay.
    pub(super) oldest_us: BTreeMap<String, i64>,
    /// By name, when it was compacted last.
    pub(super) compacted_us: BTreeMap<String, i64>,
    pub(super) share: u64,
    pub(super) after_us: i64,
    pub(super) tombstones_kept_us: i64,
}

/// A compaction that was published, or found nothing to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compaction {
    pub(super) table: String,
    pub(super) generation: Option<u64>,
}

impl Job {
    /// Whether it is for the log, and waits for no other job.
    pub(super) fn is_for_the_log(&self) -> bool {
        matches!(self, Self::Prepare(_))
    }

    pub(super) fn run(self, data: &DataDirectory, clock: &PlaneClock) -> JobDone {
        let started = clock.now();
        let took_us = || clock.now().monotonic_us.saturating_sub(started.monotonic_us);
        match self {
            Self::Prepare(preparation) => JobDone::Prepared(preparation.run()),
            Self::Flush { flush, options } => {
                let outcome = flush.run(data, &options);
                JobDone::Flushed { attempts: flush.attempts, flush, outcome, took_us: took_us() }
            }
            Self::Compact { compact, options } => {
                JobDone::Compacted { outcome: compact.run(data, &options), took_us: took_us() }
            }
        }
    }
}

impl Flush {
    /// Publishes a generation with the part's rows, and returns its number.
    pub(super) fn run(&self, data: &DataDirectory, options: &WorkOptions) -> Result<u64, Error> {
        let lock = data.lock()?;
        let live = live(data, &lock)?;
        if live.log_position >= self.frozen.covers().0 {
            // An earlier attempt failed when it had been published already, and perhaps was not durable yet.
            return Ok(data.publish(&lock, |_| ())?.generation);
        }
        let known = |id| self.tables.of_id(id).cloned();
        let mut flushed = levels::flush(&options.for_levels(data), &live, &self.frozen, &known)?;
        flushed.watermarks_us.clone_from(&self.watermarks_us);
        flushed.source_positions.clone_from(&self.source_positions);
        let published = data.publish(&lock, |manifest| {
            flushed.change(manifest);
            manifest.created_at_us = options.now_us;
        })?;
        collect(data, &lock, options.generations_kept);
        Ok(published.generation)
    }
}

impl Compact {
    fn run(&self, data: &DataDirectory, options: &WorkOptions) -> Result<Option<Compaction>, Error> {
        let Some(live) = data.current()? else { return Ok(None) };
        if !self.tables.iter().any(|table| self.plan(&live, table, options.now_us).is_some()) {
            return Ok(None); // most often; nobody is kept from the directory for it
        }
        let lock = data.lock()?;
        let Some(live) = data.current()? else { return Ok(None) };
        let plan = |table: &Arc<StreamTable>| Some((Arc::clone(table), self.plan(&live, table, options.now_us)?));
        let Some((table, plan)) = self.tables.iter().find_map(plan) else { return Ok(None) };
        let (name, combine, levels_options) = (table.name.as_str(), table.combine.as_deref(), options.for_levels(data));
        let compacted = match plan {
            Plan::Merge => {
                let until_us = self.tombstones_until_us(&table, options.now_us);
                levels::compact(&levels_options, &live, name, until_us, combine)?
            }
            Plan::Strip => levels::strip(&levels_options, &live, name, combine)?,
        };
        let mut compaction = Compaction { table: name.to_owned(), generation: None };
        if let Some(compacted) = compacted {
            let published = data.publish(&lock, |manifest| {
                compacted.change(manifest);
                manifest.created_at_us = options.now_us;
            })?;
            compaction.generation = Some(published.generation);
            // What was deleted is to be gone, from what is no longer live, too.
            let erases = live.deltas.get(name).is_some_and(|delta| delta.tombstones > 0);
            collect(data, &lock, if erases { 1 } else { options.generations_kept });
        }
        Ok(Some(compaction))
    }

    fn plan(&self, live: &Manifest, table: &StreamTable, now_us: i64) -> Option<Plan> {
        let of_schema = |entry: &&TableEntry| entry.schema == *table.schema;
        let delta = live.deltas.get(&table.name).filter(of_schema);
        let base = live.tables.get(&table.name).filter(of_schema);
        let last_us = self.compacted_us.get(&table.name).copied();
        let is_old = |since_us: i64| since_us.saturating_add(self.after_us) <= now_us;
        match (delta, base) {
            (None, None) => None,
            (Some(_), None) => Some(Plan::Merge),
            (None, Some(base)) => {
                let since_us = last_us.unwrap_or(base.built_at_us);
                (base.tombstones > 0 && is_old(since_us)).then_some(Plan::Merge)
            }
            // Of a base that would be built again, nothing is put together with what was written.
            (Some(delta), Some(base)) if !base.holds_writes && delta.rows > delta.tombstones => {
                let is_due = last_us.map_or(delta.tombstones > 0, is_old);
                is_due.then_some(Plan::Strip)
            }
            (Some(delta), Some(base)) => {
                let bytes = |entry: &TableEntry| entry.segments.iter().map(|segment| segment.bytes).sum::<u64>();
                let is_large = bytes(delta).saturating_mul(self.share) >= bytes(base);
                (is_large || is_old(last_us.unwrap_or(base.built_at_us))).then_some(Plan::Merge)
            }
        }
    }

    fn tombstones_until_us(&self, table: &StreamTable, now_us: i64) -> i64 {
        if table.combine.is_some() {
            return i64::MAX; // what is above counts whatever its time
        }
        let oldest_us = self.oldest_us.get(&table.name).copied().unwrap_or(i64::MAX);
        now_us.saturating_sub(self.tombstones_kept_us).min(oldest_us.saturating_sub(1))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// The delta goes into the base.
    Merge,
    /// The base is written without what the delta hides.
    Strip,
}

impl WorkOptions {
    fn for_levels(&self, data: &DataDirectory) -> FlushOptions {
        let (root, stop) = (data.root().to_owned(), self.stop.clone());
        FlushOptions { root, memory_bytes: self.memory_bytes, now_us: self.now_us, stop }
    }
}

/// The live generation; the first one is made if there is none.
fn live(data: &DataDirectory, lock: &WriterLock) -> Result<Manifest, Error> {
    match data.current()? {
        Some(live) => Ok(live),
        None => data.publish(lock, |_| ()),
    }
}

/// What is published is published; what could not be removed is removed the next time.
fn collect(data: &DataDirectory, lock: &WriterLock, generations_kept: usize) {
    let _ = data.collect_garbage(lock, generations_kept);
}
